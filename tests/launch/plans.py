"""Good plans, from which bad ones are made."""

from __future__ import annotations

import os

import msgspec

from harden.kernel.controllers import CONTROLLERS, Controller
from harden.launch.plan import Plan, plan
from harden.model.isolation import Isolation, OverlayMount, TmpfsMount
from harden.model.limit import DeviceRule, Limits, Rlimit
from harden.model.sandbox import FileRule, LandlockRules, SeccompFilter, View
from tests.sandboxes import features, plan_of, shell

ALLOW_ALL = b"\x06\0\0\0\0\0\xff\x7f"


def small_plan() -> Plan:
    """A plan with every kind of operation that the minimal view and Landlock bring."""
    rules = LandlockRules(
        handled_files=7,
        handled_network=3,
        scoped=0,
        files=(FileRule(path=b"/usr", access=5),),
        bind_tcp=(80,),
        connect_tcp=(443,),
    )
    seccomp = SeccompFilter(program=ALLOW_ALL, exec_cookie=1 << 40)
    return plan_of(shell("true", view=View.MINIMAL, landlock=rules, seccomp=seccomp))


def full_plan() -> Plan:
    """One with every kind of operation that the command line adds, as if this host gave all of them."""
    host = msgspec.structs.replace(features(), controllers=dict.fromkeys(CONTROLLERS, Controller()))
    null = os.stat("/dev/null").st_rdev
    device = DeviceRule(path=b"/dev/null", character=True, major=os.major(null), minor=os.minor(null))
    isolation = Isolation(
        limits=Limits(cpus=0.5, pids=5, devices=(device,)),
        rlimits=(Rlimit(name="nofile", resource=7, soft=64, hard=64),),
        groups=(5,),
        tmpfs=(TmpfsMount(target=b"/scratch"),),
        overlays=(OverlayMount(lower=b"/etc", target=b"/copy"),),
        pass_fds=(57, 60),
    )
    return plan(shell("true", view=View.MINIMAL, isolation=isolation), host)
