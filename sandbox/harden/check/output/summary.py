"""The sentence that sums a report up."""

from __future__ import annotations

from collections import Counter

from harden.check.finding import Report, Severity

__all__ = ["summary"]


def summary(report: Report) -> str:
    """Such as `3 findings (1 critical, 2 low) in 2 profiles; 1 waived; fails at high and above: no`."""
    counts = Counter(finding.severity for finding in report.findings)
    parts = [f"{counts[severity]} {severity}" for severity in sorted(Severity, key=_worst_first) if counts[severity]]
    found = _counted(len(report.findings), "finding")
    sentence = f"{found} ({', '.join(parts)})" if parts else "no findings"
    sentence += f" in {_counted(len(report.checked), 'profile')}"
    if report.waived:
        sentence += f"; {len(report.waived)} waived"
    if report.improvements:
        sentence += f"; {_counted(len(report.improvements), 'improvement')}"
    failing = len(report.failing)
    return f"{sentence}; at or above {report.fail_on}: {failing or 'none'}"


def _worst_first(severity: Severity) -> int:
    return -severity.rank


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
