"""Workflow commands: a value never ends a property, a command or a line."""

from __future__ import annotations

import re

import msgspec
from hypothesis import given

from harden.check.output.github import render_github
from harden.check.output.printable import printable
from tests.check.output.reports import REPORT, finding, reports

COMMAND = re.compile(r"::(error|warning|notice) ((?:(?:file|title|line|col)=[^,:]*,?)+)::(.*)")


def unescape(text: str) -> str:
    """As the runner decodes a property (actions/runner, ActionCommand): the percent sign last."""
    for coded, plain in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(coded, plain)
    return text


def test_commands():
    text = "ptrace is allowed: it controls other processes Fix: Remove ptrace from the profile."
    assert render_github(REPORT).decode().splitlines()[:2] == [
        f"::error file=web.profile.toml,title=Tracing is allowed (ptrace%2C high),line=12,col=3::{text}",
        f"::warning file=db.profile.toml,title=Tracing is allowed (bpf%2C medium),line=12,col=3::{text}",
    ]


def test_what_fails_is_an_error_whatever_its_severity():
    report = msgspec.structs.replace(REPORT, fail_on=REPORT.findings[-1].severity)
    lines = render_github(report).decode().splitlines()
    assert [line.partition(" ")[0] for line in lines[:4]] == ["::error"] * 4


def test_values_are_escaped():
    report = msgspec.structs.replace(REPORT, findings=(finding(file="a,b:c%2C", message="x\n::error::y 100%"),))
    line = render_github(report).decode().splitlines()[0]
    assert line.startswith("::error file=a%2Cb%3Ac%252C,")
    assert line.endswith("::x\\n::error::y 100%25 Fix: Remove ptrace from the profile.")


@given(reports())
def test_any_report_is_one_command_per_line(report):
    text = render_github(report).decode()
    lines = text.split("\n")
    assert lines.pop() == ""
    assert len(lines) == len(report.findings) + len(report.notes) + 1
    for each, line in zip(report.findings, lines, strict=False):
        match = COMMAND.fullmatch(line)
        assert match is not None
        properties = dict(part.split("=", 1) for part in match[2].split(","))
        assert unescape(properties["file"]) == printable(each.location.file)
        assert match[3].replace("%25", "%") == printable(f"{each.message} Fix: {each.fix}")
