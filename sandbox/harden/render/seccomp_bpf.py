"""The filter as an array of struct sock_filter, for bwrap --seccomp and every other loader of raw programs."""

from __future__ import annotations

from typing import Final

import msgspec

from harden.bpf.compile import compile_filter
from harden.model.origin import Origin
from harden.model.profile import Profile
from harden.render.ability import is_granted
from harden.render.no_limits import NO_LIMITS
from harden.render.rendered import Limit, Rendered

__all__ = ["LIMITS", "render_bpf"]

_LOADER_EXEC: Final = "execve"


def _lacks_exec(profile: Profile) -> bool:
    return not is_granted(profile.rights, _LOADER_EXEC)


LIMITS: Final = (
    Limit("no execve: the loader needs it after the filter; harden run allows it once", _lacks_exec),
    Limit("files, network, capabilities: it is a filter of system calls"),
    Limit("another byte order: it is that of the machine that exports"),
    NO_LIMITS,
)


def render_bpf(profile: Profile) -> Rendered:
    """The compiled and verified program, in the byte order of this machine; HardenError when it cannot be made."""
    rights = profile.rights
    if _LOADER_EXEC not in rights.all_syscalls():
        runtime = tuple(sorted({*rights.syscalls.get(Origin.RUNTIME, ()), _LOADER_EXEC}))
        rights = msgspec.structs.replace(rights, syscalls={**rights.syscalls, Origin.RUNTIME: runtime})
    return Rendered(content=compile_filter(rights).program)
