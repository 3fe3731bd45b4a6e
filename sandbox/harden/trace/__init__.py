"""The recorder: eBPF programs that watch the tasks of one cgroup, and the reading of what they saw.

    recorder = Recorder.attach(cgroup_id)         # loads and attaches; a thread drains the ring buffer
    ...                                           # open the gate: the payload's execve starts its recording
    observations = recorder.stop()                # detaches, flushes, reads every map; also on leaving `with`
    run = build_run(observations, workload=…, host=…, status=…, changes=(…), peaks={…}, resolve=…)

`attach(cgroup_id)` takes the cgroup v2 id (the inode number of its folder). A task is recorded from the first execve
that it completes inside that cgroup or a descendant while the recorder is attached; everything it forks is recorded
from its first instruction. Tasks of the cgroup that never exec (a sandbox's PID 1, set-up code) are not recorded, nor
is the execve that starts the payload. Call `stop()` after the payload's tasks have been waited for or killed.
With `attach(cgroup_id, refusals=True)`, `decode_refusals(observations)` of `harden.trace.decode_refusals` gives what
seccomp filters refused.

With `attach(cgroup_id, stacks=True)` the kernel side copies the user stack of everything new, with what is executable
in the address space then; `build_run` unwinds it by the call frame information of the files (`Run.stacks`).

`NotifyRecorder()` is the other one, for who may not load BPF: its descriptor and cookie go to the sandbox, whose own
harden-exec records; `stop()` reads what it left. It sees neither results nor capabilities (`Observations.unseen`).

`build_run(observations, *, workload, status, host=None, changes=(), peaks={}, resolve=None)` is pure apart from what
`resolve` reads: `resolve(path: bytes) -> bytes | None` gives the host file that shows `path` of the sandbox, for
digests, build ids and loaders (None: unknown). `host_of(observations)` is the `Host` of this machine.

`probe_recorder()` tries every program by loading it and says what is missing and how to get it (for `harden doctor`).

Paths: `resolution=object` paths come from the kernel's own dentries, from the root of the mount namespace;
`resolution=lexical` ones are the given name joined to the resolved folder, with `.`, `..` and `//` removed as text.
Where symbolic links led to an object, the name that was given is recorded too, as looked at (`stat`); not for a chdir
by a relative name, which can no longer be joined to the folder that was left.
"""

from __future__ import annotations

from harden.trace.notify_recorder import NotifyRecorder
from harden.trace.observations import Observations
from harden.trace.probe import ProgramState, probe_recorder
from harden.trace.progress import Progress
from harden.trace.recorder import Recorder
from harden.trace.run import build_run, host_of
from harden.trace.running import RunningRecorder

__all__ = [
    "NotifyRecorder",
    "Observations",
    "ProgramState",
    "Progress",
    "Recorder",
    "RunningRecorder",
    "build_run",
    "host_of",
    "probe_recorder",
]
