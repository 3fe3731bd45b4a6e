"""Abstractions and variables of the host's AppArmor: they cover what they replace, and all that they add is said."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harden import shipped
from harden.kernel.apparmor_files import FOLDER, read_texts
from harden.model.path_pattern import PathPattern
from harden.model.profile import Profile
from harden.render.apparmor import render_apparmor
from harden.render.apparmor_glob import matches
from harden.render.apparmor_library import Library, parse_library
from harden.render.apparmor_path import expression
from harden.render.apparmor_rule import FileRule
from harden.render.rendered import Rendered
from tests.recordings import file, profile_of, run
from tests.render.apparmor_dfa import READ, WRITE, FileRules
from tests.render.test_apparmor import PARSER, check, compiled
from tests.shipped import FOLDER as SHIPPED
from tests.shipped import PROGRAMS

TEMPLATE = shipped.text("templates/apparmor.j2")
TUNABLES = {
    "tunables/global": "include <tunables/kernel>\n@{run}=/run/ /var/run/\n@{HOMES}=/home/\n"
    "@{HOME}=@{HOMES}/*/ /root/\n",
    "tunables/kernel": "@{PROC}=/proc/\n@{sys}=/sys/\n@{multiarch}=*-linux-gnu*\n@{pid}={[1-9],[1-9][0-9]}\n",
}
NAMES = {
    "abstractions/names": "abi <abi/3.0>,\n/etc/{passwd,group,hosts}* r,\n@{run}/names/** rw,\ncapability chown,\n",
    "abstractions/twice": "include <abstractions/names>\n/srv/app/** r,\n",
}


def library(**more: str) -> Library:
    return parse_library({**TUNABLES, **NAMES, **{f"abstractions/{name}": text for name, text in more.items()}})


def render(profile: Profile, texts: Library | None) -> Rendered:
    return render_apparmor(profile, TEMPLATE, library=texts)


def reads(*paths: str) -> Profile:
    return profile_of(run(files=tuple(file(path, "read") for path in paths)))


def rule(text: str, permissions: str = "r") -> FileRule:
    return FileRule(pattern=PathPattern.parse(text), suffix="", permissions=permissions)


def test_an_abstraction_replaces_what_it_covers_and_says_what_it_adds():
    rendered = render(reads("/etc/passwd", "/etc/group", "/etc/shadow"), library())
    text = rendered.content.decode()
    assert "include <tunables/global>" in text
    assert "  include <abstractions/names>\n" in text
    assert '"/etc/shadow" r' in text
    assert "/etc/passwd" not in text
    assert tuple(each for each in rendered.warnings if each.endswith("(abstractions/names)")) == (
        "/etc/group r, /etc/passwd r: /etc/{passwd,group,hosts}* r (abstractions/names)",
        "nothing that was recorded: capability chown; @{run}/names/** rw (abstractions/names)",
    )
    assert "abstractions/twice" not in text, "it replaces no more and grants more"


def test_without_the_option_nothing_depends_on_the_host():
    text = render(reads("/etc/passwd", "/etc/group", "/proc/@{pid}/stat"), None).content.decode()
    assert "include" not in text
    assert set(re.findall(r"@\{\w+\}", text)) == {"@{profile_name}"}


def test_one_rule_is_not_replaced():
    assert "include <abs" not in render(reads("/etc/passwd"), library()).content.decode()


def test_owner_and_letters_have_to_be_covered():
    kept = render(
        profile_of(run(files=(file("/srv/a", "read"), file("/srv/b", "read"), file("/srv/c", "write")))),
        library(mine="owner /srv/[ab] r,\n", some="/srv/* r,\n"),
    ).content.decode()
    assert "abstractions/mine" not in kept
    assert "abstractions/some" in kept
    assert '"/srv/c" w' in kept


@pytest.mark.parametrize(
    "text",
    [
        "deny /srv/b r,\n/srv/* r,\n",
        "/srv/* rPx,\n",
        "/srv/* r,\nprofile inner {\n/srv/* r,\n}\n",
        "include <abstractions/absent>\n/srv/* r,\n",
        "include <abstractions/mine>\n/srv/* r,\n",
        "/srv/* r\n",
    ],
)
def test_what_could_refuse_or_is_not_understood_is_not_used(text):
    assert "mine" not in {each.name.rpartition("/")[2] for each in library(mine=text).abstractions}
    assert "/srv/a" in render(reads("/srv/a", "/srv/b"), library(mine=text)).content.decode()


def test_what_need_not_be_there_is_passed_over():
    used = library(mine="include if exists <abstractions/mine.d>\n/srv/* r,\n")
    assert "abstractions/mine" in render(reads("/srv/a", "/srv/b"), used).content.decode()


def test_variables_that_mean_the_same_are_used_in_silence_and_others_are_said():
    rendered = render(reads("/proc/sys/x", "/run/x", "/root/x", "/usr/lib/x86_64-linux-gnu/x"), library())
    text = rendered.content.decode()
    for path in ("@{PROC}/sys/x", "@{run}/x", "@{HOME}/x", "/usr/lib/@{multiarch}/x"):
        assert f'"{path}" r' in text
    said = [each for each in rendered.warnings if " is " in each and each.startswith("/")]
    assert said == [
        '/root/x r: "@{HOME}/x" r (@{HOME} is @{HOMES}/*/ or /root/)',
        '/run/x r: "@{run}/x" r (@{run} is /run/ or /var/run/)',
        '/usr/lib/x86_64-linux-gnu/x r: "/usr/lib/@{multiarch}/x" r (@{multiarch} is *-linux-gnu*)',
    ]


def test_a_number_is_covered_by_a_variable_that_holds_all_of_them():
    known = tuple(read_texts_of_test().variables.items())
    assert matches("/proc/@{pid}/stat", known, rule("/proc/@{pid}/stat"))
    two_digits = (("@{pid}", ("{[1-9],[1-9][0-9]}",)),)
    assert not matches("/proc/@{pid}/stat", two_digits, rule("/proc/@{pid}/stat"))
    assert matches("/proc/*/stat", (), rule("/proc/@{pid}/stat"))
    assert not matches("/proc/[0-9]*/stat", (), rule("/proc/@{pid}/stat"))
    assert not matches("/srv/*", (), rule("/srv/**"))
    assert not matches("/srv/?", (), rule("/srv/*"))
    assert not matches("/srv/[^a]", (), rule("/srv/*"))
    assert matches("/srv/**", (), rule("/srv/*/b"))


def read_texts_of_test() -> Library:
    return parse_library(read_texts(FOLDER))


@pytest.mark.requires("apparmor-parser")
@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["a", "/", "*", "**", "?", "{a,b}", "{,a/}", "[ab]", "[^a]", "b", "\\052"]), max_size=6),
    st.lists(st.text(alphabet="ab/*", max_size=6), min_size=4, max_size=12),
)
def test_what_is_taken_as_covered_the_parser_grants(parts, tails):
    glob = "/" + "".join(parts)
    if "//" in glob or "***" in glob or re.search(r"/[{/]*,?[^}]*/\}/", glob):
        return
    text = f"abi <abi/3.0>,\nprofile x {{\n  {glob} r,\n}}\n".encode()
    done = subprocess.run([*PARSER, "-S"], input=text, capture_output=True, check=False)
    if done.returncode:
        return
    policy = FileRules(done.stdout)
    for tail in tails:
        path = re.sub("/+", "/", f"/{tail}").encode()
        if path.endswith(b"/"):
            continue
        if matches(glob, (), FileRule(pattern=PathPattern.literal(path), suffix="", permissions="r")):
            assert policy.permissions(path) & READ, (glob, path)


@pytest.mark.requires("apparmor-parser")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_of_a_shipped_profile_all_is_kept_and_all_that_is_added_is_said(program):
    """The rules of the warnings, added to the profile's own, compile to the state machine of the abstractions."""
    from harden.enforce import load, locate

    profile = load(locate(SHIPPED / program.name / f"{program.name}.profile.toml"), trust=True)
    plain, rendered = render(profile, None), render(profile, read_texts_of_test())
    assert b"include <abstractions/base>" in rendered.content
    check(rendered.content)
    added = "".join(f"  {each},\n" for warning in rendered.warnings for each in granted(warning))
    said = plain.content.decode().replace("abi <abi/3.0>,\n", "abi <abi/3.0>,\ninclude <tunables/global>\n")
    # AppArmor's own numbers end at the kernel's largest, ours at the next power of ten.
    said = (
        said.rstrip().removesuffix("}").replace(expression(PathPattern.parse("/@{pid}"))[2:-1], "@{pid}")
        + added
        + "}\n"
    )
    assert compiled(said.encode()).tables == compiled(rendered.content).tables
    own = compiled(plain.content)
    assert own.tables != compiled(rendered.content).tables
    whole = compiled(rendered.content)
    for pattern, _ in profile.rights.all_files():
        for path in (pattern.path, pattern.path + b"/") if pattern.is_literal else ():
            assert own.permissions(path) & ~whole.permissions(path) == 0, path
            assert own.owner_permissions(path) & ~whole.owner_permissions(path) == 0, path
    assert not whole.permissions(b"/etc/shadow") & WRITE


def granted(warning: str) -> list[str]:
    """The file rules that a widening says are granted."""
    found = re.fullmatch(r".*?: (.*) \((?:abstractions/.*|@\{\w+\} is .*)\)", warning)
    rules = re.split("; ", found[1]) if found else []
    return [each for each in rules if re.match(r"(?:owner )?[\"/@{]", each)]


def test_the_expression_of_a_pattern_is_covered_by_itself():
    for text in ("/a/*", "/a/**", "/a/b*c", "/a/@{pid}/x"):
        pattern = PathPattern.parse(text)
        glob = expression(pattern, variables=frozenset({"@{pid}"})).strip('"')
        known = tuple(read_texts_of_test().variables.items())
        assert matches(glob, known, FileRule(pattern=pattern, suffix="", permissions="r")), text


def test_texts_are_read_as_the_parser_includes_them(tmp_path: Path):
    for name in (
        "abstractions/a",
        "abstractions/a.d/b",
        "abstractions/a.dpkg-old",
        "abstractions/.c",
        "tunables/global",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert set(read_texts(tmp_path)) == {"abstractions/a", "abstractions/a.d/b", "tunables/global"}
