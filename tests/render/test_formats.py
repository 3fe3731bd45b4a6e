"""The table of outputs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from harden.render.formats import FORMATS
from tests.recordings import small_profile


def test_the_formats_of_this_version():
    assert set(FORMATS) == {
        *("seccomp", "bpf", "apparmor", "capabilities", "landlock", "systemd", "kubernetes", "spo", "docker"),
        *("podman", "oci-bundle", "bubblewrap", "bubblewrap-filter", "selinux", "landlock-toml"),
    }
    assert len({row.suffix for row in FORMATS.values()}) == len(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_renders_the_same_bytes_again(name):
    first = FORMATS[name].render(small_profile())
    assert first.content
    assert first == FORMATS[name].render(small_profile())


def test_capabilities_are_in_all_five_sets():
    sets = json.loads(FORMATS["capabilities"].render(small_profile()).content)
    assert sorted(sets) == ["ambient", "bounding", "effective", "inheritable", "permitted"]
    assert all(names == ["CAP_NET_BIND_SERVICE"] for names in sets.values())


def test_the_table_imports_nothing_heavy():
    code = "import sys, harden.render.formats; print('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"
