"""An SELinux module in CIL: a domain made from udica's `container` block, with own types for the program's files.

Source: SELinux Project, CIL Reference Guide; udica's templates. SELinux decides by labels, so paths become types: load
the module, then restorecon the paths that it names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from harden.model.capability import Capability
from harden.model.guarded_root import OWN, PRIVATE, is_beneath, is_too_wide
from harden.model.network_rule import NetworkOperation
from harden.model.path_pattern import PathPattern
from harden.model.path_text import to_text
from harden.model.profile import Profile
from harden.model.recording import FileOperation
from harden.model.widening import Widening
from harden.render.ability import has_arguments, has_files, has_network, makes_executable, socket_families
from harden.render.cil_text import beneath, expression
from harden.render.no_limits import NO_LIMITS
from harden.render.plain_name import plain_name, symbol
from harden.render.quoted import Quoted, fill
from harden.render.rendered import Limit, Rendered
from harden.render.widening_text import summarize

__all__ = ["LIMITS", "render_selinux"]

LIMITS: Final = (
    Limit("system calls and their arguments", has_arguments),
    Limit("files of the system (/usr, /etc, /proc, /sys, /dev, /run, /tmp): the container block rules them", has_files),
    Limit("rights on one name in a folder in which the program makes names: they are given for the folder", has_files),
    Limit("addresses and ports: types stand for them, and the module allows every port", has_network),
    NO_LIMITS,
)
_SYSTEM: Final = (*OWN, *PRIVATE, b"/usr", b"/bin", b"/lib", b"/lib32", b"/lib64", b"/libx32", b"/sbin", b"/boot")
_MAKES: Final = frozenset(
    {FileOperation.CREATE, FileOperation.MKDIR, FileOperation.SYMLINK, FileOperation.MKSOCK, FileOperation.MKFIFO,
     FileOperation.MKNOD, FileOperation.UNLINK, FileOperation.RMDIR, FileOperation.REFER, FileOperation.LINK}
)  # fmt: skip
_OPEN: Final = ("getattr", "open")
_NAMES: Final = "add_name remove_name search write"
_PERMISSIONS: Final[dict[FileOperation, dict[str, tuple[str, ...]]]] = {
    FileOperation.STAT: {"file": ("getattr",), "dir": ("getattr", "search"), "lnk_file": ("getattr", "read")},
    FileOperation.LIST: {"dir": (*_OPEN, "read", "search")},
    FileOperation.READ: {"file": (*_OPEN, "read")},
    FileOperation.WRITE: {"file": (*_OPEN, "write")},
    FileOperation.APPEND: {"file": (*_OPEN, "append")},
    FileOperation.TRUNCATE: {"file": ("setattr", "write")},
    FileOperation.CREATE: {"file": ("create",)},
    FileOperation.MKDIR: {"dir": ("create",)},
    FileOperation.SYMLINK: {"lnk_file": ("create",)},
    FileOperation.MKSOCK: {"sock_file": ("create",)},
    FileOperation.MKFIFO: {"fifo_file": ("create",)},
    FileOperation.MKNOD: {"blk_file": ("create",), "chr_file": ("create",)},
    FileOperation.UNLINK: dict.fromkeys(("fifo_file", "file", "lnk_file", "sock_file"), ("unlink",)),
    FileOperation.RMDIR: {"dir": ("rmdir",)},
    FileOperation.REFER: {"dir": ("rename", "reparent"), "file": ("rename",)},
    FileOperation.LINK: {"file": ("link",)},
    FileOperation.LOCK: {"file": ("lock",)},
    FileOperation.CHMOD: {"dir": ("setattr",), "file": ("setattr",)},
    FileOperation.CHOWN: {"dir": ("setattr",), "file": ("setattr",)},
    FileOperation.UTIME: {"dir": ("setattr",), "file": ("setattr",)},
    FileOperation.XATTR: {"dir": ("setattr",), "file": ("setattr",)},
    FileOperation.IOCTL: {"file": ("ioctl",)},
    FileOperation.EXEC: {"file": (*_OPEN, "execute", "execute_no_trans", "map", "read")},
    FileOperation.MAP: {"file": (*_OPEN, "execute", "map", "read")},
    FileOperation.CONNECT: {"sock_file": ("getattr", "write")},
}
_PERMISSIONS_IN_FOLDER: Final = {"dir": tuple(_NAMES.split())}
_FIRST_OF_CAPABILITY2: Final = 32
_SOCKETS: Final = {
    ("AF_INET", "SOCK_STREAM"): "tcp_socket",
    ("AF_INET6", "SOCK_STREAM"): "tcp_socket",
    ("AF_INET", "SOCK_DGRAM"): "udp_socket",
    ("AF_INET6", "SOCK_DGRAM"): "udp_socket",
    ("AF_INET", "SOCK_RAW"): "rawip_socket",
    ("AF_INET6", "SOCK_RAW"): "rawip_socket",
    ("AF_UNIX", "SOCK_STREAM"): "unix_stream_socket",
    ("AF_UNIX", "SOCK_DGRAM"): "unix_dgram_socket",
    ("AF_UNIX", "SOCK_SEQPACKET"): "unix_stream_socket",
}
_USE: Final = "accept bind connect create getattr getopt listen read setopt shutdown write"
_DATAGRAM_USE: Final = "bind connect create getattr getopt read setopt shutdown write"
_FOLDER: Final = "SELinux labels a new file like its folder"


class _Type(msgspec.Struct, frozen=True):
    """A type of the module: its name, the paths that have it, and what the domain may do with them."""

    name: Quoted
    paths: tuple[Quoted, ...]
    allowed: tuple[Quoted, ...]


def render_selinux(profile: Profile, template: str) -> Rendered:
    """The module's text; `template` is the content of templates/selinux.j2."""
    widenings: list[Widening] = []
    warnings: list[str] = []
    types = [*_types(profile, widenings, warnings)]
    text = fill(
        template,
        {
            "name": Quoted(plain_name(profile)),
            "block": Quoted(f"harden_{symbol(profile)}"),
            "allowed": [*_capabilities(profile), *_sockets(profile, warnings), *_memory(profile)],
            "types": types,
        },
    )
    return Rendered(content=text.encode("ascii"), warnings=(*warnings, *summarize(sorted(widenings))))


def _is_own(folder: bytes) -> bool:
    return not is_too_wide(folder) and not any(is_beneath(folder, root) for root in _SYSTEM)


def _types(profile: Profile, widenings: list[Widening], warnings: list[str]) -> Iterator[_Type]:
    granted = [(pattern, operations) for pattern, operations in profile.rights.all_files() if _is_own(pattern.folder)]
    roots: list[bytes] = []
    for folder in sorted({pattern.folder for pattern, operations in granted if operations & _MAKES}):
        if not any(is_beneath(folder, root) for root in roots):
            roots.append(folder)
    made: dict[bytes, frozenset[FileOperation]] = defaultdict(frozenset)
    plain: dict[frozenset[FileOperation], list[PathPattern]] = defaultdict(list)
    for pattern, operations in granted:
        root = next((each for each in roots if is_beneath(pattern.folder, each)), None)
        if root is None:
            plain[operations].append(pattern)
            continue
        made[root] |= operations
        asked = f"{' '.join(sorted(operations))} {pattern.text}"
        widenings.append(Widening(asked=asked, granted=f"the same beneath {to_text(root)}", reason=_FOLDER))
    number = 0
    for root, operations in sorted(made.items()):
        yield _type(number, (beneath(root),), operations, _PERMISSIONS_IN_FOLDER)
        number += 1
    for operations, patterns in sorted(plain.items(), key=lambda each: each[1][0].text):
        yield _type(number, tuple(map(expression, patterns)), operations, {})
        number += 1


def _type(
    number: int, paths: tuple[Quoted, ...], operations: Iterable[FileOperation], more: dict[str, tuple[str, ...]]
) -> _Type:
    allowed: dict[str, set[str]] = defaultdict(set)
    for table in (*(_PERMISSIONS[operation] for operation in operations), more):
        for kind, permissions in table.items():
            allowed[kind] |= set(permissions)
    rules = tuple(Quoted(f"({kind} ({' '.join(sorted(allowed[kind]))}))") for kind in sorted(allowed))
    return _Type(Quoted(f"file_{number}"), paths, rules)


def _capabilities(profile: Profile) -> Iterator[Quoted]:
    """The target of a rule and what is allowed on it; capabilities are checked against the domain itself."""
    for kind, numbers in (("capability", range(_FIRST_OF_CAPABILITY2)), ("capability2", range(32, 64))):
        found = [cap for cap in sorted(profile.rights.all_capabilities()) if int(Capability(cap)) in numbers]
        if found:
            names = " ".join(cap.name.removeprefix("CAP_").lower() for cap in found)
            yield Quoted(f"process ({kind} ({names}))")


def _memory(profile: Profile) -> Iterator[Quoted]:
    if makes_executable(profile.rights):
        yield Quoted("process (process (execmem))")


def _sockets(profile: Profile, warnings: list[str]) -> Iterator[Quoted]:
    rules = profile.rights.all_network()
    kinds = {_SOCKETS[rule.family, rule.type] for rule in rules if (rule.family, rule.type) in _SOCKETS}
    others = sorted({rule.protocol for rule in rules if (rule.family, rule.type) not in _SOCKETS})
    others += sorted((socket_families(profile.rights) or set()) - {family for family, _ in _SOCKETS})
    for other in dict.fromkeys(others):
        warnings.append(f"{other}: left out, the module has no rule for such sockets")
    for kind in sorted(kinds):
        yield Quoted(f"process ({kind} ({_USE if kind in ('tcp_socket', 'unix_stream_socket') else _DATAGRAM_USE}))")
    for kind, protocols in (("tcp_socket", ("tcp", "tcp6")), ("udp_socket", ("udp", "udp6"))):
        operations = {rule.operation for rule in rules if rule.protocol in protocols}
        if NetworkOperation.BIND in operations:
            yield Quoted(f"node_type ({kind} (node_bind))")
            yield Quoted(f"port_type ({kind} (name_bind))")
        if NetworkOperation.CONNECT in operations and kind == "tcp_socket":
            yield Quoted("port_type (tcp_socket (name_connect))")
