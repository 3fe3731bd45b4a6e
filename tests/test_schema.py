"""The shipped JSON Schemas say what the code reads, and the shipped data follows them."""

from __future__ import annotations

import json
import tomllib

import jsonschema
import pytest

from harden import shipped
from harden.model.baseline import BASELINE_FORMAT, FAMILIES_FORMAT, Baseline, Families
from harden.model.document import encode_json, parse_toml, schema
from harden.model.profile import Local, Profile
from harden.model.recording import Recording
from tests import recordings, write_schemas


@pytest.mark.parametrize("name", write_schemas.TYPES)
def test_schema_is_current(name):
    path = write_schemas.FOLDER / f"{name}.json"
    assert path.read_text() == write_schemas.text(write_schemas.TYPES[name]), (
        f"{path} is stale: run {write_schemas.COMMAND}"
    )


def test_every_schema_has_a_type():
    assert {path.stem for path in write_schemas.FOLDER.glob("*.json")} == set(write_schemas.TYPES)


@pytest.mark.parametrize(("name", "type_"), [("baseline", Baseline), ("families", Families)])
def test_shipped_data_follows_its_schema(name, type_):
    jsonschema.validate(tomllib.loads(shipped.text(f"profiles/{name}.toml")), schema(type_))


def test_shipped_data_is_read():
    baseline = shipped.text("profiles/baseline.toml").encode()
    families = shipped.text("profiles/families.toml").encode()
    parse_toml(baseline, Baseline, format=BASELINE_FORMAT, file="baseline.toml")
    parse_toml(families, Families, format=FAMILIES_FORMAT, file="families.toml")


def test_recording_and_profile_follow_their_schemas():
    jsonschema.validate(json.loads(encode_json(recordings.small_recording())), schema(Recording))
    jsonschema.validate(json.loads(encode_json(recordings.small_profile())), schema(Profile))


def test_schema_refuses_an_unknown_field():
    with pytest.raises(jsonschema.ValidationError, match="was unexpected"):
        jsonschema.validate({"format": "harden-local/1", "ad": {}}, schema(Local))
