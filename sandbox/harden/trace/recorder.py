"""The recorder's life: load, attach, drain in a thread, stop."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Final

from harden.errors import HardenError
from harden.kernel.clock import kernel_monotonic_ns
from harden.kernel.host import native_arch
from harden.model.arch import Arch
from harden.model.recording import Unseen
from harden.trace.bpf_object import BpfObject, LoadError, trampoline_errno
from harden.trace.config import encode_config
from harden.trace.kernel_stack import hides_symbols, probing_stacks
from harden.trace.layout import (
    COMBINATIONS,
    DISTINCT,
    ArgumentKey,
    CapabilityKey,
    CombinationKey,
    CountKey,
    RefusalKey,
    RingKey,
    SeenKey,
    SignalKey,
    parse_event,
    parse_records,
    parse_state,
    unpack_entries,
    unpack_tallies,
)
from harden.trace.observations import Observations
from harden.trace.progress import Progress, describe_event
from harden.trace.stack_records import parse_stack_records
from harden.trace.tally_maps import read_tallies

__all__ = ["CAPABILITY_HOOKS", "ESSENTIAL_PROGRAMS", "FLUSH_PROGRAM", "OPTIONAL_PROGRAMS", "SUM_PROGRAM", "Recorder"]

ESSENTIAL_PROGRAMS: Final = ("process_exec", "process_fork", "process_exit", "call_enter", "call_exit")
"""Attached in this order: a task is known before its calls are counted."""
FLUSH_PROGRAM: Final = "flush_task"
SUM_PROGRAM: Final = "sum_task"
OPTIONAL_PROGRAMS: Final = ("signal_sent", "ring_submitted")
"""Left out where the kernel does not take them: what they see only adds to what the calls say."""
CAPABILITY_HOOKS: Final = {
    "fexit": ("capability_fexit",),
    "tracepoint": ("capability_tracepoint",),
    "kprobe": ("capability_kprobe", "capability_kretprobe"),
}
"""Ways to see cap_capable, best first. fexit and kprobe see whether the check is audited, the tracepoint does not."""

_DRAIN_MS: Final = 20
_MEMORY_LIMIT: Final = 256 << 20
_STACK_MEMORY_LIMIT: Final = 64 << 20
_SMALLEST_RING: Final = 4096
_EVENTS, _USER_STACKS = 0, 1


class Recorder:
    """Records one cgroup from `attach` to `stop`. Recorders do not see each other's cgroups."""

    def __init__(
        self,
        bpf: BpfObject,
        *,
        arch: Arch,
        capability_hook: str,
        left_out: frozenset[str],
        combinations: int,
        stacks: bool,
    ) -> None:
        self._bpf = bpf
        self._arch = arch
        self._combinations = combinations
        self.takes_stacks = stacks
        """Whether the user stacks of what is new are taken."""
        without = "".join(f"; without {name}" for name in sorted(left_out))
        self.description = f"bpf (tp_btf; capabilities: {capability_hook}{without})"
        """The backend and its hooks, as a recording names them."""
        self._start_ns = 0
        self._observations: Observations | None = None
        self._drain_error: HardenError | None = None
        self._last = (0, b"", 0.0)
        """How many events came, the last of them, and when."""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._drain_until_stopped, name="harden-recorder", daemon=True)

    @classmethod
    def attach(
        cls,
        cgroup_id: int,
        *,
        combinations: int = COMBINATIONS,
        distinct: int = DISTINCT,
        is_ready_told: bool = False,
        refusals: bool = False,
        stacks: bool = False,
        capability_hooks: Sequence[str] = tuple(CAPABILITY_HOOKS),
    ) -> Recorder:
        """Load and attach for the cgroup v2 with this id (its folder's inode number) and its descendants.

        `combinations` bounds the distinct arguments kept per executable, phase and call, `distinct` the operations on
        paths and sockets; what goes beyond makes the recording incomplete. With `is_ready_told` the phase
        `serving` begins with `begin_serving()`, else where each thread first waits for requests. `refusals` also tells
        what seccomp filters refused, which every call of the program pays for. `stacks` also takes the user stack of
        everything new, where the kernel lets its mappings be looked at. Raises HardenError when an essential program
        cannot be loaded, with what would fix it.
        """
        arch = native_arch()
        seed = int.from_bytes(os.urandom(8), "little")
        config = partial(
            encode_config,
            arch=arch,
            cgroup_id=cgroup_id,
            seed=seed,
            combinations=combinations,
            is_ready_told=is_ready_told,
            refusals=refusals,
        )
        bpf, hook, left_out, stacks = _load(config, distinct, capability_hooks, stacks=stacks and arch in {Arch.X86_64})
        try:
            bpf.open_ring("events", _MEMORY_LIMIT)
            bpf.open_ring("user_stacks", _STACK_MEMORY_LIMIT)
            recorder = cls(
                bpf, arch=arch, capability_hook=hook, left_out=left_out, combinations=combinations, stacks=stacks
            )
            for program in ESSENTIAL_PROGRAMS:
                bpf.attach(program)
        except BaseException:
            bpf.close()
            raise
        recorder._thread.start()
        return recorder

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def poll(self) -> int:
        """Take what the ring buffer holds now; the thread does the same all the time. Returns the number of events."""
        with self._lock:
            return self._bpf.drain(0) if self._observations is None else 0

    def begin(self) -> None:
        """The gate opens now: times are counted from here on. Without it they are not known."""
        self._start_ns = kernel_monotonic_ns()

    def begin_serving(self) -> None:
        """Every recorded thread is in the phase `serving` from its next call on; does nothing after `stop()`."""
        if self._observations is None:
            self._bpf.write(".data.control", struct.pack("=I", 1))

    def progress(self) -> Progress:
        """What was recorded so far, for whoever watches; not after `stop()` began."""
        bpf = self._bpf
        before = parse_state(bpf.read(".data.state"))
        bpf.iterate(SUM_PROGRAM)
        state = parse_state(bpf.read(".data.state"))
        counts, _ = unpack_tallies(CountKey, bpf.read("counts"), 0)
        counted = sum(count for key, count in counts.items() if not key.error)
        new, last, last_s = self._last
        return Progress(
            calls=counted + state.unflushed - before.unflushed,
            tasks=state.tasks,
            new=new,
            last=describe_event(parse_event(last), self._arch) if last else "",
            last_s=last_s,
            lost=sum(state.losses.values()),
        )

    def stop(self) -> Observations:
        """Detach, take the counters of tasks that still live, read everything; the same value when called again."""
        if self._observations is None:
            self._stopping.set()
            self._thread.join()
            if self._drain_error is not None:
                raise self._drain_error
            self._bpf.detach()
            self._bpf.iterate(FLUSH_PROGRAM)
            self._bpf.drain(0)
            self._observations = self._read()
            self._bpf.close()
        return self._observations

    def close(self) -> None:
        """Unload without reading; does nothing after `stop()`."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._bpf.close()

    def _drain_until_stopped(self) -> None:
        try:
            while not self._stopping.is_set():
                with self._lock:
                    if self._bpf.drain(_DRAIN_MS) and (last := self._bpf.last_record())[0] != self._last[0]:
                        self._last = (*last, time.monotonic())
        except HardenError as error:
            self._drain_error = error

    def _read(self) -> Observations:
        bpf = self._bpf
        state = parse_state(bpf.read(".data.state"))
        losses = dict(state.losses)
        losses["memory"] = bpf.overflows(_EVENTS)
        losses["skipped"] = bpf.misses()
        seen, firsts = read_tallies(bpf, self._start_ns)
        capabilities = seen[CapabilityKey]
        stacks = bpf.read("stacks") if any(key.stack >= 0 for key in capabilities) else b""
        # Said where the recording names its recorder: more is then taken for needed, nothing is missing.
        hidden = "; kernel symbols hidden, so checks that only look count as real" if stacks and hides_symbols() else ""
        stack_losses = {**state.stack_losses, "memory": bpf.overflows(_USER_STACKS)}
        return Observations(
            recorder=self.description + hidden,
            arch=self._arch,
            unseen=() if self.takes_stacks else (Unseen.STACKS,),
            stacks=parse_stack_records(bpf.records(_USER_STACKS), stack_losses),
            events=tuple(parse_event(record) for record in parse_records(bpf.records(_EVENTS))),
            seen=seen[SeenKey],
            counts=seen[CountKey],
            arguments=seen[ArgumentKey],
            combinations=unpack_entries(CombinationKey, bpf.read("combinations")),
            combination_limit=self._combinations,
            refusals=unpack_entries(RefusalKey, bpf.read("refusals")),
            capabilities=capabilities,
            probing_stacks=probing_stacks(stacks),
            signals=seen[SignalKey],
            rings=seen[RingKey],
            firsts=firsts,
            tasks_peak=state.tasks_peak,
            descriptors_peak=state.descriptors_peak,
            descriptors_asked=state.descriptors_asked,
            losses={name: count for name, count in losses.items() if count},
        )


def _load(
    config: Callable[..., bytes], distinct: int, hooks: Sequence[str], *, stacks: bool
) -> tuple[BpfObject, str, frozenset[str], bool]:
    """The loaded object, with the optional programs attached and the first capability hook that the kernel takes;
    which hook that is, the optional programs that it refused, and whether stacks are taken: what cannot be loaded with
    them is tried again without.
    """
    refused: list[LoadError] = []
    left_out: frozenset[str] = frozenset()
    remaining = [(hook, takes) for hook in hooks for takes in ((True, False) if stacks else (False,))]
    while remaining:
        hook, takes = remaining[0]
        refusal = trampoline_errno() if hook == "fexit" else 0
        if refusal:
            refused.append(LoadError("load capability_fexit", refusal, "", program="capability_fexit"))
            remaining = [each for each in remaining if each[0] != hook]
            continue
        try:
            return _load_with(config(stacks=takes), distinct, hook, left_out, stacks=takes), hook, left_out, takes
        except LoadError as error:
            if error.program in OPTIONAL_PROGRAMS:
                left_out |= {error.program}
            elif takes:
                remaining.pop(0)
                left_out = frozenset()
            elif error.program in CAPABILITY_HOOKS[hook]:
                refused.append(error)
                remaining.pop(0)
            else:
                raise
    raise HardenError(
        "recording: this kernel offers no hook for capability checks: "
        + "; ".join(f"{error.program}: {os.strerror(error.errno)}" for error in refused),
        hint="it needs one of: fexit on cap_capable, the tracepoint capability:cap_capable, kprobes",
    )


def _load_with(config: bytes, distinct: int, hook: str, left_out: frozenset[str], *, stacks: bool) -> BpfObject:
    """The object with one capability hook, and without some optional programs; LoadError names what was refused."""
    bpf = BpfObject()
    others = {program for other, programs in CAPABILITY_HOOKS.items() if other != hook for program in programs}
    try:
        bpf.disable(others | left_out)
        bpf.fill(".rodata.config", config)
        bpf.resize("seen", distinct)
        if not stacks:
            bpf.resize("user_stacks", _SMALLEST_RING)
        bpf.load()
        for program in (*CAPABILITY_HOOKS[hook], *(name for name in OPTIONAL_PROGRAMS if name not in left_out)):
            bpf.attach(program)
    except BaseException:
        bpf.close()
        raise
    return bpf
