"""The engine: severities, scopes, waivers, expressions, and an order that depends on nothing but the input."""

from __future__ import annotations

import datetime
import tomllib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.check.case import Surroundings
from harden.check.engine import Input, run_checks
from harden.check.finding import Finding, Report
from harden.check.location import TomlSource
from harden.check.policy_chain import PolicyChain, PolicyFile
from harden.errors import DocumentError
from harden.model.policy import Policy
from harden.model.profile import Profile
from harden.model.severity import Severity
from tests.check.cases import TODAY, calls, profile, subject_of

HEAD = 'format = "harden-policy/1"\ndescription = "x"\n'


def chain(*texts: str) -> PolicyChain:
    found = []
    for number, text in enumerate(texts):
        whole = HEAD + text
        policy = msgspec.convert(tomllib.loads(whole), Policy)
        found.append(PolicyFile(policy=policy, source=TomlSource(f"{number}.toml", whole)))
    return PolicyChain("p", tuple(found))


def report(*profiles: Profile, policy: PolicyChain | None = None, whole: bool = True, **around: Any) -> Report:
    inputs = [Input(subject=subject_of(each), around=Surroundings(**around)) for each in profiles]
    return run_checks(
        inputs,
        policy or chain('[checks]\nunverified-profile = "off"\n'),
        today=TODAY,
        fail_on=Severity.MEDIUM,
        whole=whole,
    )


QUIET = '[checks]\nunverified-profile = "off"\n'


def ids(found: Report) -> list[str]:
    return [finding.id for finding in found.findings]


def test_clean_profile_is_clean():
    assert report(profile()).findings == ()
    assert report(profile()).exit_status == 0


def test_severity_comes_from_the_last_policy_that_names_it():
    base, more = QUIET + 'ptrace = "low"\n', '[checks]\nptrace = "critical"\n'
    assert report(calls("ptrace"), policy=chain(base)).exit_status == 0
    found = report(calls("ptrace"), policy=chain(base, more))
    assert [(finding.id, finding.severity) for finding in found.findings] == [("ptrace", Severity.CRITICAL)]
    assert found.exit_status == 1


def test_off_is_off():
    assert ids(report(calls("ptrace"), policy=chain(QUIET + 'ptrace = "off"\n'))) == []


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        ('profiles = ["app"]', ["forbidden-syscall"]),
        ('profiles = ["a*"]', ["forbidden-syscall"]),
        ('profiles = ["b*"]', []),
        ('paths = ["*.profile.toml"]', ["forbidden-syscall"]),
        ('paths = ["**/app.profile.toml"]', ["forbidden-syscall"]),
        ('paths = ["services/**"]', []),
    ],
)
def test_scope_is_for_those_it_names(scope, found):
    text = f'{QUIET}[[scope]]\n{scope}\ndemand.forbidden_syscalls = ["read"]\n'
    assert ids(report(profile(), policy=chain(text))) == found


def test_what_is_forbidden_adds_up_and_the_rest_is_replaced():
    base = QUIET + '[demand]\nforbidden_syscalls = ["read"]\nmin_runs = 5\nmost.syscalls = 1\n'
    more = '[demand]\nforbidden_syscalls = ["write"]\nmin_runs = 1\nmost.files = 0\n'
    found = report(profile(), policy=chain(base, more))
    assert sorted(ids(found)) == ["forbidden-syscall", "forbidden-syscall", "too-many-rights"]


def waiver(**changes: str) -> str:
    fields = {"check": '"ptrace"', "reason": '"the debugger needs it"', "until": "2026-06-15", **changes}
    return "[[waiver]]\n" + "".join(f"{key} = {value}\n" for key, value in fields.items())


@pytest.mark.parametrize(
    ("changes", "found", "waived"),
    [
        ({}, [], 1),
        ({"subject": '"ptrace"'}, [], 1),
        ({"profile": '"a*"', "path": '"**/*.toml"'}, [], 1),
        ({"until": "2026-06-14"}, ["ptrace", "expired-waiver"], 0),
        ({"profile": '"b"'}, ["ptrace", "unused-waiver"], 0),
        ({"subject": '"process_vm_readv"'}, ["ptrace", "unused-waiver"], 0),
        ({"check": '"bpf"'}, ["ptrace", "unused-waiver"], 0),
    ],
)
def test_waiver(changes, found, waived):
    result = report(calls("ptrace"), policy=chain(QUIET + waiver(**changes)))
    assert ids(result) == found
    assert len(result.waived) == waived
    assert result.exit_status == (1 if found else 0)


def test_finding_about_a_waiver_points_at_it():
    found = report(profile(), policy=chain(QUIET + waiver() + waiver(check='"bpf"'))).findings
    assert [(str(finding.location), finding.subject) for finding in found] == [
        ("0.toml:5:1", "ptrace"),
        ("0.toml:9:1", "bpf"),
    ]


def test_waiver_for_what_was_not_looked_at_is_not_unused():
    policy = chain(QUIET + waiver(profile='"other"'))
    assert ids(report(profile(), policy=policy, whole=False)) == []
    assert ids(report(profile(), policy=policy, whole=True)) == ["unused-waiver"]
    growth = chain(QUIET + waiver(check='"growth"'))
    assert ids(report(profile(), policy=growth)) == []
    assert ids(report(profile(), policy=growth, baseline=profile(), baseline_name="x")) == ["unused-waiver"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[checks]\nnope = "low"\n', "no check 'nope'"),
        ('[[scope]]\nprofiles = ["x"]\nchecks.nope = "low"\n', "no check 'nope'"),
        (waiver(check='"nope"'), "no check 'nope'"),
        (waiver(check='"expired-waiver"'), "cannot be waived"),
        ('[[expression]]\nid = "ptrace"\nexpression = "true"\nmessage = "m"\n', "is taken"),
    ],
)
def test_policy_that_names_what_does_not_exist(text, problem):
    with pytest.raises(DocumentError, match=problem):
        chain(text)


def expression(text: str) -> PolicyChain:
    return chain(
        f'{QUIET}[[expression]]\nid = "mine"\nexpression = {text!r}\nmessage = "too many"\nseverity = "high"\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        "size(syscalls) <= 3",
        "!('ptrace' in syscalls)",
        "profile.rights.syscalls.observed.exists(call, call == 'read')",
        "files.all(path, !('write' in files[path]))",
        "profile.generated.runs.size() == 1 && name == 'app' && architectures == ['x86_64']",
    ],
)
def test_expression_that_holds(text):
    assert ids(report(profile(), policy=expression(text))) == []


def test_expression_that_does_not_hold():
    (finding,) = report(profile(), policy=expression("size(syscalls) < 3")).findings
    assert (finding.id, finding.message, finding.severity) == ("mine", "too many", Severity.HIGH)


def test_expression_can_be_waived_and_switched_off():
    policy = chain(
        QUIET + '[[expression]]\nid = "mine"\nexpression = "false"\nmessage = "m"\n' + waiver(check='"mine"')
    )
    assert ids(report(profile(), policy=policy)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1 +", "at 1:4"),
        ("syscalls[", "no CEL expression"),
        ("nothing == 1", "no value.*nothing"),
        ("profile.nothing == 1", "no value.*nothing"),
        ("size(syscalls)", "gives int"),
        ("1 / 0 == 1", "no value"),
        ("f(1)", "no value"),
    ],
)
def test_wrong_expression_says_where(text, problem):
    with pytest.raises(DocumentError, match=f"0.toml: .*expression mine.*{problem}") as caught:
        report(profile(), policy=expression(text))
    assert "\n" not in caught.value.message


@given(st.permutations(["a", "b", "c"]), st.permutations(["ptrace", "bpf", "mount", "keyctl", "io_uring_setup"]))
def test_order_of_input_changes_nothing(names, syscalls):
    def text(names: list[str], syscalls: list[str]) -> tuple[Finding, ...]:
        inputs = [Input(subject=subject_of(calls(*sorted(syscalls)))) for _ in names]
        inputs = [
            Input(subject=msgspec.structs.replace(each.subject, name=name, file=f"{name}.profile.toml"))
            for each, name in zip(inputs, names, strict=True)
        ]
        made = run_checks(inputs, chain(QUIET), today=datetime.date(2026, 1, 1), fail_on=Severity.LOW, whole=True)
        return made.findings

    assert text(names, syscalls) == text(sorted(names), sorted(syscalls))


def test_shrinking_is_an_improvement():
    found = report(calls("read"), baseline=calls("read", "ptrace"), baseline_name="x")
    assert found.findings == ()
    assert [(each.subject, each.weight) for each in found.improvements] == [("ptrace", 9)]


def test_stronger_control_is_an_improvement():
    (found,) = report(profile(), baseline=profile(controls={"landlock": "off"}), baseline_name="x").improvements
    assert found.message == "demands more of landlock"
