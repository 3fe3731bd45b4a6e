"""The text output, and what holds of every output."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given

from harden.check.finding import Report, Severity
from harden.check.output import OUTPUTS
from harden.check.output.printable import printable
from tests.check.output.reports import CLEAN, REPORT, finding, reports


def test_lines_of_text():
    lines = OUTPUTS["text"](REPORT).decode().splitlines()
    assert lines[0] == "web.profile.toml:12:3: high: ptrace is allowed: it controls other processes [ptrace]"
    assert lines[2] == "    fix: Remove ptrace from the profile."
    assert (
        "web.profile.toml:12:3: waived until 2027-01-31: ptrace is allowed: it controls other processes [bpf]" in lines
    )
    assert "db: improved: mount is granted no more" in lines
    assert "web: refuses the entry requirement of 1 of 2 known things" in lines
    assert lines[-1] == (
        "policy strict: 4 findings (1 high, 1 medium, 1 low, 1 info) in 3 profiles; 1 waived; 1 improvement; "
        "at or above high: 1"
    )


def test_an_id_is_explained_once():
    report = msgspec.structs.replace(REPORT, findings=(finding(), finding(subject="ptrace2", line=13)), waived=())
    assert OUTPUTS["text"](report).decode().count("fix: ") == 1


def test_a_clean_report():
    assert OUTPUTS["text"](CLEAN) == b"policy baseline: no findings in 3 profiles; at or above low: none\n"


def test_json_has_everything():
    document = json.loads(OUTPUTS["json"](REPORT))
    assert document.pop("format") == "harden-report/1"
    assert document.pop("failing") == 1
    assert document.pop("exit_status") == 1
    assert msgspec.convert(document, Report) == REPORT


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_same_report_gives_the_same_bytes(name):
    assert OUTPUTS[name](REPORT) == OUTPUTS[name](REPORT)


@given(reports())
def test_no_output_has_a_character_that_a_terminal_acts_on(report):
    for name, render in OUTPUTS.items():
        text = render(report).decode("utf-8")
        assert all(char.isprintable() or char == "\n" for char in text), name


@given(reports())
def test_text_has_no_line_that_a_name_made(report):
    starts = ("    ", "policy ")
    for line in OUTPUTS["text"](report).decode().splitlines():
        known = [*report.findings, *(each.finding for each in report.waived)]
        names = tuple(printable(str(each.location)) for each in known)
        names += tuple(printable(each.profile) + ": " for each in (*report.improvements, *report.notes))
        assert line.startswith((*starts, *names))


def test_severities_are_ordered():
    assert [each.rank for each in Severity] == [0, 1, 2, 3, 4]
