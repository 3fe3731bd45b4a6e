"""Reports for the tests of outputs: an ordinary one, and arbitrary hostile ones."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from harden.check.finding import Checked, Finding, Improvement, Location, Note, Report, Severity, Waived


def finding(
    name: str = "ptrace",
    *,
    severity: Severity = Severity.HIGH,
    profile: str = "web",
    file: str = "web.profile.toml",
    line: int = 12,
    column: int = 3,
    message: str = "ptrace is allowed: it controls other processes",
    subject: str = "ptrace",
    link: str = "https://example.org/checks/ptrace",
) -> Finding:
    return Finding(
        id=name,
        severity=severity,
        title="Tracing is allowed",
        why="It reads and writes other processes.",
        fix="Remove ptrace from the profile.",
        message=message,
        subject=subject,
        profile=profile,
        location=Location(file=file, line=line, column=column),
        link=link,
    )


LOW: Final = finding("wide-glob", severity=Severity.LOW, line=0, column=0, message="/srv/** is wide", subject="/srv/**")
MEDIUM: Final = finding("bpf", severity=Severity.MEDIUM, profile="db", file="db.profile.toml", subject="bpf")
OF_POLICY: Final = finding("unused-waiver", severity=Severity.INFO, profile="", file="policy.toml", link="")
REPORT: Final = Report(
    policy="strict",
    fail_on=Severity.HIGH,
    checked=(
        Checked(name="web", file="web.profile.toml", kind="harden-profile"),
        Checked(name="db", file="db.profile.toml", kind="harden-profile"),
        Checked(name="idle", file="idle.profile.toml", kind="harden-profile"),
    ),
    findings=(finding(), MEDIUM, LOW, OF_POLICY),
    waived=(Waived(finding=finding("bpf", subject="bpf"), reason="needed until the port", until="2027-01-31"),),
    improvements=(Improvement(profile="db", message="mount is granted no more", subject="mount", weight=9),),
    notes=(Note(profile="web", title="refuses the entry requirement of 1 of 2 known things", lines=("open: CVE-1",)),),
)
CLEAN: Final = Report(policy="baseline", fail_on=Severity.LOW, checked=REPORT.checked, findings=())

_HOSTILE: Final = st.text(max_size=40) | st.sampled_from(
    (
        *("a|b", "`x`", "<script>alert(1)</script>", "@everyone", "org/repo#1", "#17", "GH-99", "![x](http://e.vil)"),
        *(
            "[a](b)",
            "a\r\nb",
            "::error::x",
            "\n::set-env name=x::y",
            "%0A::error::",
            "\x1b[31mred",
            "\u202eevil",
            "\ud800",
        ),
        *(
            "https://e.vil/x",
            "www.e.vil",
            "a,b:c",
            "{0}",
            "]]>",
            "&amp;",
            "--\n# heading",
            "\\",
            "\x00",
            "\ufffe",
            "****",
        ),
    )
)
_SEVERITIES: Final = st.sampled_from(list(Severity))
_LINES: Final = st.integers(0, 5)


@st.composite
def _findings(draw: st.DrawFn) -> Finding:
    return Finding(
        id=draw(st.sampled_from(("ptrace", "bpf", "wide-glob"))),
        severity=draw(_SEVERITIES),
        title=draw(_HOSTILE),
        why=draw(_HOSTILE),
        fix=draw(_HOSTILE),
        message=draw(_HOSTILE),
        subject=draw(_HOSTILE),
        profile=draw(_HOSTILE),
        location=Location(file=draw(_HOSTILE.filter(bool)), line=draw(_LINES), column=draw(_LINES)),
        link=draw(_HOSTILE),
    )


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """Any report: every text in it may be an attack on whoever shows it."""
    return Report(
        policy=draw(_HOSTILE),
        fail_on=draw(_SEVERITIES),
        checked=tuple(
            Checked(name=draw(_HOSTILE), file=draw(_HOSTILE.filter(bool)), kind="harden-profile")
            for _ in range(draw(st.integers(0, 2)))
        ),
        findings=tuple(draw(st.lists(_findings(), max_size=4))),
        waived=tuple(
            Waived(finding=each, reason=draw(_HOSTILE), until="2027-01-01")
            for each in draw(st.lists(_findings(), max_size=2))
        ),
        improvements=tuple(
            Improvement(profile=draw(_HOSTILE), message=draw(_HOSTILE), subject=draw(_HOSTILE), weight=1)
            for _ in range(draw(st.integers(0, 1)))
        ),
        notes=tuple(
            Note(profile=draw(_HOSTILE), title=draw(_HOSTILE), lines=(draw(_HOSTILE),))
            for _ in range(draw(st.integers(0, 1)))
        ),
    )
