"""A report as Markdown, for a comment on a pull request.

Every value is escaped: a program's file name must not mention people, link, or break out of its cell (GitHub Flavored
Markdown). The text stays below the largest comment that GitHub and GitLab take.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from harden.check.finding import Finding, Report
from harden.check.output.printable import printable, shortened
from harden.check.output.summary import summary

__all__ = ["escape", "render_markdown"]

_LARGEST: Final = 60_000
"""Characters; GitHub takes 65,536."""
_LARGEST_CELL: Final = 300
_SPECIAL: Final = re.compile(r"[^A-Za-z0-9 ,/\-\u0080-\U0010ffff]")
_REFERENCE: Final = re.compile(r"\b(GH)-(?=[0-9])", re.IGNORECASE)
_BREAKING: Final = "@#"


def escape(text: str) -> str:
    """`text` as Markdown shows it literally: on one line, specials as entities, no mention, reference or link."""
    return _REFERENCE.sub(r"\1<!-- -->-", _SPECIAL.sub(_entity, printable(shortened(text, _LARGEST_CELL))))


def _entity(match: re.Match[str]) -> str:
    char = match[0]
    # Mentions and references are looked for after entities are decoded: a comment keeps the sign apart from the name.
    return f"&#{ord(char)};" + ("<!-- -->" if char in _BREAKING else "")


def render_markdown(report: Report) -> bytes:
    """Summary, findings, waived findings, improvements, notes; what does not fit is counted."""
    size, out, left = 0, [], 0
    for line in _lines(report):
        size += len(line) + 1
        if size > _LARGEST:
            left += 1
        else:
            out.append(line)
    if left:
        out += ["", f"{left} more lines do not fit into a comment; the text output has them all."]
    return "".join(f"{line}\n" for line in out).encode()


def _lines(report: Report) -> Iterator[str]:
    verdict = "failed" if report.exit_status else "passed"
    yield f"### harden check: {verdict}"
    yield ""
    yield f"{escape(summary(report))} (policy {_code(report.policy)})"
    if report.findings:
        yield from ("", "| severity | check | where | what |", "| --- | --- | --- | --- |")
        yield from (_row(finding) for finding in report.findings)
        yield from ("", "**How to fix**", "")
        yield from _fixes(report)
    if report.waived:
        yield from ("", "**Waived**", "", "| check | where | until | reason |", "| --- | --- | --- | --- |")
        for waived in report.waived:
            finding = waived.finding
            cells = (_code(finding.id), _code(str(finding.location)), escape(waived.until), escape(waived.reason))
            yield f"| {' | '.join(cells)} |"
    if report.improvements:
        yield from ("", "**Improvements**", "")
        yield from (f"* {_code(each.profile)}: {escape(each.message)}" for each in report.improvements)
    for note in report.notes:
        yield from ("", f"**{_code(note.profile)}**: {escape(note.title)}", "")
        yield from (f"* {escape(line)}" for line in note.lines)


def _row(finding: Finding) -> str:
    cells = (str(finding.severity), _code(finding.id), _code(str(finding.location)), escape(finding.message))
    return f"| {' | '.join(cells)} |"


def _fixes(report: Report) -> Iterator[str]:
    by_id = {finding.id: finding for finding in report.findings}
    for name in sorted(by_id):
        finding = by_id[name]
        yield f"* {_code(name)}: {escape(finding.why)} {escape(finding.fix)}"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"
