"""What a format cannot express is said once: in its module, from where the README's table and the warnings come."""

from __future__ import annotations

import re

import msgspec
import pytest

from harden.model.arch import Arch
from harden.model.local_merge import merge_local
from harden.model.profile import Local, LocalRights, Profile
from harden.render.formats import FORMATS
from tests.recordings import arguments, capability, file, profile_of, run, small_profile, socket, syscall
from tests.write_export_table import COMMAND, FILE, page, table


def test_the_readme_has_the_table():
    text = FILE.read_text()
    assert page(text) == text, f"run {COMMAND}"


def everything() -> Profile:
    """A profile that asks for something of every kind."""
    profile = profile_of(
        run(
            files=(file("/srv/app/x", "create", "stat", "write"), file("/proc/2/status", "read")),
            sockets=(
                socket("bind", "AF_INET", "SOCK_STREAM", address="0.0.0.0", port=80),
                socket("connect", "AF_UNIX", "SOCK_STREAM", address="/srv/app/sock"),
            ),
            syscalls=(syscall("ioctl"), syscall("clone"), syscall("socket")),
            arguments=(arguments("ioctl", (1,)),),
            capabilities=(capability("CAP_CHOWN"),),
            peaks={"memory_cgroup_bytes": 1.0, "pids": 3.0, "open_files": 9.0},
        )
    )
    rights = msgspec.structs.replace(profile.rights, architectures=(Arch.X86_64, Arch.I386))
    return msgspec.structs.replace(profile, rights=rights)


@pytest.mark.parametrize("name", FORMATS)
def test_the_table_and_the_warnings_are_the_same_sentences(name):
    printed = {
        warning.removeprefix("cannot express: ")
        for warning in FORMATS[name].render(everything()).warnings
        if warning.startswith("cannot express: ")
    }
    (row,) = re.findall(rf"^\| `{name}` \|.*\| (.*) \|$", table(), re.MULTILINE)
    assert printed == set(row.split("<br>"))


def test_a_limit_is_printed_only_where_the_profile_reaches_it():
    nothing = merge_local(profile_of(run()), Local(format="harden-local/1", add=LocalRights(syscalls=("execve",))))
    few, many = (FORMATS["systemd"].render(profile).warnings for profile in (nothing, small_profile()))
    assert not any("no execve" in warning for warning in few)
    assert any("no execve" in warning for warning in many)
