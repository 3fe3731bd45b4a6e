"""AppArmor: one profile per program, in which everything it executes runs too (`ix`).

Under no_new_privs the kernel refuses to enter another profile at execve, so there are no child profiles. Written for
`abi/3.0`, the oldest that every supported parser has. Source: apparmor.d(5).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from harden.model.network_rule import NetworkOperation, NetworkRule
from harden.model.path_pattern import PathPattern
from harden.model.path_text import from_text
from harden.model.profile import Profile, Rights
from harden.model.recording import FileOperation
from harden.model.syscall_argument_names import ADDRESS_FAMILIES, SOCKET_TYPES
from harden.render.apparmor_path import expression, quoted_name
from harden.render.quoted import Quoted, fill
from harden.render.rendered import Rendered

__all__ = ["apparmor_label", "labelled_apparmor", "render_apparmor"]

_LABEL_NAME_CHARS: Final = 64
_LABEL_DIGEST_CHARS: Final = 32
_UNKNOWN_IN_LABEL: Final = re.compile(r"[^A-Za-z0-9._-]")
_PERMISSIONS: Final = {
    FileOperation.READ: "r",
    FileOperation.LIST: "r",
    FileOperation.WRITE: "w",
    FileOperation.APPEND: "a",
    FileOperation.TRUNCATE: "w",
    FileOperation.CREATE: "w",
    FileOperation.MKDIR: "w",
    FileOperation.SYMLINK: "w",
    FileOperation.MKSOCK: "w",
    FileOperation.MKFIFO: "w",
    FileOperation.MKNOD: "w",
    FileOperation.UNLINK: "rw",
    FileOperation.RMDIR: "w",
    FileOperation.REFER: "rw",
    FileOperation.LINK: "l",
    FileOperation.LOCK: "k",
    FileOperation.CHMOD: "w",
    FileOperation.CHOWN: "w",
    FileOperation.EXEC: "ix",
    FileOperation.MAP: "m",
    FileOperation.CONNECT: "rw",
}
"""What is not here (stat, utime, xattr, ioctl) AppArmor does not mediate. Renaming reads and writes the old name."""
_OF_FOLDERS: Final = frozenset({FileOperation.LIST, FileOperation.MKDIR, FileOperation.RMDIR})
_OF_EITHER: Final = frozenset({FileOperation.CHMOD, FileOperation.CHOWN, FileOperation.UNLINK, FileOperation.REFER})
_OF_FILES: Final = frozenset(FileOperation) - _OF_FOLDERS - _OF_EITHER
_PERMISSION_ORDER: Final = "mrwalkix"
_UNATTACHED: Final = (
    "is attached to no program: it confines only what is started in it (aa-exec -p, AppArmorProfile= of systemd, "
    "the AppArmor profile of a container)"
)
"""By its path it would confine every use of the program on the host, such as each /usr/bin/sh."""
_SELF: Final = re.compile(r"/proc/(?:self|thread-self)(?=/|$)")

_FAMILIES: Final = frozenset(name.removeprefix("AF_").lower() for name in ADDRESS_FAMILIES.values()) - frozenset(
    {"unspec", "unix", "decnet", "mctp"}
)
"""The families that a `network` rule of abi 3.0 knows; unix has rules of its own."""
_TYPES: Final = frozenset({"stream", "dgram", "seqpacket", "rdm", "raw", "packet"})


class _File(msgspec.Struct, frozen=True):
    path: Quoted
    permissions: Quoted


def apparmor_label(profile: Profile) -> str:
    """The name under which the rendered profile is loaded."""
    return f"harden.{_UNKNOWN_IN_LABEL.sub('_', profile.name)[:_LABEL_NAME_CHARS]}"


def labelled_apparmor(profile: Profile, template: str) -> tuple[str, bytes]:
    """The profile under a name that holds its own SHA-256, and that name: equal names mean equal rules."""
    digest = hashlib.sha256(render_apparmor(profile, template).content).hexdigest()
    label = f"{apparmor_label(profile)}.{digest[:_LABEL_DIGEST_CHARS]}"
    return label, render_apparmor(profile, template, label=label).content


def render_apparmor(profile: Profile, template: str, *, label: str | None = None) -> Rendered:
    """The text of an AppArmor profile; `template` is the content of templates/apparmor.j2."""
    rights = profile.rights
    label = apparmor_label(profile) if label is None else label
    warnings: list[str] = [f"{label} {_UNATTACHED}"]
    text = fill(
        template,
        {
            "title": Quoted(f"the profile {_UNKNOWN_IN_LABEL.sub('_', profile.name)}"),
            "label": quoted_name(label.encode()),
            "capabilities": [
                Quoted(capability.name.removeprefix("CAP_").lower()) for capability in sorted(rights.all_capabilities())
            ],
            "networks": [*_networks(rights, warnings), *_unix(rights)],
            "processes": list(_processes(rights)),
            "files": list(_files(rights, warnings)),
        },
    )
    return Rendered(content=text.encode("ascii"), warnings=tuple(warnings))


def _files(rights: Rights, warnings: list[str]) -> Iterator[_File]:
    wanted: dict[str, frozenset[FileOperation]] = {}
    for pattern, operations in rights.all_files():
        text = _SELF.sub("/proc/@{pid}", pattern.text)
        if text != pattern.text and any(operation in _PERMISSIONS for operation in operations):
            warnings.append(f"{pattern.text}: granted as {text}, AppArmor sees the number behind self")
        wanted[text] = wanted.get(text, frozenset()) | operations
    for text in sorted(wanted):
        pattern, operations = PathPattern.parse(text), wanted[text]
        if FileOperation.UNLINK in operations and FileOperation.READ not in operations:
            warnings.append(f"{text}: may also be read, AppArmor asks for that where a file is renamed")
        for suffix, permissions in _forms(operations):
            if permissions and not (text == "/" and not suffix):
                yield _File(expression(pattern, suffix=suffix), Quoted(permissions))


def _forms(operations: frozenset[FileOperation]) -> Iterator[tuple[str, str]]:
    """Permissions for the path as a file and, with a final slash, as a folder.

    What can be done to both is granted for the one that the other rights show, or for both where nothing shows it.
    """
    either = operations & _OF_EITHER
    folder, file = operations & _OF_FOLDERS, operations & _OF_FILES - {FileOperation.STAT}
    if file or (either and not folder):
        yield "", _permissions(file | either)
    if folder or (either and not file):
        yield "/", _permissions(folder | either)


def _permissions(operations: frozenset[FileOperation]) -> str:
    letters = set("".join(_PERMISSIONS.get(operation, "") for operation in operations))
    if "w" in letters:
        letters.discard("a")
    return "".join(letter for letter in _PERMISSION_ORDER if letter in letters)


def _networks(rights: Rights, warnings: list[str]) -> Iterator[Quoted]:
    """AppArmor rules sockets by family and type, also where they are only made."""
    sockets = {(rule.family, rule.type) for rule in rights.all_network()}
    for call in ("socket", "socketpair"):
        if call not in rights.all_syscalls():
            continue
        values = rights.argument_values(call)
        if values is None or any(None in value[:2] for value in values):
            warnings.append(f"every kind of socket is allowed, because {call} is granted with any arguments")
            yield Quoted("network")
            continue
        sockets |= {(_named(ADDRESS_FAMILIES, value[0]), _named(SOCKET_TYPES, value[1])) for value in values}
    for family, type_ in sorted(sockets - {("AF_UNIX", type_) for _, type_ in sockets}):
        name, kind = family.removeprefix("AF_").lower(), type_.removeprefix("SOCK_").lower()
        if name in _FAMILIES and kind in _TYPES:
            yield Quoted(f"network {name} {kind}")
        else:
            warnings.append(f"{family}/{type_}: left out, abi 3.0 has no name for it")


def _named(names: object, value: int | None) -> str:
    return str(names.get(value, value)) if hasattr(names, "get") else str(value)


_LOCAL: Final = "create, bind, listen, shutdown, getattr, setattr, getopt, setopt"
_PEER: Final = "accept, connect, send, receive"


def _unix(rights: Rights) -> Iterator[Quoted]:
    """Sockets between the program's own processes, and the abstract names of the profile; paths are file rules."""
    types = {rule.type for rule in rights.all_network() if rule.family == "AF_UNIX"}
    for call in ("socket", "socketpair"):
        for value in rights.argument_values(call) or ():
            if _named(ADDRESS_FAMILIES, value[0]) == "AF_UNIX":
                types.add(_named(SOCKET_TYPES, value[1]))
    for kind in sorted(type_.removeprefix("SOCK_").lower() for type_ in types):
        if kind in _TYPES:
            yield Quoted(f"unix ({_LOCAL}) type={kind} addr=none")
            yield Quoted(f"unix ({_PEER}) type={kind} peer=(label=@{{profile_name}})")
    yield from sorted({rule for network in rights.all_network() for rule in _abstract(network)})


def _abstract(rule: NetworkRule) -> Iterator[Quoted]:
    kind = rule.type.removeprefix("SOCK_").lower()
    if rule.family != "AF_UNIX" or not rule.address.startswith("@") or kind not in _TYPES:
        return
    name = quoted_name(from_text(rule.address[1:])).replace('"', '"@', 1)
    if rule.operation is NetworkOperation.BIND:
        yield Quoted(f"unix ({_LOCAL}, {_PEER}) type={kind} addr={name}")
    else:
        yield Quoted(f"unix ({_PEER}) type={kind} peer=(addr={name})")


def _processes(rights: Rights) -> Iterator[Quoted]:
    """Signals and /proc between the program's own processes, and signals from the launcher, which is unconfined."""
    yield Quoted("signal (send, receive) peer=@{profile_name}")
    yield Quoted("signal (receive) peer=unconfined")
    access = "trace, tracedby, read, readby" if "ptrace" in rights.all_syscalls() else "read, readby"
    if "ptrace" in access or any(pattern.text.startswith("/proc/@{") for pattern, _ in rights.all_files()):
        yield Quoted(f"ptrace ({access}) peer=@{{profile_name}}")
