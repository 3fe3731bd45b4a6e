"""A report as SARIF 2.1.0 (OASIS), the form that code scanning services take."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from harden import __version__
from harden.check.finding import Finding, Location, Report, Severity, Waived
from harden.check.output.printable import printable

__all__ = ["render_sarif"]

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVEL: Final[Mapping[Severity, str]] = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
_SECURITY_SEVERITY: Final[Mapping[Severity, str]] = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "3.0",
    Severity.INFO: "1.0",
}
_PLACEHOLDER: Final = re.compile(r"\{(\d+)\}")
_NO_BYTE: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates that stand for no byte of a file name (PEP 383)."""
_FINGERPRINT: Final = "hardenFinding/v1"


def render_sarif(report: Report) -> bytes:
    """One log with one run; waived findings are results with a suppression."""
    found = [*((finding, None) for finding in report.findings), *((each.finding, each) for each in report.waived)]
    rules = _rules(finding for finding, _ in found)
    seen: Counter[str] = Counter()
    results = [_result(finding, waived, rules, seen) for finding, waived in found]
    driver = {"name": "harden", "semanticVersion": __version__, "rules": list(rules.values())}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {"policy": report.policy, "failOn": str(report.fail_on), "exitStatus": report.exit_status},
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1, ensure_ascii=True).encode() + b"\n"


def _rules(findings: Iterable[Finding]) -> dict[str, dict[str, Any]]:
    """By id, sorted; a rule has the greatest severity among its findings, whatever a policy made of the others."""
    worst: dict[str, Finding] = {}
    for finding in findings:
        before = worst.get(finding.id)
        if before is None or finding.severity.rank > before.severity.rank:
            worst[finding.id] = finding
    return {name: _rule(worst[name]) for name in sorted(worst)}


def _rule(finding: Finding) -> dict[str, Any]:
    text = f"{finding.why}\n\nFix: {finding.fix}"
    rule: dict[str, Any] = {
        "id": finding.id,
        "name": "".join(part.capitalize() for part in finding.id.split("-")),
        "shortDescription": {"text": _plain(finding.title)},
        "fullDescription": {"text": _plain(finding.why)},
        "help": {"text": text + (f"\n\nSee: {finding.link}" if finding.link else "")},
        "defaultConfiguration": {"level": _LEVEL[finding.severity]},
        "properties": {"tags": ["security"], "security-severity": _SECURITY_SEVERITY[finding.severity]},
    }
    if finding.link.startswith("https://"):
        rule["helpUri"] = quote(finding.link, safe="/:?#&=%~")
    return rule


def _result(
    finding: Finding, waived: Waived | None, rules: Mapping[str, Mapping[str, Any]], seen: Counter[str]
) -> dict[str, Any]:
    identity = json.dumps([finding.id, finding.location.file, finding.profile, finding.subject])
    seen[identity] += 1
    digest = hashlib.sha256(f"{identity}{seen[identity]}".encode("ascii")).hexdigest()
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": list(rules).index(finding.id),
        "level": _LEVEL[finding.severity],
        "message": {"text": _plain(finding.message)},
        "locations": [_location(finding.location)],
        # Neither the line nor the wording: a finding stays the same one when the file around it changes.
        "partialFingerprints": {_FINGERPRINT: digest},
        "properties": {
            "severity": str(finding.severity),
            "profile": finding.profile,
            "subject": finding.subject,
        },
    }
    if waived is not None:
        text = f"until {waived.until}: {waived.reason}"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": printable(text)}]
    return result


def _location(location: Location) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(location.file)}}
    if location.line:
        physical["region"] = {"startLine": location.line}
        if location.column:
            physical["region"]["startColumn"] = location.column
    return {"physicalLocation": physical}


def _uri(file: str) -> str:
    """A relative reference, or a file URI for an absolute path."""
    path = quote(_NO_BYTE.sub("\ufffd", file).encode("utf-8", "surrogateescape"), safe="/")
    if path.startswith("/"):
        return f"file://{path}" if not path.startswith("//") else f"file:///{path.lstrip('/')}"
    return path.removeprefix("./")


def _plain(text: str) -> str:
    """A message string in which nothing is taken for a link or a placeholder."""
    return _PLACEHOLDER.sub(r"{{\1}}", printable(text)).replace("](", "] (")
