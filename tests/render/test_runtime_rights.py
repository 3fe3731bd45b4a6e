"""A runtime's own needs: added as their own origin, with a reason, and no wider than the runtime needs."""

from __future__ import annotations

import json

import msgspec
import pytest

from harden.bpf.decision import Decision
from harden.model.arch import Arch
from harden.model.origin import Origin
from harden.model.syscall import numbers
from harden.render.formats import FORMATS, Options
from harden.render.runtime_rights import runtimes, with_runtime
from tests.recordings import arguments, profile_of, run, small_profile, syscall


@pytest.mark.parametrize("name", ["runc", "crun", "bwrap"])
def test_every_call_has_a_reason_and_a_version(name):
    runtime = runtimes()[name]
    assert runtime.measured
    assert all(entry.reason for entry in runtime.calls)
    assert "execve" in {call for entry in runtime.calls for call in entry.names}


def test_what_is_added_is_its_own_origin_and_is_said():
    wider, notes = with_runtime(small_profile(), runtimes()["crun"])
    assert wider.rights.syscalls[Origin.RUNTIME] == ("close", "close_range", "execve")
    assert any(note.startswith("added for crun: execve (") for note in notes)
    again, nothing = with_runtime(wider, runtimes()["crun"])
    assert again == wider
    assert nothing == ()


def test_a_rule_on_arguments_stays_a_rule():
    profile = profile_of(run(syscalls=(syscall("fcntl"),), arguments=(arguments("fcntl", (0,)),)))
    wider, notes = with_runtime(profile, runtimes()["runc"])
    table = Decision.of(wider.rights).tables[Arch.X86_64]
    assert numbers(Arch.X86_64)["fcntl"] in table.conditions
    assert any("fcntl with" in note for note in notes)
    free = profile_of(run(syscalls=(syscall("fcntl"),)))
    assert "fcntl" not in with_runtime(free, runtimes()["runc"])[0].rights.arguments


def test_the_export_has_them_and_no_longer_misses_them():
    plain = FORMATS["seccomp"].render(small_profile())
    added = FORMATS["seccomp"].render(small_profile(), Options(runtime=runtimes()["runc"]))
    names = {
        name
        for entry in json.loads(added.content)["syscalls"]
        if entry["action"] == "SCMP_ACT_ALLOW"
        for name in entry["names"]
    }
    assert {"fstatfs", "getdents64", "epoll_ctl", "execve"} <= names
    assert any("--runtime" in warning for warning in plain.warnings)
    assert not any("--runtime" in warning for warning in added.warnings)


def test_other_formats_do_not_change():
    options = Options(runtime=runtimes()["runc"])
    for row in FORMATS.values():
        if "runtime" not in row.options:
            assert row.render(small_profile(), options) == row.render(small_profile())


def test_a_call_with_arguments_has_to_say_which():
    runtime = runtimes()["runc"]
    with pytest.raises(ValueError, match="with which arguments"):
        type(runtime)(**{**msgspec.structs.asdict(runtime), "arguments": ()})
