"""The SELinux module: secilc compiles it, and libselinux finds the labels of the profile's paths and of no others."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harden.model.path_pattern import NAMED_PARTS, PathPattern
from harden.model.profile import Profile
from harden.model.recording import FileOperation
from harden.render.cil_text import expression
from harden.render.formats import FORMATS
from tests.conftest import ROOT
from tests.recordings import capability, file, path_bytes, profile_of, run, small_profile, socket
from tests.render.hostile import hostile_profiles

BASE = ROOT / "tests/data/selinux_base.cil"


def compiled(profile: Profile, folder: Path) -> Path:
    """The file contexts that secilc makes of the module."""
    module = folder / "app.cil"
    module.write_bytes(FORMATS["selinux"].render(profile).content)
    contexts = folder / "file_contexts"
    done = subprocess.run(
        ["secilc", "-o", str(folder / "policy"), "-f", str(contexts), str(BASE), str(module)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + module.read_text()
    return contexts


def label(contexts: Path, path: bytes) -> str:
    """What libselinux would label `path` with; empty for none."""
    done = subprocess.run(
        [b"selabel_lookup", b"-b", b"file", b"-r", b"-f", bytes(contexts), b"-k", path],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        return ""
    return done.stdout.decode(errors="replace").rpartition("context: ")[2].strip()


def everything() -> Profile:
    return profile_of(
        run(
            files=tuple(file(f"/srv/{name}/x", name) for name in FileOperation),
            capabilities=(capability("CAP_CHOWN"), capability("CAP_BPF"), capability("CAP_SYSLOG")),
            sockets=(
                socket("bind", "AF_INET", "SOCK_STREAM", address="0.0.0.0", port=80),
                socket("connect", "AF_INET6", "SOCK_STREAM", address="::2", port=80),
                socket("bind", "AF_INET", "SOCK_DGRAM", address="0.0.0.0", port=53),
                socket("connect", "AF_UNIX", "SOCK_STREAM", address="@x"),
                socket("connect", "AF_INET", "SOCK_RAW", address="10.0.0.1", port=0),
            ),
        )
    )


@pytest.mark.requires("secilc")
def test_secilc_takes_every_rule(tmp_path):
    compiled(everything(), tmp_path)
    compiled(small_profile(), tmp_path)


@pytest.mark.requires("secilc")
@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(profile=hostile_profiles())
def test_secilc_takes_hostile_names(tmp_path, profile):
    compiled(profile, tmp_path)


@pytest.mark.requires("secilc")
def test_secilc_refuses_what_is_no_rule(tmp_path):
    """The compiler looks: a module with a permission that does not exist is not taken."""
    module = tmp_path / "bad.cil"
    text = (
        FORMATS["selinux"]
        .render(small_profile())
        .content.replace(b"(open ", b"(opened ")
        .replace(b" open ", b" opened ")
    )
    module.write_bytes(text)
    done = subprocess.run(
        ["secilc", "-o", str(tmp_path / "p"), str(BASE), str(module)], capture_output=True, check=False
    )
    assert done.returncode != 0


@pytest.mark.requires("secilc", "selabel")
def test_labels_are_those_of_the_paths(tmp_path):
    contexts = compiled(small_profile(), tmp_path)
    assert "harden_app.file_0" in label(contexts, b"/srv/app/data")
    assert "harden_app.file_0" in label(contexts, b"/srv/app/other")
    assert "harden_app.file_1" in label(contexts, b"/etc/app/app.conf")
    for path in (b"/etc/app/appxconf", b"/etc/app/app.conf2", b"/etc/shadow", b"/srv/apple", b"/usr/bin/app"):
        assert label(contexts, path) == "", path
    assert any("/srv/app" in warning for warning in FORMATS["selinux"].render(small_profile()).warnings)


@pytest.mark.requires("secilc", "selabel")
def test_a_name_with_everything_in_it_has_its_label(tmp_path):
    name = "/srv/app/a b\"(c)[d]{e}*?+^$|.#;'\\x5c\\x0a\\xff%é"
    contexts = compiled(profile_of(run(files=(file(name, "read"),))), tmp_path)
    path = PathPattern.parse(name.replace("*", "\\x2a")).path
    assert "harden_app.file_0" in label(contexts, path)
    assert label(contexts, path.replace(b"|", b"!")) == ""


@settings(deadline=None)
@given(path_bytes, path_bytes)
def test_a_literal_path_stands_for_itself_alone(path, other):

    pattern = re.compile(expression(PathPattern.literal(path)).strip('"').encode(), re.DOTALL)
    assert pattern.fullmatch(path)
    assert bool(pattern.fullmatch(other)) == (path == other)


@pytest.mark.parametrize("part", sorted(NAMED_PARTS))
def test_a_named_part_means_the_same(part):

    pattern = PathPattern.parse(f"/a/@{{{part}}}")
    found = re.compile(expression(pattern).strip('"').encode(), re.DOTALL)

    @settings(deadline=None, max_examples=80)
    @given(st.from_regex(NAMED_PARTS[part], fullmatch=True) | st.binary(min_size=1, max_size=12))
    def same(name):
        assert bool(found.fullmatch(b"/a/" + name)) == pattern.matches(b"/a/" + name)

    same()
