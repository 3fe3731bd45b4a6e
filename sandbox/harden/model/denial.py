"""What was refused while a program ran under its profile, and what the whole rerun came to."""

from __future__ import annotations

import enum
import hashlib
from typing import Final, Literal

import msgspec

from harden.model.arch import Arch
from harden.model.control import Control, Enforcement
from harden.model.profile import LocalRights, Profile

__all__ = [
    "VERIFIED_FORMAT",
    "Denial",
    "DenialSource",
    "Refusal",
    "Verdict",
    "Verification",
    "Verified",
    "profile_digest",
]

VERIFIED_FORMAT: Final = "harden-verified/1"


class DenialSource(enum.StrEnum):
    """How a denial is known."""

    ERRNO = "errno"
    """From how the call ended: seen at its end, and put down to the control that explains it."""
    CHECK = "check"
    """From the kernel's check of a capability, as it was made."""
    COUNTER = "counter"
    """From what the cgroup counted when the program was over."""
    AUDIT = "audit"
    """From the refusing security module's own record in the kernel's log."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A call that a seccomp filter refused: it ended without having begun."""

    executable: str
    arch: Arch | None
    """None for an ABI that no table describes."""
    nr: int
    name: str
    values: tuple[int, ...] | None
    """The arguments of the call's row in `syscall_argument`, masked; None where it has none."""
    result: str
    """The errno's name, or the signal's that the filter killed with."""
    count: int


class Denial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that a control refused the program."""

    control: Control | None
    """None: the kernel refused what it let the recorded program do, and none of harden's controls explains it."""
    source: DenialSource
    executable: str
    """Path text; the task's own name where only the kernel's log tells of it."""
    call: str
    """The system call's name; empty outside any call. In AppArmor's words where only the kernel's log tells of it."""
    arch: Arch | None = None
    """The call's ABI, where it is not the profile's."""
    arguments: tuple[str, ...] = ()
    """Those that decide what the call does, as a profile writes them."""
    paths: tuple[str, ...] = ()
    """Path texts: what the call named, where that is known."""
    network: str = ""
    """The address, as a network rule."""
    capability: str = ""
    result: str
    """The errno's name, or the signal's that ended the process."""
    count: int
    recorded: bool | None
    """Whether a recorded run was let do this; None without a recording."""
    add: LocalRights = LocalRights()
    """What would allow it; nothing where no rule can."""
    advice: str = ""
    """What to do where no rule can allow it."""


class Verdict(enum.StrEnum):
    """What a rerun proves."""

    CLEAN = "clean"
    """Nothing was refused, the program ended as recorded, and every control is wholly in force."""
    PARTIAL = "partial"
    """The same, but a control that was only preferred or was waived is not wholly in force."""
    DENIED = "denied"
    """Something was refused, or the program did not end as it did when recorded."""
    UNKNOWN = "unknown"
    """Nothing was seen to be refused, but the recorder lost events."""


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """One rerun of a workload under its profile."""

    format: str = "harden-verification/1"
    profile: str
    digest: str
    """Of the profile with the user's own file merged in (`Verified.digest`)."""
    run: str
    """The id of this run."""
    exit_status: int | None
    signal: int | None
    timed_out: bool = False
    failure: str = ""
    """What the program or its scenario did otherwise than when it was recorded; empty when nothing."""
    enforced: Enforcement
    not_enforced: tuple[str, ...] = ()
    """Controls that are not wholly in force, each with the reason."""
    lost: tuple[str, ...] = ()
    """Why the recorder did not see everything."""
    denials: tuple[Denial, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What it proves."""
        if self.denials or self.failure:
            return Verdict.DENIED
        if self.lost:
            return Verdict.UNKNOWN
        return Verdict.CLEAN if self.enforced is Enforcement.FULLY_ENFORCED else Verdict.PARTIAL


class Verified(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`NAME.verified.json`: the last rerun of the profile beside it. No date: the same result, the same bytes."""

    format: Literal["harden-verified/1"] = "harden-verified/1"
    profile: str
    digest: str
    """`sha256:…` of the profile with NAME.local.toml merged in, as canonical JSON: comments and layout do not count."""
    verdict: Verdict
    denials: int
    not_enforced: tuple[str, ...] = ()


def profile_digest(profile: Profile) -> str:
    """`sha256:…` of a profile's canonical JSON."""
    return f"sha256:{hashlib.sha256(msgspec.json.encode(profile, order='sorted')).hexdigest()}"
