"""A kept plan below filters around harden: /proc/PID/status counts them, and does not tell what they hide."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.launch.test_plan_cache import Start, folder, run
from tests.sandboxes import ROOT

__all__ = ["folder"]

pytestmark = pytest.mark.requires("root", "bpf", "userns", "seccomp", "overlay", "idmap", "landlock", "cgroup2")

ACCT, KEYCTL, LANDLOCK_CREATE_RULESET = 163, 250, 444
_BELOW = f"""
import errno, os, sys
sys.path.insert(0, {str(ROOT)!r})
from tests.outer_filter import refuse
refuse([int(sys.argv[1])], errno.ENOSYS)
os.execv(sys.argv[2], sys.argv[2:])
"""
PREFERRED = 'format = "harden-local/1"\n[controls]\nlandlock = "preferred"\n'


def below(folder: Path, hidden: int, *option: str) -> Start:
    """A start below one filter, which hides one system call."""
    return run(folder, *option, before=(sys.executable, "-E", "-c", _BELOW, str(hidden)))


@pytest.mark.parametrize(
    ("hidden", "local", "option", "said"),
    [
        (LANDLOCK_CREATE_RULESET, PREFERRED, (), "landlock is NOT_ENFORCED"),
        (LANDLOCK_CREATE_RULESET, "", ("--allow-degraded", "landlock"), "landlock is NOT_ENFORCED"),
        (KEYCTL, "", (), "the session keyring is shared with the host"),
    ],
    ids=["preferred", "waived", "no control"],
)
def test_what_a_filter_hid_is_there_below_one_that_hides_nothing(folder, hidden, local, option, said):
    if local:
        (folder / "cat.local.toml").write_text(local)
    weak = below(folder, hidden, *option)
    assert (weak.warm, weak.status, said in weak.said) == (False, 0, True)
    whole = below(folder, ACCT, *option)
    assert (whole.warm, whole.status, said in whole.said) == (False, 0, False), whole.said
    kept = below(folder, ACCT, *option)
    assert (kept.warm, kept.status, kept.said) == (True, 0, whole.said)
    refused = below(folder, hidden, *option)
    assert (refused.warm, refused.status, refused.output) == (True, 125, "")


def test_without_a_filter_what_the_host_does_not_have_is_known(folder):
    """The kernel's own answer stays: such a plan is kept as ever."""
    (folder / "cat.local.toml").write_text('format = "harden-local/1"\n[controls]\nlandlock = "off"\n')
    cold, warm = run(folder), run(folder)
    assert (cold.warm, warm.warm) == (False, True)
    assert "landlock is NOT_ENFORCED" in warm.said
