"""The filter as an array of struct sock_filter, for bwrap --seccomp and every other loader of raw programs."""

from __future__ import annotations

import msgspec

from harden.bpf.compile import compile_filter
from harden.model.origin import Origin
from harden.model.profile import Profile
from harden.render.rendered import Rendered

__all__ = ["render_bpf"]

_LOADER_EXEC = "execve"


def render_bpf(profile: Profile) -> Rendered:
    """The compiled and verified program, in the byte order of this machine; HardenError when it cannot be made."""
    rights = profile.rights
    warnings: list[str] = []
    if _LOADER_EXEC not in rights.all_syscalls():
        runtime = tuple(sorted({*rights.syscalls.get(Origin.RUNTIME, ()), _LOADER_EXEC}))
        rights = msgspec.structs.replace(rights, syscalls={**rights.syscalls, Origin.RUNTIME: runtime})
        warnings.append("execve is allowed, because the loader needs it after the filter; harden run allows it once")
    return Rendered(content=compile_filter(rights).program, warnings=tuple(warnings))
