"""What this kernel lets the recorder do, by trying every program."""

from __future__ import annotations

import msgspec

from harden.errors import HardenError
from harden.kernel.host import native_arch
from harden.trace.bpf_object import BpfObject, LoadError, trampoline_errno
from harden.trace.config import encode_config
from harden.trace.recorder import CAPABILITY_HOOKS, ESSENTIAL_PROGRAMS, FLUSH_PROGRAM, OPTIONAL_PROGRAMS, SUM_PROGRAM

__all__ = ["ProgramState", "probe_recorder"]


class ProgramState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one BPF program of the recorder loads and attaches here."""

    program: str
    works: bool
    essential: bool
    """Without it nothing is recorded; of the hooks for capabilities one is enough, see `capability_hook`."""
    capability_hook: str = ""
    """fexit, tracepoint or kprobe, for the programs that watch capability checks."""
    reason: str = ""
    hint: str = ""


def probe_recorder() -> list[ProgramState]:
    """The state of every program, essential ones first. Nothing stays loaded. Raises nothing for a refusal."""
    hooks = {program: hook for hook, programs in CAPABILITY_HOOKS.items() for program in programs}
    essential = (*ESSENTIAL_PROGRAMS, FLUSH_PROGRAM, SUM_PROGRAM)
    programs = (*essential, *hooks, *OPTIONAL_PROGRAMS)
    return [_try(program, programs, hooks.get(program, "")) for program in programs]


def _try(program: str, programs: tuple[str, ...], hook: str) -> ProgramState:
    refused: HardenError | None = None
    refusal = trampoline_errno() if hook == "fexit" else 0
    if refusal:
        refused = LoadError(f"load {program}", refusal, "")
    else:
        refused = _load_alone(program, programs)
    return ProgramState(
        program=program,
        works=refused is None,
        essential=not hook and program not in OPTIONAL_PROGRAMS,
        capability_hook=hook,
        reason="" if refused is None else refused.message,
        hint="" if refused is None else refused.hint or "",
    )


def _load_alone(program: str, programs: tuple[str, ...]) -> HardenError | None:
    try:
        with BpfObject() as bpf:
            bpf.disable(other for other in programs if other != program)
            bpf.fill(".rodata.config", encode_config(arch=native_arch(), cgroup_id=0, seed=0))
            bpf.load()
            if program not in (FLUSH_PROGRAM, SUM_PROGRAM):
                bpf.attach(program)
    except HardenError as error:
        return error
    return None
