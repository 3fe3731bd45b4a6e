"""Runs every check over every subject, applies the waivers, and makes the report."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from harden.check.case import Case, Check, Hit, Surroundings, link_of
from harden.check.expression import CompiledExpression, compile_expression, variables
from harden.check.finding import Checked, Finding, Improvement, Location, Note, Report, Waived
from harden.check.glob import matches_path, matches_text
from harden.check.policy_chain import PlacedWaiver, PolicyChain
from harden.check.registry import CHECKS
from harden.check.subject import Subject
from harden.model.diff import RightKind, added_rights
from harden.model.policy import Waiver
from harden.model.severity import Severity

__all__ = ["Input", "run_checks"]

_NEEDS_BASELINE: Final = frozenset({"growth", "new-profile"})


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """One subject with what was found around it."""

    subject: Subject
    around: Surroundings = Surroundings()


def run_checks(
    inputs: Sequence[Input],
    chain: PolicyChain,
    *,
    today: datetime.date,
    fail_on: Severity,
    whole: bool,
    notes: tuple[Note, ...] = (),
) -> Report:
    """The report on `inputs`; DocumentError for an expression of the policy that is wrong.

    `whole` says that nothing was left out, so that a waiver for a profile that is not among `inputs` is unused.
    """
    expressions = [compile_expression(*each) for each in chain.expressions]
    found = [finding for each in inputs for finding in _findings(each, chain, expressions, today)]
    waivers = tuple(chain.waivers)
    kept: list[Finding] = []
    waived: list[Waived] = []
    used: set[int] = set()
    for finding, file in found:
        good = [each for each in waivers if _accepts(each.waiver, finding, file)]
        used.update(id(each) for each in good)
        valid = next((each.waiver for each in good if each.waiver.until >= today), None)
        if valid is None:
            kept.append(finding)
        else:
            waived.append(Waived(finding=finding, reason=valid.reason, until=valid.until.isoformat()))
    compared = any(each.around.baseline_name for each in inputs)
    for each in waivers:
        looked_at = whole or any(_is_about(each, one.subject) for one in inputs)
        if each.waiver.check in _NEEDS_BASELINE and not compared:
            looked_at = False
        kept += _about_waiver(each, chain, today, used=id(each) in used, looked_at=looked_at)
    return Report(
        policy=chain.name,
        fail_on=fail_on,
        checked=tuple(
            Checked(name=each.subject.name, file=each.subject.file, kind=each.subject.kind) for each in inputs
        ),
        findings=tuple(sorted(kept, key=_order)),
        waived=tuple(sorted(waived, key=lambda each: _order(each.finding))),
        improvements=tuple(change for each in inputs for change in _improvements(each)),
        notes=notes,
    )


def _order(finding: Finding) -> tuple[object, ...]:
    return (-finding.severity.rank, finding.profile, finding.location, finding.id, finding.subject, finding.message)


def _findings(
    each: Input, chain: PolicyChain, expressions: Sequence[CompiledExpression], today: datetime.date
) -> Iterator[tuple[Finding, str]]:
    """Every finding of one subject, with the subject's file."""
    subject = each.subject
    effective = chain.for_subject(subject)
    case = Case(subject=subject, demand=effective.demand, around=each.around, today=today)
    for name, check in CHECKS.items():
        if name in effective.levels and all(subject.has(facet) for facet in check.needs):
            for hit in check.run(case):
                yield _finding(check, effective.levels[name], hit, subject), subject.file
    for finding in _unmet(subject, expressions, effective.levels):
        yield finding, subject.file


def _finding(check: Check, severity: Severity, hit: Hit, subject: Subject) -> Finding:
    location = hit.location
    if location is None and hit.section is not None:
        location = subject.locator.find(hit.section, hit.word)
    return Finding(
        id=check.id,
        severity=severity,
        title=check.title,
        why=check.why,
        fix=check.fix,
        message=hit.message,
        subject=hit.subject,
        profile=subject.name,
        location=location or Location(file=subject.file, line=1, column=1),
        link=check.link,
    )


def _unmet(
    subject: Subject, expressions: Sequence[CompiledExpression], levels: Mapping[str, Severity]
) -> Iterator[Finding]:
    if subject.profile is None or not expressions:
        return
    values = variables(subject, subject.profile)
    for compiled in expressions:
        expression = compiled.expression
        if expression.id in levels and not compiled.holds(values, subject):
            yield Finding(
                id=expression.id,
                severity=levels[expression.id],
                title="a demand of the policy is not met",
                why=expression.why or f"The policy demands: {expression.expression}",
                fix=expression.fix
                or "Change the profile so that the expression is true of it, or ask who wrote the policy.",
                message=expression.message,
                subject="",
                profile=subject.name,
                location=Location(file=subject.file, line=1, column=1),
                link=link_of("expressions"),
            )


def _accepts(waiver: Waiver, finding: Finding, file: str) -> bool:
    return (
        waiver.check == finding.id
        and matches_text(waiver.profile, finding.profile)
        and matches_path(waiver.path, file)
        and matches_text(waiver.subject, finding.subject)
    )


def _is_about(each: PlacedWaiver, subject: Subject) -> bool:
    return matches_text(each.waiver.profile, subject.name) and matches_path(each.waiver.path, subject.file)


def _about_waiver(
    each: PlacedWaiver, chain: PolicyChain, today: datetime.date, *, used: bool, looked_at: bool
) -> Iterator[Finding]:
    waiver = each.waiver
    if waiver.until < today:
        name, message = "expired-waiver", f"the waiver of {waiver.check} was good until {waiver.until}: {waiver.reason}"
    elif not used and looked_at:
        name, message = "unused-waiver", f"the waiver of {waiver.check} for {waiver.profile} matches no finding"
    else:
        return
    severity = chain.of_policy(name)
    if severity is not None:
        check = CHECKS[name]
        yield Finding(
            id=name,
            severity=severity,
            title=check.title,
            why=check.why,
            fix=check.fix,
            message=message,
            subject=waiver.check,
            profile="",
            location=each.source.item("waiver", each.index),
            link=check.link,
        )


def _improvements(each: Input) -> Iterator[Improvement]:
    baseline, profile = each.around.baseline, each.subject.profile
    if baseline is None or profile is None:
        return
    for change in added_rights(profile, baseline):
        stronger = change.kind is RightKind.CONTROL
        yield Improvement(
            profile=profile.name,
            message=f"demands more of {change.rule}" if stronger else f"no longer grants {change.right}",
            subject=change.right,
            weight=change.weight,
        )
