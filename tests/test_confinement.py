"""The AppArmor label of a run: made from the rules alone, and never one that means more than one profile."""

from __future__ import annotations

import re

import msgspec
import pytest

from harden.confinement import _labelled, confinement
from harden.errors import UsageError
from harden.model.control import Control, Requirement
from harden.model.sandbox import AppArmorLabel
from tests.recordings import file, profile_of, run, small_profile
from tests.sandboxes import features


def host(*, apparmor: bool):
    return msgspec.structs.replace(features(), apparmor=apparmor)


@pytest.mark.parametrize("name", ["", "a b", "a\n", "-a", ":ns:a", "a//&b", "x" * 201])
def test_what_names_no_single_profile_is_refused(name):
    with pytest.raises(UsageError, match="not the name of one AppArmor profile"):
        confinement(small_profile(), host(apparmor=True), name=name, load=False)


@pytest.mark.parametrize("name", ["nginx", "/usr/sbin/nginx", "harden.app//child", "docker-default"])
def test_a_name_is_taken_as_it_is(name):
    assert confinement(small_profile(), host(apparmor=True), name=name, load=False) == AppArmorLabel(name=name)


def test_a_profile_without_apparmor_has_no_label():
    profile = msgspec.structs.replace(small_profile(), controls={Control.APPARMOR: Requirement.OFF})
    assert confinement(profile, host(apparmor=True), name=None, load=False) is None


def test_a_kernel_without_apparmor_is_said():
    label = confinement(small_profile(), host(apparmor=False), name=None, load=True)
    assert label is not None
    assert label.problem == "AppArmor is not enabled in this kernel"


def test_equal_rules_have_one_name_and_others_another():
    first = profile_of(run(files=(file("/etc/a", "read"),)), name="app")
    other = profile_of(run(files=(file("/etc/a", "read", "write"),)), name="app")
    label, text = _labelled(first)
    assert re.fullmatch(r"harden\.app\.[0-9a-f]{32}", label)
    assert f'profile "{label}" flags='.encode() in text
    assert (label, text) == _labelled(first)
    assert label != _labelled(other)[0]


def test_a_long_or_strange_name_still_gives_a_label():
    profile = profile_of(run(), name="ä b" * 100)
    assert re.fullmatch(r"harden\.[A-Za-z0-9._-]{64}\.[0-9a-f]{32}", _labelled(profile)[0])
