"""Every output of a profile, one row each. Heavy renderers are imported when their row is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from harden import shipped
from harden.model.profile import Profile
from harden.render.rendered import Rendered

__all__ = ["FORMATS", "Format"]


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """One output."""

    name: str
    suffix: str
    """What the names of such files end in."""
    description: str
    render: Callable[[Profile], Rendered]


def _seccomp(profile: Profile) -> Rendered:
    from harden.render.seccomp import render_seccomp

    return render_seccomp(profile)


def _bpf(profile: Profile) -> Rendered:
    from harden.render.seccomp_bpf import render_bpf

    return render_bpf(profile)


def _apparmor(profile: Profile) -> Rendered:
    from harden.render.apparmor import render_apparmor

    return render_apparmor(profile, shipped.text("templates/apparmor.j2"))


def _capabilities(profile: Profile) -> Rendered:
    from harden.render.capabilities import render_capabilities

    return render_capabilities(profile)


def _landlock(profile: Profile) -> Rendered:
    from harden.render.landlock import render_landlock

    return render_landlock(profile)


FORMATS: Final[Mapping[str, Format]] = {
    row.name: row
    for row in (
        Format(name="seccomp", suffix=".seccomp.json", description="OCI runtime-spec seccomp section", render=_seccomp),
        Format(name="bpf", suffix=".bpf", description="compiled filter, struct sock_filter[]", render=_bpf),
        Format(name="apparmor", suffix=".apparmor", description="AppArmor profile, abi 3.0", render=_apparmor),
        Format(name="capabilities", suffix=".caps.json", description="OCI capability sets", render=_capabilities),
        Format(name="landlock", suffix=".landlock.json", description="landlockconfig rules", render=_landlock),
    )
}
"""Every format by name."""
