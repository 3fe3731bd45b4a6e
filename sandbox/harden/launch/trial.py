"""Whole sandboxes that are thrown away: whether one starts here, in each view, with all that it has by default."""

from __future__ import annotations

import os

from harden.errors import HardenError
from harden.kernel.features import Features
from harden.launch.plan import plan
from harden.launch.spawn import start
from harden.model.host_feature import HostFeature
from harden.model.sandbox import FileRule, LandlockRules, SandboxSpec, View

__all__ = ["try_sandboxes"]

_TIME_S = 20.0
_READ_AND_EXECUTE = 1 | 4 | 8


def _spec(program: bytes, view: View) -> SandboxSpec:
    rules = LandlockRules(
        handled_files=(1 << 13) - 1,
        handled_network=0,
        scoped=0,
        files=(FileRule(path=b"/", access=_READ_AND_EXECUTE),),
        bind_tcp=(),
        connect_tcp=(),
    )
    return SandboxSpec(
        program=program, argv=(b"true",), environment=(), cwd=b"/", view=view, landlock=rules, timeout_s=_TIME_S
    )


def _try(program: bytes, view: View, features: Features) -> HardenError | None:
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    try:
        planned = plan(_spec(program, view), features)
        with start(planned, gate=False, stdin=null, stdout=null, stderr=null) as sandbox:
            status = sandbox.wait(_TIME_S).status
    except HardenError as error:
        return error
    finally:
        os.close(null)
    return None if status == 0 else HardenError(f"`true` ended with status {status}", hint="please report this")


def try_sandboxes(features: Features) -> tuple[HostFeature, ...]:
    """Run true(1) in a sandbox of each view."""
    program = next((path for path in (b"/usr/bin/true", b"/bin/true") if os.path.exists(path)), b"/bin/sh")
    found = []
    for view, command in ((View.MINIMAL, "run"), (View.HOST, "trace")):
        error = _try(os.path.realpath(program), view, features)
        found.append(
            HostFeature(
                feature=f"sandbox-{view}",
                works=error is None,
                required=True,
                detail="a whole sandbox was started, verified and removed" if error is None else error.message,
                lost=f"harden {command} cannot start a program",
                fix=(error.hint or "") if error is not None else "",
            )
        )
    return tuple(found)
