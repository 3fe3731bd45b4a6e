"""Start a planned sandbox: by becoming harden-exec (`harden run`) or beside it (`harden trace`)."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any, NoReturn

import msgspec

from harden.errors import KernelError
from harden.kernel.caller import parent
from harden.kernel.cgroupfs import LIMITED, make_cgroup
from harden.kernel.executable import open_harden_exec, sealed_memfd
from harden.kernel.idmap import claim_id_range
from harden.launch.encode import Header, encode
from harden.launch.plan import Plan
from harden.launch.process import fill_standard_streams, spawn
from harden.launch.sandbox import Entered, Ready, Sandbox

__all__ = ["Entered", "Ready", "Sandbox", "exec_plan", "run_header", "start"]


def run_header(plan: Plan) -> Header:
    """What the header of a run holds whatever its descriptors are."""
    return Header(timeout_s=plan.spec.timeout_s, die_with_parent=plan.spec.isolation.die_with_parent)


def exec_plan(plan: Plan, *, enforced_json: int | None = None, report: tuple[int, bytes] | None = None) -> NoReturn:
    """Replace this process by harden-exec. `enforced_json` receives the Enforced document as JSON; `report`, an open
    folder and a name in it, is replaced by the EndReport when all is over.

    Raises HardenError when it cannot be started; from then on harden-exec prints its own errors.
    """
    fill_standard_streams()
    program = open_harden_exec()
    ids = claim_id_range() if plan.needs_id_range else None
    # There are no helper commands in a run, and nobody would be left to remove their cgroup.
    cgroup = make_cgroup(plan.cgroup, helper=False, controllers=plan.controllers) if plan.cgroup is not None else None
    try:
        header = msgspec.structs.replace(
            run_header(plan),
            enforced_fd=-1 if enforced_json is None else enforced_json,
            cgroup_fd=-1 if cgroup is None else cgroup.payload_fd,
            cgroup_base_fd=-1 if cgroup is None else cgroup.base_fd,
            cgroup_leaf=b"" if cgroup is None else f"{cgroup.name}/{LIMITED}/payload".encode(),
            cgroup_top=b"" if cgroup is None else cgroup.name.encode(),
            **({} if report is None else _report_fields(plan, *report)),
        )
        encoded = sealed_memfd("plan", encode(plan.ops, header, first_id=0 if ids is None else ids.first))
        kept = [encoded, header.enforced_fd, header.report_fd, header.cgroup_fd, header.cgroup_base_fd]
        kept += [] if ids is None else [ids.lock]
        for descriptor in kept:
            if descriptor >= 0:
                os.set_inheritable(descriptor, True)
        _exec(program, encoded)
    except BaseException:
        if cgroup is not None:
            cgroup.remove()
        raise


def _report_fields(plan: Plan, folder: int, name: bytes) -> dict[str, Any]:
    lines = (f"{what} {reason}" for what, reason in plan.uncounted)
    return {"report_fd": folder, "report_name": name, "report_unknown": os.fsencode("\n".join(lines))}


def _exec(program: int, encoded: int) -> NoReturn:
    try:
        os.execve(program, [b"harden-exec", b"%d" % encoded, b"%d" % parent()], {})
    except OSError as error:
        raise KernelError(
            "execve(harden-exec)", error.errno or 0, hint="the sysctl vm.memfd_noexec must be 0, and /proc mounted"
        ) from None


def start(
    plan: Plan,
    *,
    gate: bool = True,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    calls_fd: int | None = None,
    one_cpu: bool = False,
) -> Sandbox:
    """Start harden-exec beside this process; see Sandbox. Without `gate` the program starts at once.

    `calls_fd`: the memfd that calls are recorded in, for a spec with a `listener_cookie`; with `one_cpu` program and
    recorder share one processor.

    The three descriptors become the program's; None shares this process's own. Raises HardenError.
    """
    fill_standard_streams()
    with ExitStack() as stack:
        program = _closing(stack, open_harden_exec())
        ids = claim_id_range() if plan.needs_id_range else None
        if ids is not None:
            _closing(stack, ids.lock)
        status_reader, status_writer = os.pipe2(os.O_CLOEXEC)
        gate_reader, gate_writer = os.pipe2(os.O_CLOEXEC)
        # Nobody ever writes: harden-exec sees the hang-up when this process is gone.
        lifeline_reader, lifeline_writer = os.pipe2(os.O_CLOEXEC)
        for descriptor in (status_writer, gate_reader, lifeline_reader):
            _closing(stack, descriptor)
        ours = ExitStack()
        stack.push(lambda kind, *_: ours.close() if kind is not None else None)
        for descriptor in (status_reader, gate_writer, lifeline_writer):
            _closing(ours, descriptor)
        cgroup = make_cgroup(plan.cgroup, controllers=plan.controllers) if plan.cgroup is not None else None
        if cgroup is not None:
            ours.callback(cgroup.close)
            ours.callback(cgroup.remove)
        header = Header(
            status_fd=status_writer,
            gate_fd=gate_reader if gate or plan.layers else -1,
            lifeline_fd=lifeline_reader,
            cgroup_fd=-1 if cgroup is None else cgroup.payload_fd,
            quiet=True,
            timeout_s=plan.spec.timeout_s,
            notify_fd=-1 if calls_fd is None else calls_fd,
            one_cpu=one_cpu,
        )
        first_id = 0 if ids is None else ids.first
        encoded = _closing(stack, sealed_memfd("plan", encode(plan.ops, header, first_id=first_id)))
        inherited = [encoded, status_writer, gate_reader, lifeline_reader, *plan.spec.isolation.pass_fds]
        inherited += [cgroup.payload_fd] if cgroup is not None else []
        inherited += [ids.lock] if ids is not None else []
        inherited += [calls_fd] if calls_fd is not None else []
        pid = spawn(program, encoded, inherited, (stdin, stdout, stderr))
        sandbox = Sandbox(
            plan=plan,
            pid=pid,
            cgroup=cgroup,
            first_id=first_id,
            status_fd=status_reader,
            gate_fd=gate_writer,
            lifeline_fd=lifeline_writer,
        )
    if not gate and plan.layers:
        # The layers must be in this process's hands before the program can end.
        try:
            sandbox.ready()
        except BaseException:
            sandbox.close()
            raise
        sandbox.open_gate()
    return sandbox


def _closing(stack: ExitStack, descriptor: int) -> int:
    stack.callback(os.close, descriptor)
    return descriptor
