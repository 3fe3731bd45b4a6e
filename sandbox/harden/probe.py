"""The probing workflow: a small static program of ours under the profile, in the workload's place, tries what an
attacker would; what the kernel answers is the view from inside.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from harden import _native
from harden.bpf.action import describe
from harden.bpf.decision import Decision
from harden.enforce import enforcement
from harden.errors import HardenError
from harden.kernel.host import native_arch
from harden.launch.spawn import start
from harden.launch.symlinks import resolve
from harden.model.arch import Arch
from harden.model.control import Control
from harden.model.path_text import from_text
from harden.model.probe_right import PROBE_RIGHTS, granting_rights
from harden.model.profile import Profile, Rights
from harden.model.sandbox import Bind
from harden.model.syscall import number_of

__all__ = ["PROBER", "Action", "ProbeReport", "parse_report", "probe_profile"]

PROBER: Final = Path(_native.__file__).with_name("harden-prober")

_LAST_LINE: Final = "end"
_BY_ERRNO: Final = {
    "EACCES": Control.LANDLOCK,
    "ENOENT": Control.FILESYSTEM_VIEW,
    "EROFS": Control.FILESYSTEM_VIEW,
    "ENETUNREACH": Control.NETWORK_NAMESPACE,
    "ECONNREFUSED": Control.NETWORK_NAMESPACE,
    "ESRCH": Control.PID_NAMESPACE,
    "EPERM": Control.CAPABILITIES,
}
"""What most likely refused a call that the filter allows; a filter's own answers are known exactly."""


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was tried."""

    id: str
    result: str
    """allowed, refused, killed, not-tried."""
    errno: str = ""
    """The errno's or signal's name."""
    call: str
    about: str
    by: str = ""
    """The control that refused it."""
    granted_by: tuple[str, ...] = ()
    """The rights of the profile that allow it; empty for what is allowed though the profile does not grant it."""


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was tried under one profile."""

    format: str = "harden-probe/1"
    profile: str
    actions: tuple[Action, ...]
    notes: tuple[str, ...]

    @property
    def attacks(self) -> tuple[Action, ...]:
        """The actions without their positive twins: ordinary calls that show the prober itself works."""
        return tuple(action for action in self.actions if not action.id.startswith("twin-"))

    @property
    def refused(self) -> int:
        """How many attacks the kernel refused."""
        return sum(action.result in ("refused", "killed") for action in self.attacks)

    @property
    def granted(self) -> tuple[Action, ...]:
        """The attacks that worked because the profile grants them."""
        return tuple(action for action in self.attacks if action.granted_by)

    @property
    def ungranted(self) -> tuple[Action, ...]:
        """The attacks that worked although the profile does not grant them."""
        return tuple(action for action in self.attacks if action.result == "allowed" and not action.granted_by)

    @property
    def untried(self) -> tuple[Action, ...]:
        """The attacks that need a child process, where the profile lets none be made."""
        return tuple(action for action in self.attacks if action.result == "not-tried")


def probe_profile(
    profile: Profile,
    *,
    folder: Path,
    environment: Mapping[str, str],
    allow_degraded: frozenset[Control] = frozenset(),
) -> ProbeReport:
    """Run the prober under `profile`; HardenError when it could not finish."""
    # A mount point may not be a symbolic link: what the kernel would execute is replaced.
    program = _without_links(from_text(profile.workload.program), from_text(profile.workload.isolation.rootfs))
    ready = enforcement(
        profile,
        folder=folder,
        caller_environment=environment,
        environment={},
        allow_degraded=allow_degraded,
        extra_binds=(Bind(source=os.fsencode(PROBER), target=program),),
        timeout_s=60,
    )
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with start(ready.plan, gate=False, stdout=writer) as sandbox, os.fdopen(reader, "rb") as output:
        os.close(writer)
        text = output.read().decode("ascii", "replace")
        outcome = sandbox.wait()
    lines = text.splitlines()
    if outcome.status != 0 or not lines or lines[-1].split("\t")[0] != _LAST_LINE:
        raise HardenError(
            f"the prober ended with status {outcome.status} after {len(lines)} actions",
            hint="the profile does not even let it write its report; `harden show` tells what it grants",
        )
    return ProbeReport(profile=profile.name, actions=parse_report(lines[:-1], profile.rights), notes=ready.notes)


def _without_links(program: bytes, rootfs: bytes) -> bytes:
    if not rootfs:
        return os.path.realpath(program)
    found = resolve(program, rootfs)
    return program if found is None else found.path


def parse_report(lines: Iterable[str], rights: Rights) -> tuple[Action, ...]:
    """The prober's lines as actions, each refused one with the control that refused it."""
    decision = Decision.of(rights)
    return tuple(_parse_line(line, rights, decision, native_arch()) for line in lines)


def _parse_line(line: str, rights: Rights, decision: Decision, arch: Arch) -> Action:
    fields = line.split("\t")
    if len(fields) != 6:
        raise HardenError(f"the prober wrote {line!r}, which has {len(fields)} fields, not 6")
    identifier, result, errno, _, call, about = fields
    by = _refuser(call, errno, decision, arch) if result in ("refused", "killed") else ""
    return Action(
        id=identifier,
        result=result,
        errno="" if errno == "-" else errno,
        call=call,
        about=about,
        by=by,
        granted_by=_grants(identifier, call, rights) if result == "allowed" else (),
    )


def _grants(action: str, call: str, rights: Rights) -> tuple[str, ...]:
    row = PROBE_RIGHTS.get(action)
    path = os.path.realpath(row.path) if row and row.path else ""
    return granting_rights(action, call, rights, path=path)


def _refuser(call: str, errno: str, decision: Decision, arch: Arch) -> str:
    number, table = number_of(arch, call), decision.tables.get(arch)
    if errno.startswith("SIG") or number is None or table is None:
        return Control.SECCOMP
    answer = table.refused if number in table.conditions else table.actions.get(number, table.unknown)
    return Control.SECCOMP if describe(answer) == f"ERRNO({errno})" else _BY_ERRNO.get(errno, "kernel")
