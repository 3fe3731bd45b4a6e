"""The workload of a profile that was written by hand: what cannot be started is refused when it is read."""

from __future__ import annotations

import msgspec
import pytest

from harden.errors import DocumentError
from harden.model.document import parse_json
from harden.model.profile import PROFILE_FORMAT, Profile
from tests.recordings import small_profile


def read(**changes: object) -> Profile:
    profile = msgspec.to_builtins(small_profile())
    profile["workload"] |= changes
    return parse_json(msgspec.json.encode(profile), Profile, format=PROFILE_FORMAT, file="x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"program": ""},
        {"program": "relative"},
        {"program": "/a/../b"},
        {"program": "/a\\x00"},
        {"program": "/a\\"},
        {"cwd": "relative"},
        {"cwd": "\0"},
        {"argv": []},
        {"argv": ["a\0b"]},
        {"argv": ["a", "\\x00"]},
        {"argv": ["\\y"]},
        {"environment": [""]},
        {"environment": ["A=B"]},
        {"environment": ["A\\x00"]},
        {"environment_values": {"A": "\\"}},
        {"environment_values": {"A": "\0"}},
        {"environment_values": {"A=": ""}},
        {"uid": -1},
        {"gid": 65536},
        {"user": "a\0"},
        {"binds": [{"source": "x", "target": "/x"}]},
        {"binds": [{"source": "/x", "target": "/x/.."}]},
    ],
)
def test_a_wrong_value_is_refused_with_its_place(wrong: dict[str, object]) -> None:
    with pytest.raises(DocumentError) as caught:
        read(**wrong)
    assert caught.value.where is not None
    assert caught.value.where.startswith("$.workload")


@pytest.mark.parametrize(
    "right",
    [
        {"argv": ["", "\\xff\\x0a"]},
        {"environment": ["a\\xff", "BASH_FUNC_x%%"], "environment_values": {"a\\xff": "\\xfe"}},
        {"program": "[masked]/app", "cwd": "/srv/[masked]"},
        {"binds": [{"source": "[masked]", "target": "[masked]"}]},
    ],
)
def test_what_a_trace_writes_is_read(right: dict[str, object]) -> None:
    read(**right)
