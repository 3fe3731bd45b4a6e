"""A report as GitHub Actions workflow commands: each finding becomes an annotation at its line.

Escaping: a command's data and properties are percent-encoded as the runner decodes them (actions/toolkit, "command").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from harden.check.finding import Finding, Report, Severity
from harden.check.output.printable import printable
from harden.check.output.summary import summary

__all__ = ["render_github"]

_COMMAND: Final[Mapping[Severity, str]] = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "notice",
    Severity.INFO: "notice",
}


def render_github(report: Report) -> bytes:
    """One command per line, worst finding first, because GitHub shows only the first ten of each kind in a step."""
    return "".join(f"{line}\n" for line in _lines(report)).encode()


def _lines(report: Report) -> Iterator[str]:
    failing = frozenset(report.failing)
    for finding in report.findings:
        command = "error" if finding in failing else _COMMAND[finding.severity]
        yield f"::{command} {_place(finding)}::{_data(f'{finding.message} Fix: {finding.fix}')}"
    for note in report.notes:
        yield f"::notice title={_property(note.profile)}::{_data(note.title)}"
    yield f"::notice title=harden check::{_data(summary(report))}"


def _place(finding: Finding) -> str:
    location = finding.location
    properties = {"file": location.file, "title": f"{finding.title} ({finding.id}, {finding.severity})"}
    if location.line:
        properties["line"] = str(location.line)
    if location.column:
        properties["col"] = str(location.column)
    return ",".join(f"{key}={_property(value)}" for key, value in properties.items())


def _data(text: str) -> str:
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
