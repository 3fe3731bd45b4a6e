"""Helper commands: inside the namespaces, outside the recorded cgroup."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harden.errors import HardenError, ProgramNotFound
from harden.launch.sandbox import Sandbox
from harden.launch.spawn import start
from tests.sandboxes import plan_of, shell, spec_of

pytestmark = pytest.mark.requires("root", "cgroup2", "overlay", "idmap", "userns", "seccomp")


@pytest.fixture
def sandbox():
    with start(plan_of(shell("echo payload > /tmp/mark; exec sleep 60"))) as running:
        running.ready(10)
        running.open_gate()
        yield running


def output_of(sandbox: Sandbox, *argv: str) -> tuple[str, int]:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    helper = sandbox.enter(argv, stdout=writer, stderr=writer)
    os.close(writer)
    with open(reader) as output:
        return output.read(), helper.wait(10)


def test_it_shares_every_namespace_but_not_the_cgroup(sandbox):
    ready = sandbox.ready()
    names = ("user", "mnt", "pid", "net", "ipc", "uts")
    text, status = output_of(
        sandbox, "sh", "-c", "for n in " + " ".join(names) + "; do readlink /proc/self/ns/$n; done"
    )
    assert (text.split(), status) == ([os.readlink(f"/proc/{ready.payload_pid}/ns/{n}") for n in names], 0)
    assert output_of(sandbox, "cat", "/proc/self/cgroup")[0].splitlines()[-1] == "0::/../../helper"
    payload = Path(f"/proc/{ready.payload_pid}/cgroup").read_text().splitlines()[-1]
    assert payload.endswith("/payload")
    assert ready.cgroup_id is not None


def test_it_holds_no_descriptor_and_gains_nothing(sandbox):
    assert output_of(sandbox, "ls", "/proc/self/fd") == ("0\n1\n2\n3\n", 0)
    assert "NoNewPrivs:\t1" in output_of(sandbox, "cat", "/proc/self/status")[0]


def test_its_status_is_passed_on(sandbox):
    assert output_of(sandbox, "sh", "-c", "exit 9")[1] == 9
    assert output_of(sandbox, "sh", "-c", "kill -9 $$")[1] == 137
    assert output_of(sandbox, "/no/such/helper")[1] == 127
    with pytest.raises(ProgramNotFound):
        sandbox.enter(["no-such-helper"])


def test_a_helper_that_hangs_is_killed(sandbox):
    helper = sandbox.enter(["sleep", "3600"])
    with pytest.raises(TimeoutError):
        helper.wait(0.05)
    helper.kill()
    assert helper.wait() == 137


def test_helpers_end_with_the_sandbox():
    with start(plan_of(spec_of("/bin/sleep", "60"))) as running:
        running.ready(10)
        running.open_gate()
        reader, writer = os.pipe()
        helper = running.enter(["sh", "-c", "echo up; exec sleep 3600"], stdout=writer)
        os.close(writer)
        with open(reader) as output:
            # It runs: killed while it is being set up, it would end with harden's own status.
            assert output.readline() == "up\n"
    assert helper.wait(10) == 137


def test_no_helper_after_the_end():
    with start(plan_of(shell("exit 0"))) as running:
        running.ready(10)
        running.open_gate()
        running.wait(10)
        with pytest.raises(HardenError, match="has ended"):
            running.enter(["true"])
