"""The AppArmor side of `harden run`: the profile's rules, loaded into the kernel under a name made from what they are.

A loaded profile stays: taking it away would unconfine every other run of it that still goes on. One profile has one
name, so runs do not add up; a changed one is loaded beside the old one, until the next boot.
"""

from __future__ import annotations

import re
from typing import Final

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
    from harden.render.apparmor import labelled_apparmor

    label, text = labelled_apparmor(profile, shipped.text("templates/apparmor.j2"))
    if load:
        try:
            load_profile(label, text)
        except HardenError as error:
            return AppArmorLabel(name=label, problem=error.message)
    return AppArmorLabel(name=label)
