"""Joins recordings with the data that comes with harden: baselines, templates, this version's name."""

from __future__ import annotations

from harden import __version__, shipped
from harden.generate.evidence import evidence_of
from harden.generate.profile import generate_profile
from harden.model.baseline import BASELINE_FORMAT, FAMILIES_FORMAT, Baseline, Families
from harden.model.document import parse_toml
from harden.model.profile import Profile
from harden.model.recording import Recording
from harden.render.profile_toml import render_profile

__all__ = ["generate_from", "profile_of", "shipped_baseline"]


def shipped_baseline() -> Baseline:
    """What every profile grants, with the reasons."""
    text = shipped.text("profiles/baseline.toml").encode()
    return parse_toml(text, Baseline, format=BASELINE_FORMAT, file="profiles/baseline.toml")


def _shipped_families() -> Families:
    text = shipped.text("profiles/families.toml").encode()
    return parse_toml(text, Families, format=FAMILIES_FORMAT, file="profiles/families.toml")


def profile_of(recording: Recording, *, name: str, families: bool = False) -> Profile:
    """The profile of `recording`, with the baseline that is shipped and, with `families`, the siblings of its calls."""
    siblings = _shipped_families() if families else None
    return generate_profile(recording, name=name, baseline=shipped_baseline(), families=siblings, version=__version__)


def generate_from(recording: Recording, *, name: str, families: bool = False) -> bytes:
    """The text of NAME.profile.toml for `recording`; see `profile_of`."""
    return render_profile(profile_of(recording, name=name, families=families), evidence_of(recording))
