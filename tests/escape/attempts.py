"""Runs an attacker (tests/programs/attack_*.c) in a sandbox or without one, and reads what it printed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from harden.bpf.compile import compile_filter
from harden.model.arch import Arch
from harden.model.capability import Capability
from harden.model.origin import Origin
from harden.model.profile import Rights
from harden.model.sandbox import LandlockRules, SandboxSpec, SeccompFilter, View
from tests.sandboxes import NOBODY, harden_run, run, spec_of

USERS = [None, NOBODY]
"""Who runs harden: root, and an ordinary user."""
VIEWS = [View.HOST, View.MINIMAL]
EVERY_CAPABILITY = frozenset(int(capability) for capability in Capability)
LAUNCHES = int(os.environ.get("HARDEN_LAUNCHES", "60"))
"""How often the tests that need many launches start one; `make test-escape` sets more."""
NOTHING_GRANTED = LandlockRules(
    handled_files=(1 << 15) - 1, handled_network=3, scoped=3, files=(), bind_tcp=(), connect_tcp=()
)
_COOKIE = 0x0123456789ABCDEF
_START = (
    "arch_prctl brk exit exit_group fstat futex getrandom madvise mmap mprotect munmap newfstatat prlimit64 read "
    "readlink readlinkat rseq rt_sigaction rt_sigprocmask set_robust_list set_tid_address write"
)
"""What a static program needs to begin, print and end."""

Attempts = dict[str, str]
"""Name of an attempt → "done", or the name of the errno that it failed with."""


def read_attempts(text: str) -> Attempts:
    """What an attacker printed; of several attempts of one name a successful one counts."""
    lines = [line.split(" ", 1) for line in text.splitlines() if " " in line]
    return {name: result for done_last in (False, True) for name, result in lines if (result == "done") is done_last}


def spec_for(program: Path | str, *arguments: object, **changes: Any) -> SandboxSpec:
    """A spec that runs an attacker in the minimal view, or in what `changes` say."""
    return spec_of(program, *arguments, **{"view": View.MINIMAL, **changes})


def launch(spec: SandboxSpec, uid: int | None) -> tuple[int, str]:
    """Its status and what it wrote, started by root or by that user. Raises HardenError (root) if it cannot be."""
    if uid is None:
        ended = run(spec)
        return ended.outcome.status, ended.text
    started = harden_run(spec, uid=uid)
    return started.returncode, started.stdout + started.stderr


def attack(program: Path | str, *arguments: object, uid: int | None = None, **changes: Any) -> Attempts:
    """What it could do in the sandbox; it has to come to its own end."""
    status, text = launch(spec_for(program, *arguments, **changes), uid)
    assert status == 0, text
    return read_attempts(text)


def attack_bare(program: Path | str, *arguments: object, prefix: tuple[str, ...] = ()) -> Attempts:
    """What it can do without harden, after `prefix` (such as unshare(1), so that the host stays as it is)."""
    command = [*prefix, str(program), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, stdin=subprocess.DEVNULL)
    return read_attempts(ended.stdout)


def done(attempts: Attempts, *, but: tuple[str, ...] = ()) -> set[str]:
    """The names of the attempts that succeeded, without those that are meant to."""
    return {name for name, result in attempts.items() if result == "done"} - set(but)


def granted(calls: str = "", **arguments: tuple[str, ...]) -> SeccompFilter:
    """The filter of a profile that grants a static program's start and these system calls. `arguments`: call → the
    one combination of its recorded arguments that is granted."""
    rights = Rights(
        architectures=(Arch.X86_64,),
        syscalls={Origin.OBSERVED: tuple(sorted({*_START.split(), *calls.split(), *arguments}))},
        arguments={name: {Origin.OBSERVED: (values,)} for name, values in arguments.items()},
    )
    compiled = compile_filter(rights, exec_cookie=_COOKIE)
    return SeccompFilter(program=compiled.program, exec_cookie=compiled.exec_cookie)
