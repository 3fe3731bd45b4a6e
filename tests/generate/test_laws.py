"""Laws of recordings and profiles, on any recording."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from harden.generate.evidence import evidence_of
from harden.generate.profile import generate_profile
from harden.model.cover import missing
from harden.model.document import encode_json, parse_json, parse_toml
from harden.model.origin import Origin
from harden.model.profile import PROFILE_FORMAT, Profile
from harden.model.recording import RECORDING_FORMAT, Recording, merge
from harden.render.profile_toml import render_profile
from tests import recordings

SLOW = settings(max_examples=60)


def generate(recording: Recording, name: str = "app") -> Profile:
    return generate_profile(recording, name=name, baseline=recordings.baseline(), version="0.1.0")


@SLOW
@given(recordings.recordings, recordings.recordings, recordings.recordings)
def test_merge_is_a_union(first, second, third):
    assert merge([first, second]) == merge([second, first])
    assert merge([merge([first, second]), third]) == merge([first, merge([second, third])])
    assert merge([first, first]) == merge([first])


@SLOW
@given(recordings.recordings, st.randoms(use_true_random=False))
def test_order_of_runs_does_not_matter(recording, random):
    shuffled = list(recording.runs)
    random.shuffle(shuffled)
    other = Recording(runs=tuple(shuffled))
    assert generate(other) == generate(recording)
    assert render_profile(generate(other), evidence_of(other)) == render_profile(
        generate(recording), evidence_of(recording)
    )


@SLOW
@given(recordings.recordings)
def test_profile_covers_its_recording(recording):
    profile = generate(recording)
    for run in recording.runs:
        assert missing(profile, run) == ()


@SLOW
@given(recordings.recordings)
def test_everything_observed_was_recorded(recording):
    rights = generate(recording).rights
    seen = {call.name for run in recording.runs for call in run.syscalls}
    assert set(rights.syscalls.get(Origin.OBSERVED, ())) == seen
    asked = {capability.capability for run in recording.runs for capability in run.capabilities}
    assert set(rights.capabilities.get(Origin.OBSERVED, ())) <= asked


@SLOW
@given(recordings.recordings, st.text(st.characters(exclude_categories=["Cs"])))
def test_toml_reads_back_to_the_same_profile(recording, name):
    profile = generate(recording, name)
    text = render_profile(profile, evidence_of(recording))
    assert parse_toml(text, Profile, format=PROFILE_FORMAT, file="app.profile.toml") == profile


@SLOW
@given(recordings.recordings)
def test_recording_reads_back_to_the_same_value(recording):
    data = encode_json(recording)
    assert parse_json(data, Recording, format=RECORDING_FORMAT, file="app.recording.json") == recording
