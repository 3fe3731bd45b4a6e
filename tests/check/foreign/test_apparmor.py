"""AppArmor profile texts as subjects."""

from __future__ import annotations

import pytest

from harden import shipped
from harden.check.foreign import read_foreign
from harden.check.foreign.apparmor_glob import patterns
from harden.check.subject import Section, SubjectKind
from harden.errors import DocumentError
from harden.model.capability import Capability
from harden.model.recording import FileOperation
from harden.render.apparmor import render_apparmor
from tests import recordings


def read(*rules: str, header: str = "profile web /usr/bin/web {"):
    text = "\n".join(("abi <abi/3.0>,", header, *(f"  {rule}" for rule in rules), "}", ""))
    return read_foreign(text.encode(), "usr.bin.web")


def grants(*rules: str, **more: str) -> dict[str, str]:
    subject = read(*rules, **more)
    return {grant.text: " ".join(sorted(grant.operations)) for grant in subject.files or ()}


def test_capabilities_networks_and_places():
    subject = read("capability chown, # one", "capability kill sys_admin,", "network inet stream,", "network unix,")
    assert subject.kind is SubjectKind.APPARMOR
    assert subject.seccomp is None
    assert subject.capabilities == {Capability.CAP_CHOWN, Capability.CAP_KILL, Capability.CAP_SYS_ADMIN}
    assert subject.network is not None
    assert subject.network.families == {"AF_INET", "AF_UNIX"}
    assert str(subject.locator.find(Section.CAPABILITY, "CAP_SYS_ADMIN")) == "usr.bin.web:4:3"
    assert subject.not_checked == ()


def test_nothing_is_granted_without_a_rule():
    subject = read()
    assert subject.capabilities == frozenset()
    assert subject.files == ()
    assert subject.network is not None
    assert subject.network.families == frozenset()


def test_bare_rules_grant_everything():
    subject = read("capability,", "network,", "file,")
    assert subject.capabilities == frozenset(Capability)
    assert subject.network is not None
    assert subject.network.families is None
    assert [(grant.text, grant.operations) for grant in subject.files or ()] == [("/**", frozenset(FileOperation))]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("/etc/web.conf r,", {"/etc/web.conf": "list read stat"}),
        ("r /etc/web.conf,", {"/etc/web.conf": "list read stat"}),
        ("file /etc/web.conf r,", {"/etc/web.conf": "list read stat"}),
        ("audit owner /a rm,", {"/a": "list map read stat"}),
        ("/usr/lib/*.so mr,", {"/usr/lib/*.so": "list map read stat"}),
        ('"/a b/c" k,', {"/a b/c": "lock"}),
        ("/srv/{one,two/{x,y}}/ a,", {"/srv/one": "append", "/srv/two/x": "append", "/srv/two/y": "append"}),
        ("/var/log/** a,", {"/var/log/**": "append"}),
        ("/a/?[0-9] a,", {"/a/*": "append"}),
        ("@{PROC}/@{pid}/stat a,", {"/proc/*/stat": "append"}),
        ("/usr/bin/env ix,", {"/usr/bin/env": "exec"}),
        ("deny /a w, /b a,", {"/b": "append"}),
        (r"/a\{b a,", {"/a{b": "append"}),
        ("/@a a,", {"/\\x40a": "append"}),
    ],
)
def test_file_rules(rule, expected):
    assert grants(rule) == expected


def test_writing_is_more_than_writing():
    found = grants("/srv/** w,")["/srv/**"].split()
    assert {"write", "create", "unlink", "mkdir", "truncate", "chmod"} <= set(found)
    assert not {"read", "exec", "map"} & set(found)


def test_a_deny_takes_away_what_it_covers():
    assert grants("/srv/** ra,", "deny /srv/** r,") == {"/srv/**": "append"}
    assert grants("/srv/** a,", "deny /srv/x a,") == {"/srv/**": "append"}
    assert read("capability,", "deny capability sys_admin,").capabilities == frozenset(Capability) - {
        Capability.CAP_SYS_ADMIN
    }


def test_variables_of_the_file():
    text = "@{ROOT}=/srv /opt\n@{ROOT}+=/web\nprofile web {\n  @{ROOT}/x a,\n}\n"
    subject = read_foreign(text.encode(), "web")
    assert [grant.text for grant in subject.files or ()] == ["/opt/x", "/srv/x", "/web/x"]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("include <abstractions/base>", "included rules are not read"),
        ("#include <abstractions/base>", "included rules are not read"),
        ("ptrace (read) peer=unconfined,", "ptrace rules are not checked"),
        ("mount fstype=tmpfs -> /mnt/,", "mount rules are not checked"),
        ("userns,", "userns rules are not checked"),
        ("signal,", "signal rules are not checked"),
        ("@{UNKNOWN}/x r,", "@{UNKNOWN} is not set in this file"),
        ("/a/../b r,", "is not checked"),
        ("something else entirely here,", "a rule is not understood"),
        ("/usr/bin/sh ux,", "is executed without a profile"),
        ("/usr/bin/sh Px -> other,", "is executed under another profile"),
    ],
)
def test_what_is_passed_over_is_listed_with_its_line(rule, words):
    subject = read(rule)
    assert len(subject.not_checked) == 1
    assert words in subject.not_checked[0].text
    assert subject.not_checked[0].location.line == 3


@pytest.mark.parametrize("flag", ["complain", "unconfined", "attach_disconnected, complain"])
def test_a_profile_that_does_not_enforce_grants_everything(flag):
    subject = read("/a r,", "deny /** rw,", header=f"profile web flags=({flag}) {{")
    assert subject.capabilities == frozenset(Capability)
    assert ("/**", frozenset(FileOperation)) in [(grant.text, grant.operations) for grant in subject.files or ()]
    assert len(subject.not_checked) == 1


def test_nested_profiles_count_too():
    subject = read("/a a,", "profile child {", "/b a,", "}", "^hat {", "/c a,", "}")
    assert [grant.text for grant in subject.files or ()] == ["/a", "/b", "/c"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profile a {\n  /x r\n}\n", r"p:3:1: a rule ends without ','"),
        ("profile a {\n  /x r,\n", r"p: ends inside a profile"),
        ("profile a {\n}\n}\n", r"p:3:1: '}' closes no profile"),
        ("profile a {\n  /x rq,\n}\n", r"p:2:3: 'rq' are no file permissions"),
        ("profile a {\n  capability fly,\n}\n", r"p:2:3: unknown capability 'fly'"),
        ("profile a {\n  ,\n}\n", r"p:2:3: an empty rule"),
        ("profile a {\n" * 20 + "}\n" * 20, r"nested deeper"),
        ("profile a {\n" + "/x r,\n" * 60_000 + "}\n", r"more than 50000 statements"),
    ],
)
def test_bad_input_names_its_place(text, message):
    with pytest.raises(DocumentError, match=message):
        read_foreign(text.encode(), "p")


def test_braces_do_not_explode():
    subject = read("/" + "{a,b}" * 30 + " r,")
    assert subject.files == ()
    assert "is not checked" in subject.not_checked[0].text


@pytest.mark.parametrize(
    ("glob", "path"), [("/a/[a-c]x", b"/a/bx"), ("/a/??", b"/a/zz"), ("/a{,/**}", b"/a/b/c"), ("/x/***", b"/x/y/z")]
)
def test_a_pattern_is_at_least_as_wide_as_its_glob(glob, path):
    assert any(pattern.matches(path) for pattern in patterns(glob, {}))


def test_what_harden_exports_reads_back_as_at_least_what_it_means():
    profile = recordings.small_profile()
    text = render_apparmor(profile, shipped.text("templates/apparmor.j2")).content
    subject = read_foreign(text, "exported")
    assert subject.capabilities is not None
    assert subject.capabilities >= profile.rights.all_capabilities()
    for pattern, operations in profile.rights.all_files():
        if not pattern.is_literal or not operations & {FileOperation.READ, FileOperation.WRITE}:
            continue
        found = [grant for grant in subject.files or () if grant.pattern.matches(pattern.path)]
        granted = frozenset(operation for grant in found for operation in grant.operations)
        assert operations & {FileOperation.READ, FileOperation.WRITE} <= granted, pattern.text


def test_too_many_denials_take_nothing_away():
    rules = [f"/srv/{number} a," for number in range(500)]
    denials = [f"deny /srv/{number} a," for number in range(500)]
    assert grants(*rules, *denials[:300]) == {f"/srv/{number}": "append" for number in range(300, 500)}
    assert len(grants(*rules, *denials)) == 500
