"""What is behind a rule of a profile: the runs, programs and calls that asked for it, or why it is there anyhow."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Final

import msgspec

from harden.errors import UsageError
from harden.generate.note import calls_refused_anyway
from harden.generate.rule_evidence import Behind, evidence_for
from harden.model.baseline import Baseline, BaselineAnswer
from harden.model.control import Control, Requirement
from harden.model.cover import allows
from harden.model.diff import RightKind
from harden.model.network_rule import NetworkRule
from harden.model.origin import Origin
from harden.model.path_pattern import PathPattern
from harden.model.profile import Profile
from harden.model.recording import Recording
from harden.model.refused_anyway import TOPOLOGY
from harden.model.resource_limit import LimitName
from harden.model.syscall_argument import ARGUMENT_ROWS, parse_values

__all__ = ["Explanation", "Granted", "explain"]

_NEAR: Final = 5
_WHY: Final = {
    Origin.OBSERVED: "a recorded run did it",
    Origin.RUNTIME: "an OCI runtime needs it to start the program",
    Origin.STATIC: "the program's code can reach it; no recorded run did",
    Origin.REFINED: "harden refine added it after a denial",
    Origin.MANUAL: "a person added it in NAME.local.toml",
}


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that grants what was asked about."""

    kind: RightKind
    rule: str
    """As the profile writes it."""
    origin: Origin
    why: str
    rights: str = ""
    """Of a path: what may be done to it; of a limit: how much."""
    seen: tuple[str, ...] = ()
    """Of a widened path: what it was made from."""
    behind: tuple[Behind, ...] = ()
    """What asked for it, most often first; empty where nothing did or no recording is at hand."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    profile: str
    rule: str
    granted: tuple[Granted, ...]


def explain(text: str, profile: Profile, recording: Recording | None, *, baseline: Baseline) -> Explanation:
    """The rules of `profile` that `text` names or that grant it; UsageError with near matches when there is none.

    `text` is a call (`openat`), a call with arguments (`ioctl TCGETS`, `ioctl(TCGETS)`), a capability, a path or path
    pattern, a network rule, or the name of a limit (`memory`).
    """
    wanted = " ".join(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    rules = [rule for rule in _rules(profile) if _is_meant(text.strip(), wanted, rule)]
    if not rules:
        known = sorted({rule for _, rule, _ in _rules(profile)})
        near = difflib.get_close_matches(text.strip(), known, n=_NEAR, cutoff=0.5)
        raise UsageError(
            f"{profile.name} has no rule {text!r}",
            hint=f"near: {'; '.join(near)}" if near else "`harden show PROFILE` lists them all",
        )
    return Explanation(
        profile=profile.name,
        rule=text,
        granted=tuple(
            Granted(
                kind=kind,
                rule=rule,
                origin=origin,
                why="; ".join((_why(kind, rule, origin, profile, baseline), *_refused(kind, rule, origin, profile))),
                rights=_rights(kind, rule, origin, profile),
                seen=profile.widened.get(rule, ()) if kind is RightKind.FILE else (),
                behind=evidence_for(kind, rule, recording) if recording and origin is Origin.OBSERVED else (),
            )
            for kind, rule, origin in rules
        ),
    )


def _rules(profile: Profile) -> Iterator[tuple[RightKind, str, Origin]]:
    """Every rule; one for arguments is written `ioctl TCGETS`."""
    rights = profile.rights
    for kind, by_origin in (
        (RightKind.SYSCALL, rights.syscalls),
        (RightKind.CAPABILITY, rights.capabilities),
        (RightKind.FILE, rights.files),
        (RightKind.NETWORK, rights.network),
        (RightKind.LIMIT, rights.limits),
    ):
        for origin in Origin:
            for rule in by_origin.get(origin, ()):
                yield kind, rule, origin
    for name in sorted(rights.arguments):
        for origin, rows in rights.arguments[name].items():
            for row in rows:
                yield RightKind.ARGUMENT, " ".join((name, *row)), origin


def _rights(kind: RightKind, rule: str, origin: Origin, profile: Profile) -> str:
    if kind is RightKind.FILE:
        return profile.rights.files[origin][rule]
    return f"up to {profile.rights.limits[origin][LimitName(rule)]}" if kind is RightKind.LIMIT else ""


def _is_meant(text: str, words: str, rule: tuple[RightKind, str, Origin]) -> bool:
    kind, name, _ = rule
    if name in (text, words):
        return True
    if kind is RightKind.FILE and text.startswith("/"):
        return _covers(name, text)
    if kind is RightKind.NETWORK and text.startswith(("bind ", "connect ")):
        return _lets(name, text)
    # A call alone also means the arguments that it is allowed with.
    return kind is RightKind.ARGUMENT and name.split(" ")[0] == text


def _covers(pattern: str, text: str) -> bool:
    try:
        asked = PathPattern.parse(text)
    except ValueError:
        return False
    return PathPattern.parse(pattern).covers(asked)


def _lets(rule: str, text: str) -> bool:
    try:
        asked = NetworkRule.parse(text)
    except ValueError:
        return False
    return allows(NetworkRule.parse(rule), asked)


def _why(kind: RightKind, rule: str, origin: Origin, profile: Profile, baseline: Baseline) -> str:
    if origin is Origin.BASELINE:
        return _baseline_reason(kind, rule, baseline)
    if origin is Origin.FAMILY:
        if rule.split(" ")[0] == "clone":
            return "clone3 was seen and is answered with ENOSYS; every C library then takes clone"
        return f"does the same as a call that was seen: {', '.join(profile.rights.syscalls.get(Origin.OBSERVED, ()))}"
    if kind is RightKind.LIMIT and origin is Origin.OBSERVED:
        return "the peak of the recorded runs, with head room"
    return _WHY[origin].replace("NAME", profile.name)


def _refused(kind: RightKind, rule: str, origin: Origin, profile: Profile) -> list[str]:
    """Why the call is refused although it is granted, unless a person decided otherwise."""
    by_landlock = rule in TOPOLOGY or rule == "mq_open"
    decided = (rule == "clone3" and origin is Origin.MANUAL) or (
        by_landlock and profile.controls.get(Control.LANDLOCK) is Requirement.OFF
    )
    if kind is not RightKind.SYSCALL or decided:
        return []
    return [text.replace("NAME", profile.name) for text in calls_refused_anyway((rule,))]


def _baseline_reason(kind: RightKind, rule: str, baseline: Baseline) -> str:
    if kind is RightKind.SYSCALL:
        reasons = [entry.reason for entry in baseline.syscalls if rule in entry.names]
        reasons += [_answer_reason(entry) for entry in baseline.answers if entry.syscall == rule]
    elif kind is RightKind.FILE:
        reasons = [f"{entry.rights}: {entry.reason}" for entry in baseline.files if entry.path == rule]
    else:
        name, *texts = rule.split(" ")
        asked = parse_values(ARGUMENT_ROWS[name], texts)
        reasons = [
            entry.reason
            for entry in baseline.arguments
            if entry.syscall == name and asked in {parse_values(ARGUMENT_ROWS[name], row) for row in entry.values}
        ]
        reasons += [
            _answer_reason(entry)
            for entry in baseline.answers
            if entry.syscall == name and asked in {parse_values(ARGUMENT_ROWS[name], row) for row in entry.values}
        ]
    return "; ".join(reasons) or "an older baseline had it: generate the profile again"


def _answer_reason(answer: BaselineAnswer) -> str:
    return f"{answer.path} was read: {answer.reason}"
