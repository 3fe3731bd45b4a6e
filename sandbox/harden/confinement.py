"""The AppArmor side of `harden run`: the profile's rules, loaded into the kernel under a name made from what they are.

A loaded profile stays: taking it away would unconfine every other run of it that still goes on. One profile has one
name, so runs do not add up; a changed one is loaded beside the old one, until the next boot.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec

from harden import shipped
from harden.errors import HardenError, UsageError
from harden.kernel.apparmor import load_problem, load_profile
from harden.kernel.features import Features
from harden.model.control import Control, Requirement
from harden.model.profile import Profile
from harden.model.sandbox import AppArmorLabel

__all__ = ["confinement"]

_LABEL: Final = re.compile(r"[^\s\0&:-][^\s\0&]{0,199}")
"""One profile of the kernel's own policy namespace: no stack of several (&), no other namespace (:)."""
_NAME_CHARS: Final = 64
_DIGEST_CHARS: Final = 32


def confinement(profile: Profile, features: Features, *, name: str | None, load: bool) -> AppArmorLabel | None:
    """The label to enter at exec: `name`, which must be loaded, or the profile's own, which is loaded here if `load`.

    None when the profile wants no AppArmor. What stands in the way is in the label. Raises UsageError for a `name` that
    cannot be one.
    """
    if name is not None:
        if not _LABEL.fullmatch(name):
            raise UsageError(f"--apparmor {name!r}: not the name of one AppArmor profile", hint="aa-status lists them")
        return AppArmorLabel(name=name)
    if profile.controls.get(Control.APPARMOR) is Requirement.OFF:
        return None
    if not features.apparmor:
        return AppArmorLabel(name="", problem="AppArmor is not enabled in this kernel")
    problem = load_problem()
    if problem:
        return AppArmorLabel(name="", problem=problem)
    label, text = _labelled(profile)
    if load:
        try:
            load_profile(label, text)
        except HardenError as error:
            return AppArmorLabel(name=label, problem=error.message)
    return AppArmorLabel(name=label)


def _labelled(profile: Profile) -> tuple[str, bytes]:
    """The profile as AppArmor text under a name that holds the SHA-256 of its rules, and that name."""
    from harden.render.apparmor import apparmor_label, render_apparmor

    template = shipped.text("templates/apparmor.j2")
    digest = hashlib.sha256(render_apparmor(profile, template).content).hexdigest()
    named = msgspec.structs.replace(profile, name=f"{profile.name[:_NAME_CHARS]}.{digest[:_DIGEST_CHARS]}")
    return apparmor_label(named), render_apparmor(named, template).content
