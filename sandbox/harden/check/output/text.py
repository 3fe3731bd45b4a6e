"""A report for people: a line per finding that an editor can jump to, and once per id why it matters and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from harden.check.finding import Report
from harden.check.output.printable import printable
from harden.check.output.summary import summary

__all__ = ["render_text"]


def render_text(report: Report) -> bytes:
    """The report as lines of UTF-8, worst finding first."""
    return "".join(f"{line}\n" for line in _lines(report)).encode()


def _lines(report: Report) -> Iterator[str]:
    explained: set[str] = set()
    for finding in report.findings:
        yield printable(f"{finding.location}: {finding.severity}: {finding.message} [{finding.id}]")
        if finding.id not in explained:
            explained.add(finding.id)
            yield printable(f"    {finding.title}: {finding.why}")
            yield printable(f"    fix: {finding.fix}")
            if finding.link:
                yield printable(f"    see: {finding.link}")
    for waived in report.waived:
        finding = waived.finding
        yield printable(f"{finding.location}: waived until {waived.until}: {finding.message} [{finding.id}]")
        yield printable(f"    because: {waived.reason}")
    for improvement in report.improvements:
        yield printable(f"{improvement.profile}: improved: {improvement.message}")
    for note in report.notes:
        yield printable(f"{note.profile}: {note.title}")
        yield from (printable(f"    {line}") for line in note.lines)
    yield printable(f"policy {report.policy}: {summary(report)}")
