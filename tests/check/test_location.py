"""Places: every right of a profile is found on the line it stands on."""

from __future__ import annotations

from harden.check.location import ProfileLocator, TomlSource, place_in_message
from harden.check.subject import Section
from harden.render.profile_toml import render_profile
from tests import recordings
from tests.check.cases import FILE


def test_every_right_of_a_generated_profile_is_found():
    profile = recordings.small_profile()
    text = render_profile(profile).decode()
    lines = text.split("\n")
    locator = ProfileLocator(TomlSource(FILE, text))
    rights = profile.rights
    words = [
        *((Section.SYSCALL, name) for name in rights.all_syscalls()),
        *((Section.ARGUMENT, name) for name in rights.arguments),
        *((Section.CAPABILITY, each.name) for each in rights.all_capabilities()),
        *((Section.FILE, pattern.text) for pattern, _ in rights.all_files()),
        *((Section.NETWORK, rule.render()) for rule in rights.all_network()),
    ]
    assert len({section for section, _ in words}) == 5
    for section, word in words:
        place = locator.find(section, word)
        assert word.replace("\\", "\\\\") in lines[place.line - 1]
        header = next(line for line in reversed(lines[: place.line]) if line.startswith("["))
        assert header.startswith(f"[rights.{section.value}")


LOCAL = """\
format = "harden-local/1"
[add]
syscalls = ["ptrace"]   # "mount" is not here
files."/etc/a b" = "read"
'capabilities' = ['CAP_CHOWN']
"""


def test_additions_are_found_in_the_local_file():
    locator = ProfileLocator(TomlSource(FILE, "[rights.syscalls]\nobserved = []\n"), TomlSource("l.toml", LOCAL))
    assert str(locator.find(Section.SYSCALL, "ptrace")) == "l.toml:3:13"
    assert str(locator.find(Section.FILE, "/etc/a b")) == "l.toml:4:7"
    assert str(locator.find(Section.CAPABILITY, "CAP_CHOWN")) == "l.toml:5:19"
    assert locator.find(Section.NETWORK, "nowhere").file == FILE


def test_items_of_an_array_of_tables():
    source = TomlSource("p.toml", "[[waiver]]\na = 1\n[x]\n [[ waiver ]] # again\n")
    assert [source.item("waiver", index).line for index in range(3)] == [1, 4, 1]


def test_place_in_the_message_of_a_parser():
    assert place_in_message("not TOML: Invalid value (at line 3, column 5)") == ("not TOML: Invalid value", 3, 5)
    assert place_in_message("not TOML: Expected ']' (at end of document)") == ("not TOML: Expected ']'", 0, 0)
    assert place_in_message("has no `format`") is None


def test_controls_are_found_where_they_were_changed():
    local = TomlSource("l.toml", 'format = "harden-local/1"\n[controls]\nseccomp = "off"\n')
    locator = ProfileLocator(TomlSource(FILE, "[rights]\n"), local)
    assert str(locator.find(Section.DEFAULT, "seccomp")) == "l.toml:3:1"
    assert str(locator.find(Section.DEFAULT)) == f"{FILE}:1:1"
