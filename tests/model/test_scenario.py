"""Scenarios: what is no scenario is refused when it is read, with its place."""

from __future__ import annotations

import json

import pytest

from harden.errors import DocumentError
from harden.model.document import parse_toml
from harden.model.scenario import SCENARIO_FORMAT, Scenario


def parsed(lines: str) -> Scenario:
    text = f'format = "harden-scenario/1"\ncommand = ["app"]\n{lines}\n'
    return parse_toml(text.encode(), Scenario, format=SCENARIO_FORMAT, file="x.toml")


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ("ready = { seconds = -1 }", "$.ready"),
        ("ready = { seconds = nan }", "$.ready"),
        ("ready = { port = 80, within_s = -1 }", "$.ready"),
        ("ready = { port = 80, within_s = inf }", "$.ready"),
        ("ready = { port = 0 }", "$.ready"),
        ("ready = { port = 80, path = '/x' }", "$.ready"),
        ("ready = { path = '' }", "$.ready"),
        ("ready = { text = '' }", "$.ready"),
        ('ready = { path = "/a\\u0000" }', "$.ready"),
        ("ready = {}", "$.ready"),
        ("[[step]]\nidle_s = -1", "$.step[0]"),
        ("[[step]]\nidle_s = 1e300", "$.step[0]"),
        ("[[step]]\nrun = ['x']\nwithin_s = nan", "$.step[0]"),
        ('[[step]]\nrun = ["x", "\\u0000"]', "$.step[0]"),
        ("[[step]]\nrun = []", "$.step[0]"),
        ("[[step]]", "$.step[0]"),
        ("[[step]]\nstop = { within_s = -2 }", "$.step[0].stop"),
        ("[[step]]\nstop = { signal = 'NO' }", "$.step[0].stop"),
        ("[[step]]\nsignal = ''", "$.step[0]"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(wrong: str, place: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parsed(wrong)
    assert caught.value.where == place


def test_nul_in_the_command_is_refused() -> None:
    text = f'format = "harden-scenario/1"\ncommand = {json.dumps(["a", chr(0)])}\n'
    with pytest.raises(DocumentError, match="NUL"):
        parse_toml(text.encode(), Scenario, format=SCENARIO_FORMAT, file="x.toml")


@pytest.mark.parametrize(
    "right",
    [
        "ready = { seconds = 0 }",
        "ready = { text = 'up', within_s = 0.5 }",
        "[[step]]\nidle_s = 0\n[[step]]\nstop = { signal = 'SIGINT', within_s = 3 }",
        "[[step]]\nrun = ['x', '']\nexpect_status = 3",
    ],
)
def test_what_can_be_meant_is_read(right: str) -> None:
    assert parsed(right).command == ("app",)
