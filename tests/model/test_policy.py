"""The policy format: what is refused, and network demands."""

from __future__ import annotations

import pytest

from harden.errors import DocumentError
from harden.model.document import parse_toml
from harden.model.network_rule import NetworkRule
from harden.model.policy import MAX_EXPRESSION, POLICY_FORMAT, Policy
from harden.model.policy_network import NetworkDemand

HEAD = 'format = "harden-policy/1"\ndescription = "x"\n'
WAIVER = '[[waiver]]\ncheck = "x"\nreason = "a b"\n'


def parse(text: str) -> Policy:
    return parse_toml((HEAD + text).encode(), Policy, format=POLICY_FORMAT, file="p.toml")


@pytest.mark.parametrize(
    "text",
    [
        "unknown = 1",
        "[demand]\nphases = ['init']",
        "[demand]\ncoverage = 0.9",
        "[demand]\nforbidden_syscalls = ['nope']",
        "[demand]\nrequired_syscalls = 'read'",
        "[demand]\nforbidden_capabilities = ['CAP_NOPE']",
        "[demand]\nallowed_capabilities = ['chown']",
        "[demand]\nforbidden_files.'etc' = 'read'",
        "[demand]\nforbidden_files.'/etc' = 'eat'",
        "[demand]\nforbidden_files.'/etc/@{nope}' = 'read'",
        "[demand]\nallowed_programs = ['bin/sh']",
        "[demand]\nallowed_families = ['inet']",
        "[demand]\nallowed_network = ['connect tcp']",
        "[demand]\nforbidden_arguments.read = [['1']]",
        "[demand]\nforbidden_arguments.socket = [['AF_INET']]",
        "[demand]\nallowed_arguments.socket = [['AF_NOPE', '*', '*']]",
        "[demand]\nmin_runs = -1",
        "[demand]\nmost.syscalls = -1",
        "[demand]\nmost.cows = 1",
        "[demand]\ncontrols.gravity = 'required'",
        "[demand]\ncontrols.memory = 'please'",
        "[demand]\ncompleteness = 'nearly'",
        "[demand]\nexports = [{format = 'seccomp', file = '/etc/x'}]",
        "[demand]\nexports = [{format = 'seccomp', file = '../x'}]",
        "[checks]\nptrace = 'warning'",
        "[[scope]]\nchecks.ptrace = 'low'",
        WAIVER,
        WAIVER + "until = 'tomorrow'",
        WAIVER.replace("a b", "because") + "until = 2026-01-01",
        WAIVER + "until = 2026-01-01\nhost = 'x'",
        "[[expression]]\nid = 'No Good'\nexpression = 'true'\nmessage = 'm'",
        "[[expression]]\nid = 'x'\nexpression = 'true'\nmessage = ' '",
        f"[[expression]]\nid = 'x'\nexpression = '{'1' * (MAX_EXPRESSION + 1)}'\nmessage = 'm'",
    ],
)
def test_refuses(text):
    with pytest.raises(DocumentError, match=r"^p\.toml"):
        parse(text)


def test_refuses_another_format_and_no_format():
    for text in ('format = "harden-policy/2"\ndescription = "x"', 'format = "harden-profile/1"', 'description = "x"'):
        with pytest.raises(DocumentError, match="format"):
            parse_toml(text.encode(), Policy, format=POLICY_FORMAT, file="p.toml")


COVERS = [
    ("connect tcp 10.0.0.0/8:443", "connect tcp 10.1.2.3:443", True),
    ("connect tcp 10.0.0.0/8:443", "connect tcp 10.1.2.3:444", False),
    ("connect tcp 10.0.0.0/8:443", "connect tcp 11.1.2.3:443", False),
    ("connect tcp 10.0.0.0/8:443", "bind tcp 10.1.2.3:443", False),
    ("connect tcp 10.0.0.0/8:443", "connect udp 10.1.2.3:443", False),
    ("connect tcp6 [fd00::]/8:*", "connect tcp6 [fd00::1]:1", None),
    ("connect tcp6 [fd00::/8]:*", "connect tcp6 [fd00::1]:1", True),
    ("* * *", "bind AF_NETLINK/SOCK_RAW", True),
    ("bind * *:8000-8999", "bind tcp 0.0.0.0:8080", True),
    ("bind * *:8000-8999", "bind udp6 [::]:9000", False),
    ("* unix /run/app/**", "connect unix /run/app/a/b", True),
    ("* unix /run/app/**", "connect unix /run/apple", False),
    ("* unix @app", "bind unix @app", True),
    ("* tcp *:80", "bind unix /run/x", False),
]


@pytest.mark.parametrize(("demand", "rule", "expected"), COVERS)
def test_network_demand_covers(demand, rule, expected):
    if expected is None:
        with pytest.raises(ValueError, match="does not appear"):
            NetworkDemand.parse(demand)
        return
    assert NetworkDemand.parse(demand).covers(NetworkRule.parse(rule)) is expected


@pytest.mark.parametrize(
    ("demand", "rule", "expected"),
    [
        ("bind tcp 127.0.0.1/32:80", "bind tcp 0.0.0.0:80", True),
        ("bind tcp 127.0.0.1/32:80", "bind tcp 127.0.0.1:0", True),
        ("bind tcp 127.0.0.1/32:80", "bind tcp 10.0.0.1:80", False),
        ("* raw *", "bind raw 0.0.0.0:0", True),
        ("connect unix /run/docker.sock", "connect unix /run/*", True),
        ("connect unix /run/docker.sock", "connect unix /tmp/x", False),
        ("connect * 169.254.169.254/32:*", "connect tcp 169.254.169.254:80", True),
    ],
)
def test_network_demand_meets_what_a_wider_rule_allows(demand, rule, expected):
    assert NetworkDemand.parse(demand).meets(NetworkRule.parse(rule)) is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "connect",
        "listen tcp *:1",
        "connect TCP! *:1",
        "connect tcp 1.2.3:4",
        "connect tcp *:70000",
        "connect tcp *:9-8",
        "connect tcp 10.0.0.1/8:1",
        "connect unix run/x",
        "bind tcp *:1 extra",
    ],
)
def test_network_demand_that_is_none(text):
    with pytest.raises(ValueError):
        NetworkDemand.parse(text)
