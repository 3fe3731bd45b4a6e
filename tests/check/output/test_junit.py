"""JUnit XML is well-formed and counts right."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given

from harden.check.output.junit import render_junit
from tests.check.output.reports import CLEAN, REPORT, reports


def test_suites_and_cases():
    root = ElementTree.fromstring(render_junit(REPORT))
    assert root.tag == "testsuites"
    assert {key: root.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
    }
    assert [suite.get("name") for suite in root] == ["web", "db", "idle", "policy"]
    web = root[0].findall("testcase")
    assert [case.get("name") for case in web] == ["ptrace: ptrace", "wide-glob: /srv/**", "bpf: bpf"]
    failure = web[0].find("failure")
    assert failure is not None
    assert failure.get("type") == "high"
    assert failure.get("message") == "ptrace is allowed: it controls other processes"
    assert "Fix: Remove ptrace" in (failure.text or "")
    assert web[0].get("classname") == web[0].get("file") == "web.profile.toml"
    assert web[0].get("line") == "12"
    assert web[1].find("failure") is None
    skipped = web[2].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "waived until 2027-01-31: needed until the port"
    assert [case.get("name") for case in root[2].findall("testcase")] == ["no findings"]


def test_a_clean_report_passes():
    root = ElementTree.fromstring(render_junit(CLEAN))
    assert root.get("tests") == "3"
    assert root.get("failures") == "0"


@given(reports())
def test_any_report_is_well_formed_and_counted(report):
    root = ElementTree.fromstring(render_junit(report))
    assert root.get("failures") == str(len(report.failing)) == str(len(list(root.iter("failure"))))
    assert root.get("skipped") == str(len(report.waived))
    assert root.get("tests") == str(len(list(root.iter("testcase"))))
    assert sum(int(suite.get("tests", "")) for suite in root.iter("testsuite")) == int(root.get("tests", ""))
    assert {child.tag for child in root.iter()} <= {
        *("testsuites", "testsuite", "properties", "property", "testcase", "failure", "skipped", "system-out"),
    }
