"""How a program is recorded: by BPF where the kernel lets us, else by seccomp user notification."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import msgspec

from harden.errors import HardenError
from harden.kernel.probe import probe
from harden.launch.plan import Plan, plan
from harden.launch.spawn import Ready, Sandbox, start
from harden.model.backend import Backend
from harden.model.capability import Capability
from harden.model.sandbox import SandboxSpec
from harden.trace import NotifyRecorder, Recorder, RunningRecorder

__all__ = ["Begun", "attach_for_refusals", "begin"]

Streams = tuple[int | None, int | None, int | None]


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A program that waits at the gate, and its recorder."""

    plan: Plan
    sandbox: Sandbox
    ready: Ready
    recorder: RunningRecorder


def begin(
    backend: Backend,
    spec: SandboxSpec,
    stack: ExitStack,
    *,
    named_capabilities: frozenset[Capability],
    streams: Streams,
    one_cpu: bool,
    is_ready_told: bool,
    stacks: bool,
    tell: Callable[[str], None],
) -> Begun:
    """Start the sandbox and its recorder; `stack` closes both. With AUTO, `tell` gets what keeps BPF from recording.

    A recorder that cannot see which capabilities are used holds only those that were named. Raises HardenError.
    """
    features = probe()
    if backend is not Backend.NOTIFY:
        with ExitStack() as trial:
            try:
                begun = _begin_bpf(
                    plan(spec, features, measured=True), trial, streams, is_ready_told=is_ready_told, stacks=stacks
                )
            except _BpfError as error:
                if backend is Backend.BPF:
                    raise HardenError(error.message, hint=error.hint) from None
                tell(f"recording by user notification, without results and capabilities: {error.message}")
            else:
                stack.push(trial.pop_all())
                return begun
    recorder = stack.enter_context(NotifyRecorder())
    held = spec.capabilities & {int(capability) for capability in named_capabilities}
    planned = plan(
        msgspec.structs.replace(spec, listener_cookie=recorder.cookie, capabilities=held), features, measured=True
    )
    stdin, stdout, stderr = streams
    sandbox = stack.enter_context(
        start(planned, stdin=stdin, stdout=stdout, stderr=stderr, calls_fd=recorder.fd, one_cpu=one_cpu)
    )
    return Begun(plan=planned, sandbox=sandbox, ready=sandbox.ready(), recorder=recorder)


class _BpfError(HardenError):
    """BPF cannot record here."""


def _begin_bpf(planned: Plan, stack: ExitStack, streams: Streams, *, is_ready_told: bool, stacks: bool) -> Begun:
    no_cgroup = _BpfError(
        "the BPF recorder needs a cgroup v2 that it can make a child in",
        hint="mount cgroup2 (mount -t cgroup2 none /sys/fs/cgroup) and run as root, or use --backend=notify; "
        "see `harden doctor`",
    )
    if planned.cgroup is None:
        raise no_cgroup
    stdin, stdout, stderr = streams
    sandbox = stack.enter_context(start(planned, stdin=stdin, stdout=stdout, stderr=stderr))
    ready = sandbox.ready()
    if ready.cgroup_id is None:
        raise no_cgroup
    try:
        recorder = stack.enter_context(Recorder.attach(ready.cgroup_id, is_ready_told=is_ready_told, stacks=stacks))
    except HardenError as error:
        raise _BpfError(error.message, hint=error.hint) from None
    return Begun(plan=planned, sandbox=sandbox, ready=ready, recorder=recorder)


def attach_for_refusals(ready: Ready) -> Recorder:
    """The recorder that sees what is refused: only BPF does.

    Under user notification a call that the profile's filter refuses is never reported (of several filters the strictest
    answers, and an errno is stricter than a notification), and one that it allows is reported before it is made: what
    Landlock, AppArmor or a missing capability answers is not seen. Without a denial nothing would be proven, so there
    is no second way. Raises HardenError. Source: seccomp(2), seccomp_unotify(2).
    """
    if ready.cgroup_id is None:
        raise _no_proof("it needs a cgroup v2 that it can make a child in", hint="mount cgroup2 on /sys/fs/cgroup")
    try:
        return Recorder.attach(ready.cgroup_id, refusals=True)
    except HardenError as error:
        raise _no_proof(error.message, hint=error.hint or "see `harden doctor`") from None


def _no_proof(reason: str, *, hint: str) -> HardenError:
    return HardenError(
        f"only the BPF recorder sees what is refused, and it does not run here: {reason}",
        hint=f"{hint}; as root; user notification, which trace falls back to, cannot see how a call ends",
    )
