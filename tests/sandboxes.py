"""Starts programs in real sandboxes, for the live tests of the launcher. Each runs in a child of its own."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from harden.kernel.features import Features
from harden.kernel.probe import probe
from harden.launch.plan import Plan, plan
from harden.launch.spawn import start
from harden.model.outcome import Outcome
from harden.model.sandbox import SandboxSpec, View

ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65534
CAP_SYS_ADMIN = 21
CAP_NET_BIND_SERVICE = 10


class Ended(msgspec.Struct, frozen=True):
    """What a sandboxed program wrote to its standard output and error, and how it ended."""

    text: str
    outcome: Outcome


@functools.cache
def features() -> Features:
    """Probed once: the tests of the probe probe for themselves."""
    return probe()


def spec_of(*command: object, **changes: Any) -> SandboxSpec:
    """A spec that runs `command` (its first word an absolute path) in / with the host's files, no rights at all."""
    words = tuple(os.fsencode(str(word)) for word in command)
    base = SandboxSpec(
        program=os.path.realpath(words[0]), argv=words, environment=(b"PATH=/usr/bin:/bin",), cwd=b"/", view=View.HOST
    )
    return msgspec.structs.replace(base, **changes)


def shell(script: str, **changes: Any) -> SandboxSpec:
    """A spec that runs a shell script."""
    return spec_of("/bin/sh", "-c", script, **changes)


def plan_of(spec: SandboxSpec) -> Plan:
    """The plan on this host."""
    return plan(spec, features())


def run(spec: SandboxSpec, *, timeout_s: float = 30) -> Ended:
    """Run it to its end beside this process."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with start(plan_of(spec), gate=False, stdin=null, stdout=writer, stderr=writer) as sandbox:
            os.close(writer)
            writer = -1
            with open(reader, "rb", closefd=False) as output:
                text = output.read().decode(errors="replace")
            return Ended(text, sandbox.wait(timeout_s))
    finally:
        for descriptor in (reader, writer, null):
            if descriptor >= 0:
                os.close(descriptor)


def run_script(spec: SandboxSpec) -> str:
    """Run it, expect status 0, and give what it wrote."""
    ended = run(spec)
    assert ended.outcome.status == 0, ended.text
    return ended.text


def python(
    code: str, *arguments: str, uid: int | None = None, timeout_s: float = 60, prefix: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run Python code with harden importable in a child, as another user if asked for, after `prefix`."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}/sandbox:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    become = [] if uid is None else ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    return subprocess.run(
        [*become, *prefix, sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
        env=environment,
        cwd="/",
    )


_HARDEN_RUN = """
import sys, msgspec
from harden.errors import HardenError
from harden.kernel.probe import probe
from harden.launch.plan import plan
from harden.launch.spawn import exec_plan
from harden.model.sandbox import SandboxSpec
from tests.outer_filter import refuse
Request = tuple[SandboxSpec, list[int], list[int], int, int]
spec, before, after, errno, enforced = msgspec.json.decode(sys.argv[1], type=Request)
try:
    refuse(before, errno)
    planned = plan(spec, probe())
    refuse(after, errno)
    exec_plan(planned, enforced_json=enforced if enforced > 0 else None)
except HardenError as error:
    print(f"harden: {error.message}\\nhint: {error.hint}", file=sys.stderr)
    sys.exit(error.exit_status)
"""


def harden_run(
    spec: SandboxSpec,
    *,
    uid: int | None = None,
    refuse_before: tuple[int, ...] = (),
    refuse_after: tuple[int, ...] = (),
    errno: int = 38,
) -> subprocess.CompletedProcess[str]:
    """Run it the way `harden run` does: a child plans, and becomes harden-exec.

    The system calls of `refuse_before` fail with `errno` already while it plans, those of `refuse_after` only then.
    """
    request = msgspec.json.encode((spec, refuse_before, refuse_after, errno, 0)).decode()
    return python(_HARDEN_RUN, request, uid=uid)
