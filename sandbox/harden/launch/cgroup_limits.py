"""Limits of the sandbox's cgroup: which can be enforced here, how they are written, and how they are read back."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from typing import Final

import msgspec

from harden.kernel.controllers import CONTROLLERS
from harden.kernel.features import Features
from harden.launch.demands import ControlPlan, Demands
from harden.launch.device_program import ALWAYS, device_program
from harden.launch.ops import Check, Code, Op, Stage, op
from harden.model.control import Control, Enforcement, Requirement
from harden.model.limit import DeviceRule, Limits
from harden.model.sandbox import SandboxSpec

__all__ = ["LIMITS", "controllers_for", "limit_ops", "plan_limits", "uncounted", "unenforced"]

LIMITS: Final = (*CONTROLLERS, Control.DEVICES)
"""The controls of this module."""
_OPTIONS: Final = {
    Control.CPU: "--cpus",
    Control.MEMORY: "--memory",
    Control.PIDS: "--pids",
    Control.IO: "--io",
    Control.CPUSET: "--cpuset",
}
_PAGE: Final = resource.getpagesize()
_MEASURED: Final = (Control.MEMORY, Control.PIDS)
"""Controllers that a recording reads peaks from."""


def limits_of(spec: SandboxSpec) -> Limits:
    """Those that were given, and the profile's where none was. Memory is limited in whole pages."""
    given, learned = spec.isolation.limits, spec.learned
    memory, pids = given.memory, given.pids
    if memory is None and learned.memory is not None:
        memory = learned.memory // _PAGE * _PAGE
    if pids is None and learned.pids is not None:
        pids = learned.pids + 1
    return msgspec.structs.replace(given, memory=memory, pids=pids)


def _device_rules(spec: SandboxSpec) -> tuple[DeviceRule, ...]:
    return (*ALWAYS, *spec.isolation.limits.devices)


def _devices(demands: Demands, *, asked: bool) -> None:
    features = demands.features
    if not asked and not demands.wanted(Control.DEVICES):
        return
    if not features.works("devices"):
        demands.give_up(Control.DEVICES, features.detail("devices"), asked=asked)
    else:
        demands.enforce(Control.DEVICES, Check.DEVICES, number=len(_device_rules(demands.spec)))


def plan_limits(demands: Demands) -> None:
    """Decide about the six controls. A limit that was asked for by value is required, whatever the profile says; one
    that was learned is preferred, unless the profile says something.
    """
    limits, asked = limits_of(demands.spec), demands.spec.isolation.limits.controls()
    switched_off = {each for each, wanted in demands.spec.requirements.items() if wanted is Requirement.OFF} - asked
    limited = limits.controls() - switched_off
    for control in CONTROLLERS:
        if control not in limited:
            if demands.wanted(control):
                demands.give_up(control, "no limit was given", fix=f"give one: {_OPTIONS[control]}")
            continue
        state = demands.features.controllers[control]
        if not state.works:
            demands.give_up(control, state.reason, asked=control in asked, fix=state.fix)
        elif not demands.features.works("clone-into-cgroup"):
            demands.give_up(control, demands.features.detail("clone-into-cgroup"), asked=control in asked)
        else:
            lines = [f"{file.name} {file.value}" for file in limits.files() if file.control is control]
            demands.enforce(control, Check.LIMITS, expected="\n".join(lines).encode())
    _devices(demands, asked=Control.DEVICES in asked)


def unenforced(controls: Iterable[ControlPlan], spec: SandboxSpec) -> list[str]:
    """A sentence for each limit that a person asked for and that is not in force; what was learned is preferred, and
    in the result only, as AppArmor is.
    """
    by_hand = {control for control in LIMITS if control in spec.requirements} | spec.isolation.limits.controls()
    given_up = [each for each in controls if each.enforcement is Enforcement.NOT_ENFORCED and each.control in by_hand]
    return [f"{each.control.value} is not limited: {each.reason}" for each in given_up]


def limit_ops(spec: SandboxSpec, enforced: frozenset[Control]) -> list[Op]:
    """The steps before the first clone: nothing of the sandbox ever runs without its limits."""
    ops = []
    for file in limits_of(spec).files():
        if file.control not in enforced or not file.is_written:
            continue
        words = f"limit the cgroup: {file.name} = {file.value}"
        ops.append(
            op(
                Stage.OUTSIDE,
                Code.LIMIT,
                words,
                strings=(file.name.encode(), file.value.encode()),
                sentence=f"{file.control.value}: cannot write {file.value!r} to {file.name} of the sandbox's cgroup",
                hint=f"give another limit, or waive it: --allow-degraded={file.control.value}",
            )
        )
    if Control.DEVICES in enforced:
        rules = _device_rules(spec)
        ops.append(
            op(
                Stage.OUTSIDE,
                Code.DEVICES,
                f"attach a BPF program to the cgroup that allows {len(rules)} kinds of device",
                blob=device_program(rules),
                sentence="devices: cannot attach the list of allowed devices to the sandbox's cgroup",
            )
        )
    return ops


def controllers_for(features: Features, enforced: frozenset[Control], *, measured: bool) -> tuple[str, ...]:
    """Controllers that the sandbox's cgroup needs for its limits, and, if `measured`, those that can tell peaks."""
    wanted = {control for control in CONTROLLERS if control in enforced}
    if measured:
        wanted |= {control for control in _MEASURED if features.controllers[control].works}
    return tuple(sorted(control.value for control in wanted))


def uncounted(features: Features, controllers: Iterable[str], *, cgroup: bytes | None) -> tuple[tuple[str, str], ...]:
    """What a cgroup with these controllers does not count of its processes, and why: "cgroup" for all of it."""
    if cgroup is None:
        return (("cgroup", _no_cgroup(features)),)
    found = []
    for control in (Control.CPU, *_MEASURED):
        if control.value not in controllers:
            state = features.controllers[control]
            found.append((control.value, state.reason or f"no limit was given: {_OPTIONS[control]}"))
    return tuple(found)


def _no_cgroup(features: Features) -> str:
    if features.cgroup is None:
        return "there is no cgroup v2 here"
    if not features.cgroup_writable:
        return f"the cgroup {os.fsdecode(features.cgroup)} is not writable for this user"
    return features.detail("clone-into-cgroup")
