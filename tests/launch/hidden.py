"""Many starts of one sandbox, each with another system call hidden from it: one child probes and plans, and forks."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harden.model.sandbox import SandboxSpec
from tests.sandboxes import python

__all__ = ["Ended", "Hidden", "run_hidden"]


class Hidden(msgspec.Struct, frozen=True):
    """A system call, or one option of it, that fails with `errno`; from before the probe on, or after the plan.

    0: it succeeds, and nothing is done.
    """

    number: int
    errno: int
    option: tuple[int, int] | None = None
    """Only where this argument has this value."""
    early: bool = False
    no_new_privs: bool = True
    """Whether the filter's maker gave up new privileges, as an ordinary user has to."""


class Ended(msgspec.Struct, frozen=True):
    """How it ended, and what it wrote."""

    status: int
    output: str
    message: str


class Request(msgspec.Struct, frozen=True):
    """What the child is to do."""

    spec: SandboxSpec
    cases: tuple[Hidden, ...]


_CHILD = """
import os, select, signal, sys, tempfile, msgspec
from harden.errors import HardenError
from harden.kernel.probe import probe
from harden.launch.plan import plan
from harden.launch.spawn import exec_plan
from tests.launch.hidden import Ended, Request
from tests.outer_filter import refuse

request = msgspec.json.decode(sys.argv[1], type=Request)
planned = plan(request.spec, probe())

def start(case):
    refuse([case.number], case.errno, when=case.option, no_new_privs=case.no_new_privs)
    try:
        exec_plan(plan(request.spec, probe()) if case.early else planned)
    except HardenError as error:
        print(f"harden: {error.message}\\nhint: {error.hint}", file=sys.stderr, flush=True)
        os._exit(error.exit_status)
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(99)

def end(case):
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as message:
        pid = os.fork()
        if pid == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(message.fileno(), 2)
            start(case)
        if not select.select([os.pidfd_open(pid)], [], [], 20)[0]:
            os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        texts = [os.pread(file.fileno(), 65536, 0).decode(errors="replace") for file in (output, message)]
    return Ended(status, *texts)

sys.stdout.buffer.write(msgspec.json.encode([end(case) for case in request.cases]))
"""


def run_hidden(
    spec: SandboxSpec, cases: Sequence[Hidden], uid: int | None, *, prefix: tuple[str, ...] = ()
) -> list[Ended]:
    """Start it once for each case, as root or as that user; all of them after `prefix`."""
    request = msgspec.json.encode(Request(spec, tuple(cases))).decode()
    ended = python(_CHILD, request, uid=uid, timeout_s=110, prefix=prefix)
    assert ended.returncode == 0, ended.stderr
    return msgspec.json.decode(ended.stdout, type=list[Ended])
