"""What a rerun proves."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harden.model.control import Control, Enforcement, Requirement
from harden.model.denial import Denial, DenialSource, Verdict, Verification, profile_digest
from tests.recordings import small_profile

DENIAL = Denial(
    control=Control.SECCOMP,
    source=DenialSource.ERRNO,
    executable="/x",
    call="ptrace",
    result="EPERM",
    count=1,
    recorded=False,
)


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ({}, Verdict.CLEAN),
        ({"enforced": Enforcement.PARTIALLY_ENFORCED}, Verdict.PARTIAL),
        ({"denials": (DENIAL,)}, Verdict.DENIED),
        ({"denials": (DENIAL,), "enforced": Enforcement.PARTIALLY_ENFORCED}, Verdict.DENIED),
        ({"failure": "the program ended with status 1, not with status 0"}, Verdict.DENIED),
        ({"lost": ("lost-events: the ring buffer was full (x1)",)}, Verdict.UNKNOWN),
        ({"lost": ("x",), "enforced": Enforcement.PARTIALLY_ENFORCED}, Verdict.UNKNOWN),
        ({"lost": ("x",), "denials": (DENIAL,)}, Verdict.DENIED),
    ],
)
def test_verdict(parts: dict[str, Any], verdict: Verdict) -> None:
    whole = {"enforced": Enforcement.FULLY_ENFORCED, **parts}
    found = Verification(profile="app", digest="sha256:0", run="0", exit_status=0, signal=None, **whole)
    assert found.verdict is verdict


def test_the_digest_is_of_what_the_profile_means() -> None:
    profile = small_profile()
    again = msgspec.convert(msgspec.to_builtins(profile), type(profile))
    assert profile_digest(profile) == profile_digest(again)
    other = msgspec.structs.replace(profile, controls={Control.LANDLOCK: Requirement.OFF})
    assert profile_digest(profile) != profile_digest(other)
