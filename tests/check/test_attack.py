"""The known-attack view: every row of every table against a profile that refuses it and one that does not."""

from __future__ import annotations

import json
import re
import tomllib

import jsonschema
import pytest

from harden import shipped
from harden.bpf.action import ALLOW, EPERM
from harden.check.attack import Standing, attack_view
from harden.check.attack_table import Attack, AttackTable, Way, parse_attack_table, shipped_attack_tables
from harden.check.attack_text import (
    attack_note,
    render_attacks_json,
    render_attacks_markdown,
    render_attacks_text,
)
from harden.check.foreign import read_foreign
from harden.check.foreign.rule_filter import ArgumentTest, CallRule, RuleFilter
from harden.check.foreign.source import WordLocator
from harden.check.profile_subject import ProfileSeccomp
from harden.check.subject import NetworkFacet, SeccompFacet, Subject, SubjectKind
from harden.errors import DocumentError
from harden.model.arch import Arch
from harden.model.capability import Capability
from harden.model.document import schema
from harden.model.origin import Origin
from harden.model.profile import Rights
from harden.model.syscall import numbers

TABLES = {table.name: table for table in shipped_attack_tables()}
ROWS = [(table.name, attack.id) for table in TABLES.values() for attack in table.attack]
EVERYTHING = frozenset(Capability)
X86_64, I386 = Arch.X86_64, Arch.I386


def subject(
    seccomp: SeccompFacet | None = None,
    capabilities: frozenset[Capability] | None = None,
    families: frozenset[str] | None = None,
) -> Subject:
    return Subject(
        name="web",
        file="web",
        kind=SubjectKind.OCI_SECCOMP,
        locator=WordLocator("web"),
        seccomp=seccomp,
        capabilities=capabilities,
        network=NetworkFacet(rules=None, families=families),
    )


def rules(default: int = ALLOW, arches: tuple[Arch, ...] = (X86_64,), **calls: CallRule) -> RuleFilter:
    return RuleFilter(architectures=arches, default=default, rules={name: (rule,) for name, rule in calls.items()})


def refusing(*ways: Way) -> RuleFilter:
    """Everything but what the ways try: the calls they name, with those first and following arguments."""
    found: dict[str, list[CallRule]] = {}
    for way in ways:
        if way.call and not way.arguments:
            found.setdefault(way.call, []).append(CallRule(EPERM))
        elif way.call:
            for probe in way.probes():
                tests = tuple(ArgumentTest(i, "==", v) for i, v in enumerate(probe[: len(way.arguments)]))
                found.setdefault(way.call, []).append(CallRule(EPERM, tests))
    return RuleFilter(architectures=(X86_64,), default=ALLOW, rules={name: tuple(each) for name, each in found.items()})


def standing(what: Subject, table: AttackTable, name: str) -> Standing:
    return next(each.standing for each in attack_view(what, table).attacks if each.id == name)


@pytest.mark.parametrize(("table", "name"), ROWS)
def test_a_row_is_open_where_everything_is_granted(table, name):
    assert standing(subject(rules(), EVERYTHING), TABLES[table], name) is Standing.OPEN


@pytest.mark.parametrize(("table", "name"), ROWS)
def test_a_row_is_refused_by_refusing_any_one_of_its_needs_and_nothing_else(table, name):
    found = TABLES[table]
    attack = next(each for each in found.attack if each.id == name)
    for need in attack.needs:
        ways = found.needs[need].ways
        capabilities = EVERYTHING - {Capability[way.capability] for way in ways if way.capability}
        narrow = subject(refusing(*ways), capabilities)
        assert standing(narrow, found, name) is Standing.REFUSED, need
        judged = next(each for each in attack_view(narrow, found).attacks if each.id == name)
        assert found.needs[need].title in judged.refused


@pytest.mark.parametrize(("table", "name"), ROWS)
def test_one_way_that_is_left_is_enough(table, name):
    found = TABLES[table]
    attack = next(each for each in found.attack if each.id == name)
    for need in attack.needs:
        ways = found.needs[need].ways
        for left in (way for way in ways if way.capability or way.call in numbers(X86_64)):
            others = [way for way in ways if way is not left]
            gone = {Capability[way.capability] for way in others if way.capability}
            assert standing(subject(refusing(*others), EVERYTHING - gone), found, name) is Standing.OPEN


def test_an_allow_list_for_a_server_refuses_all_but_what_it_needs():
    calls = ("read", "write", "socket", "setsockopt", "execve", "clone", "exit_group")
    rights = Rights(
        architectures=(X86_64,),
        syscalls={Origin.OBSERVED: tuple(sorted(calls))},
        arguments={
            "clone": {Origin.OBSERVED: (("0",),)},
            "setsockopt": {Origin.OBSERVED: (("SOL_SOCKET", "SO_REUSEADDR"),)},
            "socket": {Origin.OBSERVED: (("AF_INET", "SOCK_STREAM", "*"), ("AF_UNIX", "SOCK_STREAM", "0"))},
        },
    )
    view = attack_view(subject(ProfileSeccomp(rights), frozenset()), TABLES["kernelctf"])
    left = {each.id for each in view.attacks if each.standing is not Standing.REFUSED}
    assert left == {"CVE-2023-4622", "CVE-2024-36972"}
    assert view.sentence.startswith("refuses the entry requirement of 76 of 78 known kernel vulnerabilities")
    assert [remedy.need for remedy in view.remedies] == ["an AF_UNIX socket"]
    assert view.remedies[0].attacks == ("CVE-2023-4622", "CVE-2024-36972")


def test_a_filter_alone_does_not_say_which_capabilities_are_held():
    narrow = subject(rules(EPERM, setsockopt=CallRule(EPERM)))
    view = attack_view(narrow, TABLES["kernelctf"])
    # The sockets are refused whatever is held, and each of these needs one.
    assert view.count(Standing.REFUSED) == len(view.attacks)
    user = subject(rules(clone=CallRule(EPERM), clone3=CallRule(EPERM), unshare=CallRule(EPERM)))
    assert standing(user, TABLES["kernelctf"], "CVE-2024-1086") is Standing.UNKNOWN
    assert "depend on what the file does not say" in attack_view(user, TABLES["kernelctf"]).sentence


def test_a_security_module_that_refuses_a_family_is_not_passed_by_io_uring():
    inet = subject(None, frozenset(), frozenset({"AF_INET"}))
    assert standing(inet, TABLES["kernelctf"], "CVE-2025-40019") is Standing.REFUSED
    alg = subject(None, frozenset(), frozenset({"AF_ALG"}))
    assert standing(alg, TABLES["kernelctf"], "CVE-2025-40019") is Standing.UNKNOWN


def test_io_uring_passes_a_filter_on_sockets():
    socket = CallRule(EPERM)
    assert standing(subject(rules(socket=socket)), TABLES["kernelctf"], "CVE-2025-40019") is Standing.OPEN
    closed = subject(rules(socket=socket, io_uring_setup=CallRule(EPERM)))
    assert standing(closed, TABLES["kernelctf"], "CVE-2025-40019") is Standing.REFUSED


def test_socketcall_is_a_way_to_every_socket():
    sockets = {"socket": CallRule(EPERM), "io_uring_setup": CallRule(EPERM)}
    both = subject(rules(ALLOW, (I386, X86_64), **sockets))
    assert standing(both, TABLES["kernelctf"], "CVE-2025-40019") is Standing.OPEN
    none = subject(rules(ALLOW, (I386, X86_64), socketcall=CallRule(EPERM), **sockets))
    assert standing(none, TABLES["kernelctf"], "CVE-2025-40019") is Standing.REFUSED


def test_an_unchecked_abi_is_a_way_to_everything():
    found = RuleFilter(architectures=(X86_64,), unchecked=(I386,), default=EPERM, rules={})
    view = attack_view(subject(found, EVERYTHING), TABLES["kernelctf"])
    assert view.count(Standing.OPEN) == len(view.attacks)


def test_a_foreign_file_is_judged_too():
    text = b"[Service]\nSystemCallArchitectures=native\nSystemCallFilter=~io_uring_setup bpf perf_event_open\n"
    view = attack_view(read_foreign(text, "web.service"), TABLES["kernelctf"])
    assert view.count(Standing.REFUSED) == 6 + 5 + 2


def test_tables_are_dated_and_sourced():
    for name in shipped.names("profiles/attacks"):
        jsonschema.validate(tomllib.loads(shipped.text(f"profiles/attacks/{name}")), schema(AttackTable))
    for table in TABLES.values():
        assert re.fullmatch(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]", table.date)
        assert re.fullmatch(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]", table.reviewed)
        assert table.source.startswith("https://")
    kernelctf = TABLES["kernelctf"]
    assert len(kernelctf.attack) == 78
    for attack in kernelctf.attack:
        assert re.fullmatch(r"CVE-20[0-9]{2}-[0-9]{4,5}", attack.id)
        assert attack.record.startswith(attack.id)
        assert attack.year == int(attack.id[4:8])
    assert {"execute-program", "open-port", "connect-back"} <= {a.id for a in TABLES["post-exploitation"].attack}


def test_the_remedies_taken_together_refuse_everything():
    table = TABLES["kernelctf"]
    view = attack_view(subject(rules(), EVERYTHING), table)
    assert view.count(Standing.REFUSED) == 0
    assert {name for remedy in view.remedies for name in remedy.attacks} == {attack.id for attack in table.attack}
    counts = [len(remedy.attacks) for remedy in view.remedies]
    assert counts == sorted(counts, reverse=True)


def small(**changes: object) -> bytes:
    parts = {
        "format": '"harden-attacks/1"',
        **dict.fromkeys(("name", "title", "noun", "source", "license", "date", "reviewed"), '"x"'),
        "needs": '{ a = { title = "x", fix = "x", ways = [{ call = "bpf" }] } }',
        "attack": '[{ id = "one", subsystem = "x", needs = ["a"] }]',
    }
    return "\n".join(f"{key} = {value}" for key, value in {**parts, **changes}.items()).encode()


WIDE = f'{{ a = {{ title = "x", fix = "x", ways = [{{ call = "bpf", arguments = [{[*range(300)]}] }}] }} }}'
SAME = '{ id = "1", subsystem = "x", needs = ["a"] }'


def test_a_small_table_is_read():
    table = parse_attack_table(small(), "t.toml")
    assert table.attack == (Attack(id="one", subsystem="x", needs=("a",)),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attack": '[{ id = "one", subsystem = "x", needs = ["b"] }]'}, "'b' is no need"),
        ({"attack": '[{ id = "one", subsystem = "x", needs = [] }]'}, "needs nothing"),
        (
            {"attack": f"[{SAME}, {SAME}]"},
            "twice",
        ),
        ({"attack": "[]"}, "no attack has the need 'a'"),
        ({"needs": '{ a = { title = "x", fix = "x", ways = [{ call = "hack" }] } }'}, "unknown system call"),
        ({"needs": '{ a = { title = "x", fix = "x", ways = [{ capability = "CAP_X" }] } }'}, "unknown capability"),
        ({"needs": '{ a = { title = "x", fix = "x", ways = [{ }] } }'}, "one of the two"),
        ({"needs": '{ a = { title = "x", fix = "x", ways = [{ call = "bpf", arguments = [[-1]] }] } }'}, "64 bits"),
        ({"needs": WIDE}, "more than 256 combinations"),
        ({"extra": "1"}, "unknown field"),
        ({"format": '"harden-attacks/2"'}, "newer"),
    ],
)
def test_a_wrong_table_is_refused(changes, message):
    with pytest.raises(DocumentError, match=message):
        parse_attack_table(small(**changes), "t.toml")


def test_outputs():
    view = attack_view(subject(rules(bpf=CallRule(EPERM)), EVERYTHING), TABLES["kernelctf"])
    text = render_attacks_text([view]).decode()
    assert text.splitlines()[0] == f"web: {view.sentence}"
    assert "    refused CVE-2023-52447, bpf (loading a BPF program)" in text
    assert "    open    CVE-2024-1086, netfilter" in text
    document = json.loads(render_attacks_json([view]))[0]
    assert (document["refused"], document["open"], document["unknown"], document["total"]) == (6, 72, 0, 78)
    assert document["sentence"] == view.sentence
    assert len(document["attacks"]) == 78
    markdown = render_attacks_markdown([view]).decode()
    assert "refuses the entry requirement of 6 of 78 known kernel vulnerabilities" in markdown
    note = attack_note(view)
    assert note.title == view.sentence
    assert note.lines[0].startswith("not refused: CVE-2023-0461, ")
    assert "mitigat" not in text + markdown
