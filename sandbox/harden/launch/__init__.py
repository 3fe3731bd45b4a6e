"""Plan a sandbox and start it.

What the workflows call (everything else in this folder is how it is done)::

    from harden.kernel.probe import Features, probe          # probe() -> Features, by trial, a few ms
    from harden.launch.plan import Plan, plan                 # plan(spec, features) -> Plan, or ControlUnavailable
    from harden.launch.spawn import Sandbox, exec_plan, start

    plan(spec: SandboxSpec, features: Features, *, measured: bool = False) -> Plan
        measured: what the program uses at most is to be known at its end (Outcome.usage)
        plan.describe() -> tuple[str, ...]    the steps in words (`harden run --plan`)
        plan.notes      -> tuple[str, ...]    what the user should know: such as mounts shown unshifted
        plan.controls   -> tuple[ControlPlan, ...]   every control, asked for or not, and why not

    exec_plan(plan, *, enforced_json: int | None = None, report: tuple[int, bytes] | None = None) -> NoReturn
        replaces this process by harden-exec (`harden run`). `enforced_json`: an open descriptor that receives the
        `Enforced` document as JSON, before the program's first instruction. `report`: an open folder and the name
        there that is replaced by the `EndReport` at the end. Raises HardenError if it cannot exec.

    start(plan, *, gate: bool = True, stdin: int | None = None, stdout: int | None = None, stderr: int | None = None,
            calls_fd: int | None = None, one_cpu: bool = False) -> Sandbox      (`harden trace`: this process stays)
        sandbox.ready(timeout_s=None) -> Ready     blocks until the payload waits at the gate; Ready has
                                              .cgroup_id (int | None: v2 id of the payload's cgroup, the recorder's
                                              scope), .init_pid, .payload_pid (host pids; exclude init_pid)
        sandbox.open_gate() -> None           the payload executes its program
        sandbox.signal(number) -> None        to the payload
        sandbox.wait(timeout_s=None) -> Outcome    raises TimeoutError, or HardenError (ProgramNotFound 127,
                                              NotExecutable 126) if the program never started
        sandbox.poll() -> bool                True when it is over and wait() will not block
        sandbox.fileno() -> int               readable when it is over: for select()
        sandbox.pid -> int                    the supervisor's pid
        sandbox.enter(argv, *, environment, cwd, stdin, stdout, stderr) -> Entered
                                              a helper command inside the namespaces, in a sibling cgroup, not recorded
                                              and not filtered; Entered has .pid, .wait(timeout_s) -> int, .kill()
        sandbox.close() -> None               kills what is left, removes the cgroups (or: with start(plan) as sandbox)

    For view=host, wait() fills Outcome.changes, and the folder spec.commit receives the files.
"""

from __future__ import annotations
