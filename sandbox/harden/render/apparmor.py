"""AppArmor: one profile per program, in which everything it executes runs too (`ix`).

Under no_new_privs the kernel refuses to enter another profile at execve, so child profiles are an option. Written for
`abi/3.0`, the oldest that every supported parser has, unless asked for 4.0. Source: apparmor.d(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from harden.model.path_pattern import PathPattern
from harden.model.path_text import from_text
from harden.model.profile import Profile, Rights
from harden.model.program_rights import ProgramRights
from harden.model.recording import FileOperation
from harden.render.ability import has_files, has_limits, has_network, is_granted, namespaces
from harden.render.apparmor_abstraction import include_abstractions, with_variables
from harden.render.apparmor_library import TUNABLES, Library
from harden.render.apparmor_network import networks, unix
from harden.render.apparmor_path import expression, quoted_name, quoted_pattern
from harden.render.apparmor_rule import FileRule
from harden.render.quoted import Quoted, fill
from harden.render.rendered import Limit, Rendered

__all__ = ["LIMITS", "apparmor_label", "render_apparmor"]


def _needs_fourth(profile: Profile) -> bool:
    return is_granted(profile.rights, "mq_open", "unshare", "setns", "clone", "clone3")


LIMITS: Final = (
    Limit("system calls and their arguments, and what a mount is about"),
    Limit("stat, utime, xattr, ioctl: AppArmor does not mediate them", has_files),
    Limit("network addresses and ports: families and types of sockets are ruled", has_network),
    Limit("user namespaces and POSIX message queues before abi 4.0: --parser 4.0 rules them", _needs_fourth),
    Limit("limits: memory and processes; open files, which set rlimit has, are left to who starts it", has_limits),
)

_UNKNOWN_IN_LABEL: Final = re.compile(r"[^A-Za-z0-9._-]")
_PERMISSIONS: Final = {
    FileOperation.READ: "r",
    FileOperation.LIST: "r",
    FileOperation.WRITE: "w",
    FileOperation.APPEND: "w",
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
"""What is not here (stat, utime, xattr, ioctl) AppArmor does not mediate. Renaming reads and writes the old name.

Appending needs `w` and not only `a`: who opens a log does so with O_CREAT, for which the kernel asks even where the
file is there already (aa_map_file_to_perms()), and no other letter stands for that.
"""
_OF_FOLDERS: Final = frozenset({FileOperation.LIST, FileOperation.MKDIR, FileOperation.RMDIR})
_OF_EITHER: Final = frozenset({FileOperation.CHMOD, FileOperation.CHOWN, FileOperation.UNLINK, FileOperation.REFER})
_OF_FILES: Final = frozenset(FileOperation) - _OF_FOLDERS - _OF_EITHER
_PERMISSION_ORDER: Final = "mrwlkix"
_UNATTACHED: Final = (
    "is attached to no program: it confines only what is started in it (aa-exec -p, AppArmorProfile= of systemd, "
    "the AppArmor profile of a container)"
)
"""By its path it would confine every use of the program on the host, such as each /usr/bin/sh."""
_NO_TRANSITION: Final = (
    "under no_new_privs the kernel refuses the transition to a child profile: start it without, and mind that every "
    "descriptor that is handed over is checked again"
)
_SELF: Final = re.compile(r"/proc/(?:self|thread-self)(?=/|$)")

_TO_NAMESPACE: Final = (("mount", "mount"), ("umount2", "umount"), ("pivot_root", "pivot_root"))
_QUEUE: Final = ("mq_open", "mqueue type=posix")
"""Rules for queues of System V are parsed, but no kernel enforces them (apparmor_parser --warn=rule-not-enforced)."""
_MAKES: Final = frozenset({FileOperation.CREATE, FileOperation.MKDIR, FileOperation.MKFIFO, FileOperation.MKSOCK})
_OVERWRITES: Final = frozenset({FileOperation.WRITE, FileOperation.TRUNCATE, FileOperation.UNLINK, FileOperation.REFER})
_MAY_CHANGE_OWNER: Final = frozenset({FileOperation.CHOWN, FileOperation.LINK, FileOperation.REFER})
_ACTS_AS_OTHERS: Final = frozenset(
    {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_SETUID", "CAP_SYS_ADMIN"}
)
_FOURTH: Final = (4, 0)


class _File(msgspec.Struct, frozen=True):
    owner: Quoted
    path: Quoted
    permissions: Quoted


class _Asked(msgspec.Struct, frozen=True):
    """What all profiles of one text are written for."""

    parser: tuple[int, int]
    library: Library | None


class _Body(msgspec.Struct, frozen=True):
    """What is between the braces of one profile."""

    label: Quoted
    abstractions: list[Quoted]
    capabilities: list[Quoted]
    rules: list[Quoted]
    files: list[_File]


class _Label(msgspec.Struct, frozen=True):
    """The names of a profile and of its children, and what they have in common."""

    own: str
    children: Mapping[bytes, str]
    """By executable."""
    program: bytes
    """The executable of the profile itself."""
    acts_as_itself: bool
    """Whether what any of the programs made is sure to be its own still."""

    def of(self, executable: bytes) -> str:
        """The whole name of a child."""
        return f"{self.own}//{self.children[executable]}"

    @property
    def peer(self) -> Quoted:
        """All processes of the program, whichever of the profiles they are in."""
        return quoted_pattern(self.own, "{,//*}") if self.children else Quoted("@{profile_name}")


def apparmor_label(profile: Profile) -> str:
    """The name under which the rendered profile is loaded."""
    return f"harden.{_UNKNOWN_IN_LABEL.sub('_', profile.name)}"


def render_apparmor(
    profile: Profile,
    template: str,
    *,
    programs: ProgramRights | None = None,
    parser: tuple[int, int] = (3, 0),
    library: Library | None = None,
) -> Rendered:
    """The text of an AppArmor profile; `template` is the content of templates/apparmor.j2.

    `programs`: a profile for each child, and for the program itself only its own part. None: one profile for all.
    `library`: the abstractions and variables that may be used, each with a warning that says what it grants more;
    without it, none is.
    """
    programs = programs or ProgramRights(program=profile.workload.program, own=profile.rights, children={})
    children = programs.children
    own = apparmor_label(profile)
    warnings: list[str] = [f"{own} {_UNATTACHED}"]
    if children:
        warnings.append(_NO_TRANSITION)
    names = _child_names(sorted(children))
    labels = _Label(own, names, from_text(programs.program), _acts_as_itself(profile.rights))
    asked = _Asked(parser, library)
    main = _body(quoted_name(own.encode()), programs.own, labels, None, asked, warnings)
    nested = [
        _body(quoted_name(labels.of(from_text(path)).encode()), rights, labels, from_text(path), asked, warnings)
        for path, rights in sorted(children.items())
    ]
    text = fill(
        template,
        {
            "title": Quoted(f"the profile {_UNKNOWN_IN_LABEL.sub('_', profile.name)}"),
            "abi": Quoted("4.0" if parser >= _FOURTH else "3.0"),
            "tunables": [Quoted(TUNABLES)] if library else [],
            "profiles": [main, *nested],
        },
    )
    return Rendered(content=text.encode("ascii"), warnings=tuple(dict.fromkeys(warnings)))


def _child_names(paths: list[str]) -> dict[bytes, str]:
    names: dict[bytes, str] = {}
    for path in paths:
        name = _UNKNOWN_IN_LABEL.sub(".", path.strip("/"))
        while name in names.values():
            name += "_"
        names[from_text(path)] = name
    return names


def _body(
    name: Quoted, rights: Rights, label: _Label, executable: bytes | None, asked: _Asked, warnings: list[str]
) -> _Body:
    rules = [
        *networks(rights, warnings),
        *unix(rights, label.peer),
        *_namespace_rules(rights, asked.parser, warnings),
        *_processes(rights, label.peer),
    ]
    capabilities = [capability.name.removeprefix("CAP_").lower() for capability in sorted(rights.all_capabilities())]
    files = tuple(_files(rights, label, executable, warnings))
    abstractions: tuple[str, ...] = ()
    if asked.library:
        others = (*rules, *(f"capability {each}" for each in capabilities))
        included = include_abstractions(files, asked.library, others)
        abstractions, files = included.names, included.rules
        warnings += included.warnings
    return _Body(
        label=name,
        abstractions=[Quoted(each) for each in abstractions],
        capabilities=[Quoted(each) for each in capabilities],
        rules=rules,
        files=[_written(file, asked.library, warnings) for file in files],
    )


def _written(rule: FileRule, library: Library | None, warnings: list[str]) -> _File:
    path = expression(rule.pattern, suffix=rule.suffix)
    if library:
        path, wider = with_variables(rule, library)
        warnings += wider
    permissions = f"{rule.permissions} -> {rule.target}" if rule.target else rule.permissions
    return _File(Quoted("owner " if rule.owner else ""), path, Quoted(permissions))


def _files(rights: Rights, label: _Label, executable: bytes | None, warnings: list[str]) -> Iterator[FileRule]:
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
        if FileOperation.APPEND in operations and not operations & _OVERWRITES:
            warnings.append(f"{text}: may also be overwritten, AppArmor asks for that where O_CREAT opens it to append")
        made = operations & _MAKES and not operations & _MAY_CHANGE_OWNER
        for suffix, permissions in _forms(operations):
            if permissions and not (text == "/" and not suffix):
                shown, target = _transition(permissions, pattern, label, executable)
                yield FileRule(
                    pattern=pattern,
                    suffix=suffix,
                    permissions=shown,
                    owner=bool(made) and label.acts_as_itself,
                    target=target,
                )


def _acts_as_itself(rights: Rights) -> bool:
    """Whether what the program made is sure to be its own still: it runs as one user and gives nothing away."""
    names = {capability.name for capability in rights.all_capabilities()}
    return not names & _ACTS_AS_OTHERS and not is_granted(rights, "setuid", "setreuid", "setresuid", "setfsuid")


def _transition(
    permissions: str, pattern: PathPattern, label: _Label, executable: bytes | None
) -> tuple[str, Quoted | None]:
    """`ix`, or into the profile of the executable; a child starts others in theirs, beside or above its own."""
    if not label.children or "ix" not in permissions or not pattern.is_literal or pattern.path == executable:
        return permissions, None
    if pattern.path in label.children:
        kind, target = ("cx", label.children[pattern.path]) if executable is None else ("px", label.of(pattern.path))
    elif executable is not None and pattern.path == label.program:
        kind, target = "px", label.own
    else:
        return permissions, None
    return permissions.replace("ix", kind), quoted_name(target.encode())


def _namespace_rules(rights: Rights, parser: tuple[int, int], warnings: list[str]) -> Iterator[Quoted]:
    """Mounts have rules of their own in every abi, user namespaces and message queues from 4.0 on."""
    for call, rule in _TO_NAMESPACE:
        if is_granted(rights, call):
            warnings.append(f"{rule}: every one is allowed, what it is about is not in the profile")
            yield Quoted(rule)
    if parser < _FOURTH:
        return
    if "user" in namespaces(rights):
        yield Quoted("userns create")
    call, rule = _QUEUE
    if is_granted(rights, call):
        yield Quoted(rule)


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
    return "".join(letter for letter in _PERMISSION_ORDER if letter in letters)


def _processes(rights: Rights, peer: Quoted) -> Iterator[Quoted]:
    """Signals and /proc between the program's own processes, and signals from the launcher, which is unconfined."""
    yield Quoted(f"signal (send, receive) peer={peer}")
    yield Quoted("signal (receive) peer=unconfined")
    access = "trace, tracedby, read, readby" if "ptrace" in rights.all_syscalls() else "read, readby"
    if "ptrace" in access or any(pattern.text.startswith("/proc/@{") for pattern, _ in rights.all_files()):
        yield Quoted(f"ptrace ({access}) peer={peer}")
