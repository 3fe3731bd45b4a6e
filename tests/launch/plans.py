"""Good plans, from which bad ones are made."""

from __future__ import annotations

from harden.launch.plan import Plan
from harden.model.sandbox import FileRule, LandlockRules, SeccompFilter, View
from tests.sandboxes import plan_of, shell

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
