"""A profile for another architecture: every call exists there, what is shared stays, and what changes is said."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given

from harden.bpf.action import ALLOW
from harden.bpf.decision import Decision
from harden.errors import Inexpressible
from harden.model.arch import Arch
from harden.model.origin import Origin
from harden.model.profile import Rights
from harden.model.syscall import number_of, numbers
from harden.render.foreign_arch import SIBLINGS, on_arch
from harden.render.formats import FORMATS, Options
from tests.bpf.sample_rights import arbitrary_rights
from tests.recordings import arguments, file, profile_of, run, syscall
from tests.render.test_seccomp import profile

AARCH64 = Arch.AARCH64


def test_siblings_lead_from_calls_that_are_missing_to_calls_that_are_there():
    for old, new in SIBLINGS.items():
        assert old in numbers(Arch.X86_64)
        assert old not in numbers(AARCH64)
        assert new in numbers(AARCH64)


def test_calls_become_their_siblings_and_that_is_said():
    names = ("open", "stat", "arch_prctl", "iopl", "read", "mmap", "fork")
    seen = run(
        syscalls=tuple(map(syscall, names)), arguments=(arguments("mmap", (0,)), arguments("arch_prctl", (0x1002,)))
    )
    rendered = FORMATS["seccomp"].render(profile_of(seen), Options(arch=AARCH64))
    document = json.loads(rendered.content)
    assert document["architectures"] == ["SCMP_ARCH_AARCH64"]
    allowed = {name for entry in document["syscalls"] if entry["action"] == "SCMP_ACT_ALLOW" for name in entry["names"]}
    assert {"openat", "newfstatat", "read", "mmap", "clone"} <= allowed
    assert not allowed & {"open", "stat", "arch_prctl", "iopl", "fork"}
    said = " ".join(rendered.warnings)
    assert "openat for open" in said
    assert "newfstatat for stat" in said
    assert "clone for fork" in said
    assert "nothing like it: arch_prctl, iopl" in said
    assert "record there too" in said


def test_paths_are_those_of_the_architecture():
    seen = run(
        files=(
            file("/usr/lib/x86_64-linux-gnu/libc.so.6", "read"),
            file("/usr/lib/aarch64-linux-gnu/libc.so.6", "map"),
            file("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "map"),
            file("/lib64/ld-linux-x86-64.so.2", "stat"),
            file("/usr/lib/python3/_x.cpython-311-x86_64-linux-gnu.so", "map"),
            file("/srv/x86", "read"),
        )
    )
    wanted, notes = on_arch(profile_of(seen), AARCH64)
    granted = {pattern.text: {each.value for each in operations} for pattern, operations in wanted.rights.all_files()}
    assert granted["/usr/lib/aarch64-linux-gnu/libc.so.6"] == {"read", "map"}
    assert granted["/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"] == {"map"}
    assert granted["/lib/ld-linux-aarch64.so.1"] == {"stat"}
    assert granted["/usr/lib/python3/_x.cpython-311-aarch64-linux-gnu.so"] == {"map"}
    assert granted["/srv/x86"] == {"read"}
    assert "4 paths are those of Debian on aarch64, such as /usr/lib/aarch64-linux-gnu" in notes


COMPILED = ("bpf", "bubblewrap", "bubblewrap-filter")


@pytest.mark.parametrize("name", sorted(set(FORMATS) - set(COMPILED)))
def test_a_format_for_another_architecture_names_no_other(name):
    seen = run(
        syscalls=(syscall("open"), syscall("read"), syscall("mmap")),
        files=(file("/usr/lib/x86_64-linux-gnu/libc.so.6", "read", "map"), file("/srv/app/x", "read")),
    )
    row = FORMATS[name]
    content = row.render(profile_of(seen), Options(arch=AARCH64)).content.decode()
    assert not re.search("x86|amd64", content, re.IGNORECASE)
    assert ("aarch64" in content.lower() or "arm64" in content) == (name in MENTIONS), content


MENTIONS = {"seccomp", "spo", "oci-bundle", "systemd", "apparmor", "landlock", "landlock-toml"}


@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_filter_is_not_written_for_another_architecture(name):
    with pytest.raises(Inexpressible, match="compiled for the machine"):
        FORMATS[name].render(profile_of(run()), Options(arch=AARCH64))


def test_a_fork_makes_no_namespace():
    wanted, _ = on_arch(profile_of(run(syscalls=(syscall("vfork"),))), AARCH64)
    table = Decision.of(wanted.rights).tables[AARCH64]
    number = numbers(AARCH64)["clone"]
    assert table.action(number, (17, 0, 0, 0, 0, 0)) == ALLOW
    assert table.action(number, (0x10000000, 0, 0, 0, 0, 0)) != ALLOW


@given(arbitrary_rights(arches=(Arch.X86_64,)))
def test_nothing_is_allowed_that_was_not(rights: Rights):
    wanted, notes = on_arch(profile(rights), AARCH64)
    before, after = Decision.of(rights).tables[Arch.X86_64], Decision.of(wanted.rights).tables[AARCH64]
    granted = rights.all_syscalls()
    for name in wanted.rights.all_syscalls():
        assert number_of(AARCH64, name) is not None
    for name, number in numbers(AARCH64).items():
        allowed = after.actions.get(number) == ALLOW or number in after.conditions
        sibling = any(new == name and old in granted for old, new in SIBLINGS.items())
        old_number = numbers(Arch.X86_64)[name]
        was = before.actions.get(old_number) == ALLOW or old_number in before.conditions
        assert not allowed or was or sibling, name
    missing = {name for name in granted if number_of(AARCH64, name) is None}
    assert all(any(name in note for note in notes) for name in missing)
    assert Origin.FAMILY in wanted.rights.syscalls
