"""SARIF follows its schema and points where the finding is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
from hypothesis import given

from harden.check.finding import Severity
from harden.check.output.sarif import render_sarif
from tests.check.output.reports import CLEAN, REPORT, finding, reports

SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "data/sarif-schema-2.1.0.json").read_text())
VALIDATOR = jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)


def run_of(report) -> dict[str, Any]:
    log = json.loads(render_sarif(report))
    VALIDATOR.validate(log)
    assert len(log["runs"]) == 1
    run: dict[str, Any] = log["runs"][0]
    return run


def test_rules_and_results():
    run = run_of(REPORT)
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["bpf", "ptrace", "unused-waiver", "wide-glob"]
    assert rules[1]["name"] == "Ptrace"
    assert rules[1]["helpUri"] == "https://example.org/checks/ptrace"
    assert "helpUri" not in rules[2]
    assert "Remove ptrace" in rules[1]["help"]["text"]
    assert [result["level"] for result in run["results"]] == ["error", "warning", "note", "note", "error"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    first = run["results"][0]
    assert first["message"]["text"] == "ptrace is allowed: it controls other processes"
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "web.profile.toml"},
        "region": {"startLine": 12, "startColumn": 3},
    }
    assert "region" not in run["results"][2]["locations"][0]["physicalLocation"]
    assert [bool(result.get("suppressions")) for result in run["results"]] == [False, False, False, False, True]
    assert run["results"][4]["suppressions"][0]["justification"] == "until 2027-01-31: needed until the port"


def test_a_clean_run_has_no_results():
    assert run_of(CLEAN)["results"] == []


def fingerprints(*findings) -> list[str]:
    report = msgspec.structs.replace(REPORT, findings=findings, waived=())
    return [result["partialFingerprints"]["hardenFinding/v1"] for result in run_of(report)["results"]]


def test_fingerprints_outlive_edits_and_tell_findings_apart():
    before = fingerprints(finding())
    assert before == fingerprints(finding(line=99, column=1, message="other words", severity=Severity.LOW))
    others = fingerprints(finding(), finding(), finding(subject="bpf"), finding(file="x"), finding("bpf"))
    assert len(set(others)) == 5
    assert others[0] == before[0]


def test_files_are_uris():
    def uri(file: str) -> str:
        report = msgspec.structs.replace(REPORT, findings=(finding(file=file),), waived=())
        found: str = run_of(report)["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        return found

    assert uri("a b/ü#.toml") == "a%20b/%C3%BC%23.toml"
    assert uri("/etc/x.toml") == "file:///etc/x.toml"
    assert uri("./x.toml") == "x.toml"


def test_messages_hold_no_link_and_no_placeholder():
    report = msgspec.structs.replace(REPORT, findings=(finding(message="see [here](http://e.vil) {0}"),), waived=())
    assert run_of(report)["results"][0]["message"]["text"] == "see [here] (http://e.vil) {{0}}"


@given(reports())
def test_any_report_follows_the_schema(report):
    run = run_of(report)
    assert len(run["results"]) == len(report.findings) + len(report.waived)
