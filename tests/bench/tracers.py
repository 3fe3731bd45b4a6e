"""Other tools that watch the calls of a program, each as what is put before its command."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.e2e.jobs import HARDEN

__all__ = ["BY_NOTIFICATION", "ON_ONE_CPU", "OURS", "STRACE", "Tracer", "others"]

_COUNT_BY_NUMBER = "tracepoint:raw_syscalls:sys_enter /pid == cpid/ { @[args->id] = count(); }"


@dataclass(frozen=True)
class Tracer:
    """A tool, and how many times less it is given to do: what is compared is the time of one call or a rate."""

    name: str
    program: str
    command: Callable[[Sequence[str]], list[str]]
    fewer: int = 1


def _before(*words: str) -> Callable[[Sequence[str]], list[str]]:
    return lambda command: [*words, *command]


def _with_tracefs(*words: str) -> Callable[[Sequence[str]], list[str]]:
    """In a mount namespace with tracefs, so that nothing is mounted on the host."""
    script = (
        'grep -q "^[^ ]* /sys/kernel/tracing " /proc/mounts || mount -t tracefs none /sys/kernel/tracing; exec "$@"'
    )
    return _before("unshare", "--mount", "sh", "-c", script, "sh", *words)


def _bpftrace(command: Sequence[str]) -> list[str]:
    # It takes the command as one text, split at blanks, and searches no PATH.
    program = shutil.which(command[0])
    assert program, command
    assert all(word and " " not in word for word in command), command
    counting = _with_tracefs("bpftrace", "-q", "-o", "/dev/null", "-e", _COUNT_BY_NUMBER, "-c")
    return counting([" ".join([program, *command[1:]])])


_TRACE = (str(HARDEN), "trace", "--force", "--allow-incomplete", "--net", "host", "--name", "bench")

OURS = Tracer(name="recorded", program=str(HARDEN), command=_before(*_TRACE, "--"))
# Nothing holds a capability then that is not named, and nginx gives its folders away.
_NOTIFY = (*_TRACE, "--backend=notify", "--cap-add", "CHOWN")
BY_NOTIFICATION = Tracer(
    name="user notification",
    program=str(HARDEN),
    command=_before(*_NOTIFY, "--"),
    fewer=20,
)
ON_ONE_CPU = Tracer(
    name="user notification, one CPU",
    program=str(HARDEN),
    command=_before(*_NOTIFY, "--one-cpu", "--"),
    fewer=20,
)
STRACE = Tracer(name="strace -f", program="strace", command=_before("strace", "-f", "-o", "/dev/null"), fewer=20)

_OTHERS = (
    STRACE,
    Tracer(
        name="strace -f --seccomp-bpf of 2 calls",
        program="strace",
        command=_before("strace", "-f", "--seccomp-bpf", "-e", "trace=execve,openat", "-o", "/dev/null"),
    ),
    Tracer(name="bpftrace, counting by number", program="bpftrace", command=_bpftrace),
    Tracer(
        name="perf trace -s",
        program="perf",
        command=_with_tracefs("perf", "trace", "-s", "-o", "/dev/null"),
        fewer=20,
    ),
)


def others() -> list[Tracer]:
    """Those that are installed here."""
    return [tracer for tracer in _OTHERS if shutil.which(tracer.program)]
