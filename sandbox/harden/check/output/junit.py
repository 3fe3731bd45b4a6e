"""A report as JUnit XML: a suite per profile, a test case per finding.

Findings below `--fail-on` are cases that pass and carry their text; waived ones are skipped; a profile without any has
one case that passes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from harden.check.finding import Finding, Report, Waived
from harden.check.output.printable import printable
from harden.check.output.summary import summary

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["render_junit"]

_POLICY_SUITE: Final = "policy"


def render_junit(report: Report) -> bytes:
    """The `testsuites` document."""
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    failing = frozenset(report.failing)
    entries: list[tuple[Finding, Waived | None]] = [(finding, None) for finding in report.findings]
    entries += [(waived.finding, waived) for waived in report.waived]
    suites: dict[tuple[str, str], list[tuple[Finding, Waived | None]]] = {
        (checked.name, checked.file): [] for checked in report.checked
    }
    named = {name: (name, file) for name, file in suites}
    for finding, waived in entries:
        profile, file = finding.profile, finding.location.file
        # A finding may point into the policy or the local file of a profile: it stays in the suite of the profile.
        key = (profile, file) if (profile, file) in suites else named.get(profile, (profile or _POLICY_SUITE, file))
        suites.setdefault(key, []).append((finding, waived))
    root = Element("testsuites", {"name": "harden check"})
    for (name, file), cases in suites.items():
        suite = SubElement(root, "testsuite", {"name": printable(name)})
        properties = SubElement(suite, "properties")
        for key_text, value in (("file", file), ("policy", report.policy), ("fail-on", str(report.fail_on))):
            SubElement(properties, "property", {"name": key_text, "value": printable(value)})
        for finding, waived in cases:
            _case(suite, finding, waived, failing=finding in failing)
        if not cases:
            SubElement(suite, "testcase", {"classname": printable(file), "name": "no findings"})
        _count(suite)
    _count(root)
    SubElement(root[0] if len(root) else root, "system-out").text = printable(summary(report))
    indent(root)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _case(suite: Element, finding: Finding, waived: Waived | None, *, failing: bool) -> None:
    from xml.etree.ElementTree import SubElement

    location = finding.location
    name = f"{finding.id}: {finding.subject}" if finding.subject else finding.id
    attributes = {"classname": printable(location.file), "name": printable(name), "file": printable(location.file)}
    if location.line:
        attributes["line"] = str(location.line)
    case = SubElement(suite, "testcase", attributes)
    lines = (f"{location}: {finding.message}", f"{finding.title}: {finding.why}", f"Fix: {finding.fix}", finding.link)
    text = "\n".join(printable(line) for line in lines if line)
    if waived is not None:
        SubElement(case, "skipped", {"message": printable(f"waived until {waived.until}: {waived.reason}")})
        SubElement(case, "system-out").text = text
    elif failing:
        message = {"type": str(finding.severity), "message": printable(finding.message)}
        SubElement(case, "failure", message).text = text
    else:
        SubElement(case, "system-out").text = f"{finding.severity}: {text}"


def _count(element: Element) -> None:
    counts = Counter(each.tag for each in element.iter())
    element.set("tests", str(counts["testcase"]))
    element.set("failures", str(counts["failure"]))
    element.set("errors", "0")
    element.set("skipped", str(counts["skipped"]))
