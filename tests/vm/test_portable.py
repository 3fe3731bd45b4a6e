"""A profile is good on another kernel than the one it was recorded on, both ways."""

from __future__ import annotations

import pytest

from tests.vm.guest import SHARE
from tests.vm.kernel import KERNELS
from tests.vm.plugin import share_of
from tests.vm.portable import PORTABLE, load_portable, run_portable, trace_portable

FROM_HOST = SHARE / "from-host"
FROM_GUEST = SHARE / "from-guest"


@pytest.mark.requires("guest", "root", "bpf", "sqlite3")
@pytest.mark.parametrize("name", PORTABLE)
def test_a_profile_of_the_host_holds_in_a_guest(name):
    run_portable(name, FROM_HOST)


@pytest.mark.requires("guest", "root", "bpf", "sqlite3")
@pytest.mark.parametrize("name", PORTABLE)
def test_the_same_program_gives_the_same_capabilities_and_holds_in_a_guest(name):
    """The hook on capability checks is another one there: fexit, not the tracepoint."""
    here, there = trace_portable(name, FROM_GUEST), load_portable(name, FROM_HOST)
    assert here.rights.all_capabilities() == there.rights.all_capabilities()
    if name == "static":
        assert here.rights.all_syscalls() == there.rights.all_syscalls()
        assert dict(here.rights.all_files()) == dict(there.rights.all_files())
    run_portable(name, FROM_GUEST)


@pytest.mark.requires("guests-done", "root", "sqlite3")
@pytest.mark.parametrize("name", PORTABLE)
@pytest.mark.parametrize("series", KERNELS)
def test_a_profile_of_a_guest_holds_on_the_host(series, name):
    run_portable(name, share_of(series) / "from-guest")
