"""Landlock: file rights as bits on the objects that exist when the sandbox starts, TCP ports, scopes.

A rule binds to an object that is there (landlock(7)), so what a program makes itself is ruled by the folder it is made
in, and a right on a folder holds for everything beneath it. Each right that becomes wider by this is listed.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import defaultdict
from typing import Final

from harden.model.guarded_root import ON_ROOT, OWN, PRIVATE, is_beneath, is_too_wide
from harden.model.network_rule import ANY_PORT, NetworkOperation, NetworkRule
from harden.model.path_pattern import PathPattern
from harden.model.path_text import to_text
from harden.model.profile import Profile, folders_made
from harden.model.recording import FileOperation
from harden.model.sandbox import FileRule, LandlockRules
from harden.model.widening import Widening
from harden.render.ability import has_files, has_network
from harden.render.landlock_access import FileAccess, NetAccess, Scope
from harden.render.rendered import Limit, Rendered, always
from harden.render.toml_text import render_toml
from harden.render.widening_text import summarize

__all__ = ["HANDLED_FILES", "LIMITS", "landlock_rules", "render_landlock", "render_landlock_toml"]

LIMITS: Final = (
    Limit("system calls, capabilities and limits of resources", always),
    Limit("stat, chmod, chown, utime, xattr, flock: Landlock does not restrict them", has_files),
    Limit("patterns of paths and files that are not there at the start: the right is given for the folder", has_files),
    Limit("network addresses, and UDP, raw and UNIX sockets by path: TCP ports are all that is ruled", has_network),
)
HANDLED_FILES: Final = FileAccess((1 << 16) - 1)
_CAPITAL: Final = re.compile("[A-Z]")
_NOTHING: Final = FileAccess(0)
_FILE: Final = FileAccess.READ_FILE
_ON_OBJECT: Final = {
    FileOperation.LIST: FileAccess.READ_DIR,
    FileOperation.READ: _FILE,
    FileOperation.WRITE: FileAccess.WRITE_FILE,
    FileOperation.APPEND: FileAccess.WRITE_FILE,
    FileOperation.TRUNCATE: FileAccess.TRUNCATE,
    FileOperation.EXEC: FileAccess.EXECUTE | _FILE,
    FileOperation.MAP: _FILE,
    FileOperation.IOCTL: FileAccess.IOCTL_DEV,
}
"""Rights on the path itself. What is not here (stat, chmod, lock, …) Landlock does not restrict."""
_ON_FOLDER: Final = {
    FileOperation.CREATE: FileAccess.MAKE_REG,
    FileOperation.LINK: FileAccess.MAKE_REG,
    FileOperation.MKDIR: FileAccess.MAKE_DIR,
    FileOperation.SYMLINK: FileAccess.MAKE_SYM,
    FileOperation.MKSOCK: FileAccess.MAKE_SOCK,
    FileOperation.MKFIFO: FileAccess.MAKE_FIFO,
    FileOperation.MKNOD: FileAccess.MAKE_CHAR | FileAccess.MAKE_BLOCK,
    FileOperation.UNLINK: FileAccess.REMOVE_FILE,
    FileOperation.RMDIR: FileAccess.REMOVE_DIR,
    FileOperation.REFER: FileAccess.REFER,
}
"""Rights on the folder that holds the path."""
_NET_ACCESS: Final = {NetworkOperation.BIND: NetAccess.BIND_TCP, NetworkOperation.CONNECT: NetAccess.CONNECT_TCP}
_APPEARS: Final = frozenset(
    {FileOperation.CREATE, FileOperation.LINK, FileOperation.MKDIR, FileOperation.MKFIFO, FileOperation.MKNOD}
)
"""Operations after which the path is a new object, whose rights come from its folder."""


class _Rules:
    """Rights by folder or file while they are gathered."""

    def __init__(self, own: tuple[bytes, ...]) -> None:
        self.own = (*PRIVATE, *OWN, *own)
        self.access: dict[bytes, FileAccess] = defaultdict(lambda: _NOTHING)
        self.moved: set[bytes] = set()
        self.widenings: set[Widening] = set()

    def on(self, path: bytes, access: FileAccess) -> None:
        if access:
            self.access[path] |= access

    def beneath(self, folder: bytes, access: FileAccess, asked: str, reason: str) -> None:
        """Grant rights on a folder and everything in it, unless it holds what is not the program's."""
        if not access:
            return
        own = any(is_beneath(folder, root) for root in self.own)
        granted = "" if is_too_wide(folder) and not own else f"{' '.join(access.words())} beneath {to_text(folder)}"
        self.widenings.add(Widening(asked=asked, granted=granted, reason=reason if granted else _TOO_WIDE))
        if granted:
            self.on(folder, access)


_TOO_WIDE: Final = "Landlock could give this only for a whole folder that holds other programs' files"
_ON_ROOT: Final = "a right of files on / would be one on every file"
_PARENT: Final = "Landlock gives the right to make and remove names, and rights on new files, per folder"
_PATTERN: Final = "Landlock has no patterns"
_LISTED: Final = "Landlock's right to list a folder holds for the folders in it"
_MOVED: Final = "Landlock lets nothing be moved to where it would have more rights"


def landlock_rules(
    profile: Profile, own: tuple[bytes, ...] = (), elsewhere: tuple[PathPattern, ...] = ()
) -> tuple[LandlockRules, tuple[Widening, ...]]:
    """The rules for a profile, at ABI 6, and each right that is wider than in the profile or refused for that.

    `own`: folders that begin empty in the sandbox, so that nobody else has anything in them. `elsewhere`: where links
    lead the folders that the profile makes.
    """
    rules = _Rules(own)
    granted = list(profile.rights.all_files())
    made = [*folders_made(granted), *elsewhere]
    for pattern, operations in granted:
        _add(rules, pattern, operations, made)
    _even_out_moves(rules)
    network = profile.rights.all_network()
    handled = _handled_network(network)
    bind_tcp, connect_tcp = _ports(rules, network)
    return (
        LandlockRules(
            handled_files=int(HANDLED_FILES),
            handled_network=int(handled),
            scoped=int(_scopes(network)),
            files=tuple(FileRule(path=path, access=int(rules.access[path])) for path in sorted(rules.access)),
            bind_tcp=bind_tcp if handled & NetAccess.BIND_TCP else (),
            connect_tcp=connect_tcp if handled & NetAccess.CONNECT_TCP else (),
        ),
        tuple(sorted(rules.widenings)),
    )


def _add(rules: _Rules, pattern: PathPattern, operations: frozenset[FileOperation], made: list[PathPattern]) -> None:
    if pattern.text == "/" and operations - ON_ROOT:
        refused = " ".join(sorted(operations - ON_ROOT))
        rules.widenings.add(Widening(asked=f"{refused} /", granted="", reason=_ON_ROOT))
        operations &= ON_ROOT
    own = _union(_ON_OBJECT, operations)
    if FileOperation.REFER in operations and FileOperation.CREATE in operations:
        operations |= {FileOperation.UNLINK}
    in_folder = _union(_ON_FOLDER, operations)
    words = " ".join(sorted(operations))
    asked = f"{words} {pattern.text}"
    if pattern.is_literal:
        rules.on(pattern.path, own)
        if FileAccess.READ_DIR in own:
            rules.widenings.add(Widening(asked=asked, granted=f"read_dir beneath {pattern.text}", reason=_LISTED))
    elif own and not in_folder:
        rules.beneath(_standing(pattern.folder, made), own, asked, _PATTERN)
    if not in_folder:
        return
    needed = in_folder | (own if operations & _APPEARS or not pattern.is_literal else _NOTHING)
    folder = pattern.folder
    for place in {folder, _standing(folder, made)}:
        rules.beneath(place, needed, asked, _PARENT)
        if FileOperation.REFER in operations:
            rules.moved.add(place)


def _union(table: dict[FileOperation, FileAccess], operations: frozenset[FileOperation]) -> FileAccess:
    access = _NOTHING
    for operation in operations:
        access |= table.get(operation, _NOTHING)
    return access


def _standing(folder: bytes, made: list[PathPattern]) -> bytes:
    """The nearest folder at or above `folder` that the program does not make itself: it is there at the start."""
    while folder != b"/" and any(pattern.matches(folder) for pattern in made):
        folder = posixpath.dirname(folder)
    return folder


def _even_out_moves(rules: _Rules) -> None:
    """Folders between which files are moved get the same rights: a move must not give a file a new right."""
    folders = sorted(folder for folder in rules.moved if FileAccess.REFER in rules.access.get(folder, _NOTHING))
    common = _NOTHING
    for folder in folders:
        common |= rules.access[folder]
    for folder in folders:
        added = common & ~rules.access[folder]
        if added:
            rules.beneath(folder, added, f"refer {to_text(folder)}", _MOVED)


def _ports(rules: _Rules, network: tuple[NetworkRule, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    ports: dict[NetworkOperation, set[int]] = {NetworkOperation.BIND: set(), NetworkOperation.CONNECT: set()}
    for rule in network:
        if rule.protocol not in ("tcp", "tcp6") or rule.port is None:
            continue
        port = "to any TCP port" if rule.port == ANY_PORT else f"TCP port {rule.port}"
        granted = f"{rule.operation} {port} at any address"
        rules.widenings.add(Widening(asked=rule.render(), granted=granted, reason="Landlock rules TCP by port alone"))
        if rule.port != ANY_PORT:
            ports[rule.operation].add(rule.port)
    return tuple(sorted(ports[NetworkOperation.BIND])), tuple(sorted(ports[NetworkOperation.CONNECT]))


def _handled_network(network: tuple[NetworkRule, ...]) -> NetAccess:
    """Landlock has no rule for every port: what is granted on every port is left unrestricted."""
    handled = NetAccess.BIND_TCP | NetAccess.CONNECT_TCP
    for rule in network:
        if rule.protocol in ("tcp", "tcp6") and rule.port == ANY_PORT:
            handled &= ~_NET_ACCESS[rule.operation]
    return handled


def _scopes(network: tuple[NetworkRule, ...]) -> Scope:
    """Abstract UNIX sockets outside the sandbox stay out of reach unless the profile names one that is not its own."""
    named = {
        operation: {rule.address for rule in network if rule.operation is operation and rule.address.startswith("@")}
        for operation in NetworkOperation
    }
    if named[NetworkOperation.CONNECT] - named[NetworkOperation.BIND]:
        return Scope.SIGNAL
    return Scope.SIGNAL | Scope.ABSTRACT_UNIX_SOCKET


def render_landlock(profile: Profile) -> Rendered:
    """The rules as JSON in the schema of landlockconfig, for ABI 6; `$` is doubled, as it names variables."""
    document, warnings = _document(profile)
    return Rendered(content=json.dumps(document, indent=2).encode() + b"\n", warnings=warnings)


def render_landlock_toml(profile: Profile) -> Rendered:
    """The same as TOML: landlockconfig's names are in snake case there."""
    document, warnings = _document(profile)
    text = render_toml({_snake(key): _snake_keys(value) for key, value in document.items()}, {})
    return Rendered(content=text.encode(), warnings=warnings)


def _snake(name: str) -> str:
    return _CAPITAL.sub(lambda found: f"_{found[0].lower()}", name)


def _snake_keys(value: object) -> object:
    if isinstance(value, list):
        return [{_snake(key): words for key, words in table.items()} for table in value]
    return value


def _document(profile: Profile) -> tuple[dict[str, object], tuple[str, ...]]:
    """What landlockconfig reads, and what the reader should know."""
    rules, widenings = landlock_rules(profile)
    warnings = list(summarize(widenings))
    grouped: dict[int, list[str]] = defaultdict(list)
    for rule in rules.files:
        try:
            grouped[rule.access].append(rule.path.decode("utf-8").replace("$", "$$"))
        except UnicodeDecodeError:
            warnings.append(f"{to_text(rule.path)}: left out, landlockconfig reads no name that is not UTF-8")
    handled = {
        "handledAccessFs": list(FileAccess(rules.handled_files).words()),
        "handledAccessNet": [str(each.name).lower() for each in NetAccess if each & rules.handled_network],
        "scoped": [str(scope.name).lower() for scope in Scope if scope & rules.scoped],
    }
    # landlockconfig refuses a file with an empty list.
    document: dict[str, object] = {"abi": 6, "ruleset": [{key: words for key, words in handled.items() if words}]}
    beneath = [
        {"allowedAccess": list(FileAccess(access).words()), "parent": grouped[access]} for access in sorted(grouped)
    ]
    if beneath:
        document["pathBeneath"] = beneath
    net = [
        {"allowedAccess": [name], "port": list(ports)}
        for name, ports in (("bind_tcp", rules.bind_tcp), ("connect_tcp", rules.connect_tcp))
        if ports
    ]
    if net:
        document["netPort"] = net
    return document, tuple(warnings)
