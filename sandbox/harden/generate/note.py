"""Sentences that a generated profile carries about itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from harden.model.arch import Arch
from harden.model.recording import Run, SyscallSeen
from harden.model.refused_anyway import TOPOLOGY, UNREADABLE

__all__ = [
    "ENOSYS_CLONE3",
    "MASKED_PATHS",
    "MESSAGE_QUEUES",
    "any_arguments",
    "any_port",
    "calls_refused_anyway",
    "different_programs",
    "foreign_arch",
    "from_memory",
    "on_root",
    "refused_capability",
    "several_builds",
    "several_workloads",
    "unknown_capabilities",
    "unknown_peak",
    "unknown_results",
    "unruled_socket",
]

ENOSYS_CLONE3 = (
    "clone3 is answered with ENOSYS, so that its flags cannot hide a namespace: a program without a fallback to clone "
    "fails; grant it in NAME.local.toml"
)
MESSAGE_QUEUES = (
    "mq_open is refused with EACCES while landlock is in force: no file rule can name a POSIX message queue; "
    'a program that needs them needs landlock = "off" in NAME.local.toml'
)
_NO_MOUNTS = (
    "is refused with EPERM while landlock is in force, which lets no process change what is mounted; a program that "
    'needs it needs landlock = "off" in NAME.local.toml'
)
_NOT_READ = (
    "is answered with ENOSYS where the profile lets the program change files of the host: no filter sees the "
    "set-user-id bits that it can ask for; a program without an older way to do the same fails"
)
MASKED_PATHS = "a path holds a secret that was masked when it was recorded: the rule with [masked] grants nothing real"


def calls_refused_anyway(called: Collection[str]) -> list[str]:
    """Of these calls, those that are refused although they are granted: a sentence for each reason."""
    notes = [text for name, text in (("clone3", ENOSYS_CLONE3), ("mq_open", MESSAGE_QUEUES)) if name in called]
    for names, text in ((TOPOLOGY, _NO_MOUNTS), (UNREADABLE, _NOT_READ)):
        found = sorted(set(names).intersection(called))
        notes += [f"{', '.join(found)} {text}"] if found else []
    return notes


def foreign_arch(arch: Arch, native: Arch, seen: tuple[SyscallSeen, ...]) -> str:
    """Calls of a second ABI were made."""
    names = ", ".join(sorted({call.name for call in seen})[:8])
    return (
        f"system calls of the {arch} ABI were made beside those of {native} ({names}): "
        f"both ABIs are open for every granted name"
    )


def any_arguments(name: str, why: str) -> str:
    """A call takes any arguments."""
    return f"{name} is granted with any arguments: {why}"


def different_programs(programs: Sequence[str], chosen: Run) -> str:
    """The runs started different programs."""
    return f"made from recordings of different programs: {', '.join(programs)}; the workload is that of run {chosen.id}"


def several_builds(count: int, program: str) -> str:
    """The program's file was not the same in all runs."""
    return f"recorded from {count} builds of {program}: no digest is kept, so another build is not noticed"


def several_workloads(count: int, chosen: Run) -> str:
    """The program was started in different ways."""
    return f"recorded with {count} different command lines; the workload is that of run {chosen.id}"


def refused_capability(capability: str, calls: Sequence[str]) -> str:
    """The program asked for a capability that it did not have."""
    inside = f" (in {', '.join(calls)})" if calls else ""
    return f"{capability} was refused while recording{inside}: --cap-add {capability} if it is needed"


def from_memory(names: Sequence[str]) -> str:
    """What was executed or mapped is no file."""
    return (
        f"executed from memory ({', '.join(names)}): a profile cannot grant that by path, and file rules do not "
        f"restrict it"
    )


def on_root(operations: str) -> str:
    """Rights of files were recorded on the root folder."""
    return (
        f'"{operations}" on "/" is not granted: it would hold for every file (a file without a name was used, such as '
        f"one made by memfd_create)"
    )


def any_port(seen: str) -> str:
    """A port that the kernel chose was connected to."""
    return f"{seen} is granted for every port: the program had the kernel choose it (bind to port 0)"


def unruled_socket(operation: str, family: str, address: str) -> str:
    """A socket operation that no network rule was written for."""
    where = address or "(no address)"
    return f"no network rule for {operation} on {family} {where}: its type or address was not recorded"


def unknown_results(absent: int) -> str:
    """The recorder does not see how calls end."""
    names = f"; {absent} names that led to nothing are not" if absent else ""
    return f"recorded without results: everything that was attempted is granted, whether it worked or not{names}"


def unknown_capabilities(held: Sequence[str]) -> str:
    """The recorder does not see checks of capabilities."""
    which = f", those of --cap-add included ({', '.join(held)})" if held else ""
    return (
        f"recorded without checks of capabilities: none is granted{which}; add those that it needs in NAME.local.toml"
    )


def unknown_peak(limit: str, unknown: int, runs: int) -> str:
    """Some runs do not tell what they used at most."""
    return f"{limit} is not limited: {unknown} of {runs} runs do not tell their peak; record them again for a limit"
