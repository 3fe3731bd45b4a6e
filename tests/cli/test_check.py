"""`harden check`: exit codes, formats; what cannot be judged ends with 2 and one line that names its place."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harden.input_file import MAX_INPUT, MAX_PATTERNS, MAX_RULES
from harden.render.profile_toml import render_profile
from tests.check.cases import calls, files, profile
from tests.cli.gate import Gate

POLICY = 'format = "harden-policy/1"\ndescription = "x"\n'


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Gate:
    monkeypatch.chdir(tmp_path)
    return Gate(tmp_path, capfd)


def test_clean(gate):
    gate.write("app.profile.toml", profile())
    done = gate.check()
    assert done.status == 0
    assert done.err == ""


def test_finding_names_the_line(gate):
    gate.write("a/app.profile.toml", calls("read", "ptrace"))
    done = gate.check()
    line = next(n for n, text in enumerate(Path("a/app.profile.toml").read_text().split("\n"), 1) if "ptrace" in text)
    assert done.status == 1
    assert done.out.startswith(f"a/app.profile.toml:{line}:")
    assert "[ptrace]" in done.out


def test_addition_in_the_local_file_is_checked_and_placed_there(gate):
    gate.write("app.profile.toml", profile())
    gate.write("app.local.toml", 'format = "harden-local/1"\n[add]\nsyscalls = ["ptrace"]\n')
    done = gate.check()
    assert done.status == 1
    assert done.out.startswith("app.local.toml:3:13: high: ptrace")


@pytest.mark.parametrize(("level", "status"), [("info", 1), ("low", 1), ("medium", 1), ("high", 1), ("critical", 0)])
def test_fail_on(gate, level, status):
    gate.write("app.profile.toml", calls("ptrace"))
    assert gate.check("--fail-on", level).status == status


@pytest.mark.parametrize("name", ["text", "json", "sarif", "junit", "github", "markdown"])
def test_every_format_goes_to_stdout_or_a_file(gate, name):
    gate.write("app.profile.toml", calls("ptrace"))
    printed = gate.check("--format", name)
    written = gate.check("--format", name, "-o", "report")
    assert printed.status == written.status == 1
    assert "ptrace" in printed.out
    assert (written.out, Path("report").read_text()) == ("", printed.out)


def test_scope_by_path_holds_however_the_file_is_named(gate):
    path = gate.write("srv/app.profile.toml", profile())
    gate.write("p.toml", POLICY + '[[scope]]\npaths = ["srv/**"]\ndemand.forbidden_syscalls = ["read"]\n')
    for name in ("srv/app.profile.toml", "./srv/app.profile.toml", "srv/../srv/app.profile.toml", str(path)):
        assert gate.check("--policy", "p.toml", name).status == 1


def test_names_that_a_terminal_would_act_on(gate):
    hostile = "\x1b[31m\n::error::x"
    gate.write("a\x1b\n.profile.toml", profile(name=hostile, rights={"syscalls": {"observed": ["ptrace"]}}))
    (gate.folder / os.fsdecode(b"\xff.profile.toml")).write_bytes(GOOD.replace('"read"', '"ptrace"').encode())
    for name in ("text", "json", "sarif", "junit", "github", "markdown"):
        done = gate.check("--format", name)
        assert done.status == 1, done
        assert "\x1b" not in done.out
        assert not re.search(r"^::error::x", done.out, re.MULTILINE)


def test_foreign_file(gate):
    gate.write(
        "seccomp.json", '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": []}'
    )
    done = gate.check("seccomp.json")
    assert done.status == 1
    assert "[permissive-default]" in done.out


def test_recording_beside_it_explains_the_rules(gate):
    from harden.model.document import encode_json
    from tests import recordings

    recording = recordings.small_recording()
    gate.write("app.recording.json", encode_json(recording))
    gate.write("app.profile.toml", recordings.small_profile())
    clean = gate.check("--policy", "strict", "--format", "json").out
    assert "rule-without-origin" not in clean
    text = Path("app.profile.toml").read_text().replace('"brk",', '"brk",\n  "getppid",', 1)
    gate.write("app.profile.toml", text)
    assert "getppid is in the profile, but the recording" in gate.check("--policy", "strict").out


def test_exports_must_be_fresh(gate):
    from harden.render.formats import FORMATS

    gate.write("app.profile.toml", profile())
    gate.write("p.toml", POLICY + '[demand]\nexports = [{format = "seccomp", file = "{name}.json"}]\n')
    assert "is missing" in gate.check("--policy", "p.toml").out
    gate.write("app.json", FORMATS["seccomp"].render(profile()).content)
    assert gate.check("--policy", "p.toml").status == 0
    gate.write("app.profile.toml", calls("read"))
    assert "differs from the profile" in gate.check("--policy", "p.toml").out


def test_attacks_are_shown_and_decide_nothing(gate):
    gate.write("app.profile.toml", profile())
    done = gate.check("--attacks")
    assert done.status == 0
    assert "refuses the entry requirement of" in done.out


GOOD = render_profile(profile()).decode()
READ_LINE = next(number for number, line in enumerate(GOOD.split("\n"), 1) if '"read"' in line)
BAD_PROFILES = {
    "empty": ("", "app.profile.toml:1:1: $.format: has no `format`"),
    "not TOML": ("x ==\n", "app.profile.toml:1:4: not TOML: Invalid value"),
    "not UTF-8": (b"x = '\xff'\n", "app.profile.toml:1:1: not UTF-8 at byte 5"),
    "binary": (b"\0\1\2", "app.profile.toml:1:1: not TOML"),
    "duplicate key": ("a = 1\na = 2\n", "app.profile.toml:2:6: not TOML: Cannot overwrite a value"),
    "other format": ('format = "harden-recording/1"\n', "app.profile.toml:1:10: $.format: is 'harden-recording/1'"),
    "newer format": ('format = "harden-profile/2"\n', "newer than"),
    "unknown field": (
        GOOD + "\n[more]\n",
        f"app.profile.toml:{GOOD.count(chr(10)) + 2}:2: Object contains unknown field `more`",
    ),
    "unknown call": (
        GOOD.replace('"read"', '"reed"'),
        f"app.profile.toml:{READ_LINE}:13: $.rights: unknown system call 'reed'",
    ),
    "unknown capability": (GOOD + '[rights.capabilities]\nobserved = ["CAP_X"]\n', "unknown capability 'CAP_X'"),
    "relative path": (GOOD + '[rights.files.observed]\n"etc" = "read"\n', "'etc': a path must be absolute"),
    "bad network": (GOOD + '[rights.network]\nobserved = ["listen tcp"]\n', "must start with bind or connect"),
    "nested": ("a = " + "[" * 100_000, "nested too deeply"),
    "long key": ("a." * 100_000 + "b = 1", "app.profile.toml:1:1: a key has more than 100 parts"),
}


@pytest.mark.parametrize("case", BAD_PROFILES)
def test_bad_profile(gate, case):
    content, problem = BAD_PROFILES[case]
    gate.write("app.profile.toml", content)
    line = gate.unusable("-o", "report")
    assert line.startswith("app.profile.toml")
    assert problem in line


BAD_POLICIES = {
    "empty": ("", "p.toml:1:1: $.format: has no `format`"),
    "not TOML": (POLICY + "[demand\n", "p.toml:3:8: not TOML"),
    "unknown field": (POLICY + "a = 1\n", "p.toml:3:1: Object contains unknown field `a`"),
    "unknown check": (POLICY + '[checks]\nnope = "low"\n', "p.toml:4:1: $.checks.nope: there is no check 'nope'"),
    "unknown severity": (POLICY + '[checks]\nptrace = "hi"\n', "p.toml:4:10: $.checks[...]: 'hi' is none of the names"),
    "unknown call": (
        POLICY + '[demand]\nforbidden_syscalls = ["x"]\n',
        "p.toml:4:23: $.demand: unknown system call 'x'",
    ),
    "unknown export": (POLICY + '[demand]\nexports = [{format = "x", file = "y"}]\n', "unknown export format 'x'"),
    "extends nothing": (POLICY + 'extends = "no.toml"\n', "no.toml: cannot be read: No such file"),
    "extends itself": (POLICY + 'extends = "p.toml"\n', "p.toml:3:1: $.extends: p.toml leads back here"),
    "expression": (
        POLICY + '\n[[expression]]\nid = "x"\nexpression = "1 +"\nmessage = "m"\n',
        "p.toml:4:1: $.expression[0].expression: expression x is no CEL expression: at 1:4",
    ),
    "waiver without a reason": (
        POLICY + '[[waiver]]\ncheck = "ptrace"\nuntil = 2026-01-01\n',
        "p.toml:3:1: $.waiver[0]",
    ),
    "waiver without a day": (POLICY + '[[waiver]]\ncheck = "bpf"\nreason = "a b"\n', "missing required field `until`"),
    "waiver of nothing": (
        POLICY + '\n[[waiver]]\ncheck = "x"\nreason = "a b"\nuntil = 2026-01-01\n',
        "p.toml:5:9: $.waiver[0].check: there is no check 'x'",
    ),
}


@pytest.mark.parametrize("case", BAD_POLICIES)
def test_bad_policy(gate, case):
    content, problem = BAD_POLICIES[case]
    gate.write("app.profile.toml", profile())
    gate.write("p.toml", content)
    assert problem in gate.unusable("--policy", "p.toml", "-o", "report")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nope"],
        ["--policy"],
        ["--policy", "nope"],
        ["--fail-on", "severe"],
        ["--format", "xml"],
        ["--baseline", "nope"],
        ["--baseline", "git:HEAD"],
        ["--baseline", "git:--upload-pack=x"],
        ["--update-baseline"],
        ["nope.profile.toml"],
        ["/dev/null"],
        ["p.toml"],
        ["-o", "no/such/folder/report"],
        ["\x1b[31m"],
    ],
    ids=" ".join,
)
def test_wrong_command_line(gate, arguments):
    gate.write("app.profile.toml", profile())
    gate.write("p.toml", POLICY)
    assert "\x1b" not in gate.unusable(*arguments)


def test_nothing_to_check(gate):
    assert "no *.profile.toml below" in gate.unusable()


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"defaultAction": "SCMP_ACT_NOPE", "syscalls": []}',
        '{"defaultAction": "SCMP_ACT_ERRNO", "defaultAction": "SCMP_ACT_ALLOW"}',
        "[Service",
        "profile x {",
    ],
)
def test_bad_foreign_file(gate, content):
    gate.write("x.json", content)
    assert gate.unusable("x.json").startswith("x.json")


def test_million_rules_are_refused_by_a_stated_limit(gate):
    rules = '"read",' * 1_000_000
    gate.write("app.profile.toml", GOOD.replace("observed = [", f"observed = [{rules}", 1))
    assert f"at most {MAX_INPUT} are read" in gate.unusable()
    gate.write("app.profile.toml", GOOD.replace("observed = [", "observed = [" + '"read",' * (MAX_RULES + 1), 1))
    assert f"at most {MAX_RULES} are checked" in gate.unusable()
    rules = "".join(f'"/srv/{number}/*" = "read"\n' for number in range(MAX_PATTERNS + 1))
    gate.write("app.profile.toml", GOOD + "[rights.files.observed]\n" + rules)
    assert f"at most {MAX_PATTERNS} are checked" in gate.unusable()
    gate.write("app.profile.toml", files(read=f"/{'*a' * 20}"))
    assert "wildcards" in gate.unusable()


def broken(data: st.DataObject, good: bytes) -> bytes:
    """Any bytes, or `good` with a part of it replaced by any bytes."""
    noise = data.draw(st.binary(max_size=60) | st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace")))
    if data.draw(st.booleans()):
        return noise
    start = data.draw(st.integers(0, len(good)))
    return good[:start] + noise + good[start + data.draw(st.integers(0, 40)) :]


FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
GOOD_POLICY = (
    POLICY + 'extends = "strict"\n[checks]\nptrace = "low"\n[demand]\nmin_runs = 2\nmost.syscalls = 3\n'
    '[demand.forbidden_files]\n"/etc/**" = "write"\n[[scope]]\nprofiles = ["app"]\ndemand.verified = true\n'
    '[[waiver]]\ncheck = "ptrace"\nreason = "a b"\nuntil = 2030-01-01\n'
    '[[expression]]\nid = "mine"\nexpression = "size(syscalls) < 100"\nmessage = "m"\n'
)


@FUZZ
@given(data=st.data())
def test_any_bytes_as_policy_end_in_a_status_not_a_traceback(gate, data):
    gate.write("app.profile.toml", profile())
    gate.write("p.toml", broken(data, GOOD_POLICY.encode()))
    done = gate.check("--policy", "p.toml")
    assert done.status in (0, 1) or (done.status == 2 and done.err.startswith("harden: "))


@FUZZ
@given(data=st.data())
def test_any_bytes_as_profile_end_in_a_status_not_a_traceback(gate, data):
    gate.write("app.profile.toml", broken(data, GOOD.encode()))
    done = gate.check()
    assert done.status in (0, 1) or (done.status == 2 and done.err.startswith("harden: "))


@FUZZ
@given(data=st.data())
def test_any_bytes_as_baseline_and_local_file_end_in_a_status_not_a_traceback(gate, data):
    gate.write("app.profile.toml", profile())
    gate.write("old.toml", broken(data, GOOD.encode()))
    gate.write("app.local.toml", broken(data, b'format = "harden-local/1"\n[add]\nsyscalls = ["ptrace"]\n'))
    done = gate.check("--baseline", "old.toml")
    assert done.status in (0, 1) or (done.status == 2 and done.err.startswith("harden: "))
