"""Documents that are refused: what is said of a name that is none of those a place can hold."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from harden.errors import DocumentError
from harden.model.control import Control
from harden.model.document import parse_json, parse_toml
from harden.model.phase import Phase
from harden.model.profile import LOCAL_FORMAT, Local

FORMAT = "harden-shapes/1"
PHASES = f"one of {', '.join(sorted(Phase))}"


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    phase: Phase | None = None


class Shapes(msgspec.Struct, forbid_unknown_fields=True):
    """Every way in which a document of ours leads to a name."""

    format: str
    listed: tuple[Phase, ...] = ()
    pair: tuple[int, Phase] | None = None
    keys: dict[Phase, int] = {}
    values: dict[str, tuple[Inner, ...]] = {}
    word: Literal["on", "off"] | None = None
    by_number: dict[int, str] = {}


def refused(json: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        parse_json(f'{{"format": "{FORMAT}", {json}}}'.encode(), Shapes, format=FORMAT, file="a.json")
    return caught.value


@pytest.mark.parametrize(
    ("json", "where", "accepted"),
    [
        ('"listed": ["init", "foo"]', "$.listed[1]", PHASES),
        ('"pair": [1, "foo"]', "$.pair[1]", PHASES),
        ('"values": {"x": [{}, {"phase": "foo"}]}', "$.values[...][1].phase", PHASES),
        ('"word": "foo"', "$.word", "one of off, on"),
    ],
)
def test_a_name_that_cannot_stand_there_is_told_with_those_that_can(json, where, accepted):
    error = refused(json)
    assert error.message == f"a.json: {where}: 'foo' is none of the names that can stand here"
    assert error.hint == accepted


def test_so_is_a_key():
    error = refused('"keys": {"foo": 1}')
    assert (error.where, error.hint) == ("$.keys", PHASES)
    assert error.message == "a.json: $.keys: the key 'foo' is none of the names that can stand here"


def test_so_is_a_control_in_the_local_file():
    text = b'format = "harden-local/1"\n[controls]\nfoo = "required"\n'
    with pytest.raises(DocumentError) as caught:
        parse_toml(text, Local, format=LOCAL_FORMAT, file="sl.local.toml")
    assert caught.value.message == "sl.local.toml: $.controls: the key 'foo' is none of the names that can stand here"
    assert caught.value.hint == f"one of {', '.join(sorted(Control))}"


def test_another_problem_of_a_key_is_a_sentence_too():
    message = refused('"by_number": {"foo": "x"}').message
    assert message == "a.json: $.by_number: one of its keys: Expected `int`, got `str`"


def test_what_can_stand_there_does():
    good = f'{{"format": "{FORMAT}", "keys": {{"init": 1}}, "word": "on", "pair": [1, "serving"]}}'.encode()
    assert parse_json(good, Shapes, format=FORMAT, file="a.json").keys == {Phase.INIT: 1}
