"""From what a rerun did to what was refused in it. Pure: the same observations give the same denials."""

from __future__ import annotations

import msgspec

from harden.generate.apparmor_log import AppArmorLog, logged_denials
from harden.generate.denied_address import denied_addresses
from harden.generate.denied_call import denied_calls
from harden.generate.denied_capability import denied_capabilities
from harden.generate.denied_file import Circumstances, denied_files
from harden.generate.denied_limit import Held, denied_limits
from harden.generate.history import History
from harden.model.control import Control
from harden.model.denial import Denial, Refusal
from harden.model.profile import Profile
from harden.model.recording import Run

__all__ = ["denials_of"]


def denials_of(
    run: Run,
    refusals: tuple[Refusal, ...],
    *,
    profile: Profile,
    history: History,
    on_host: frozenset[str],
    linked: frozenset[str] = frozenset(),
    in_force: frozenset[Control],
    log: AppArmorLog,
    held: Held | None = None,
) -> tuple[Denial, ...]:
    """Everything that was refused in `run`, a run under `profile`, by control and then by program and call.

    `on_host`: those of `denied_file.hidden_candidates` that the host has. `linked`: those of
    `denied_file.refused_paths` with a symbolic link in them. `in_force`: the controls that held it.
    `log`: what AppArmor logged of it.
    `held`: what its limits of resources came to.
    """
    refused = frozenset((each.executable, each.name, each.result) for each in refusals)
    capabilities = tuple(denied_capabilities(run, history, refused))
    around = Circumstances(
        profile=profile,
        history=history,
        on_host=on_host,
        linked=linked,
        in_force=in_force,
        refused_calls=refused,
        privileged=frozenset((each.executable, each.call) for each in capabilities),
        log=log,
    )
    files = tuple(denied_files(run, around))
    found = (
        *denied_calls(refusals, run, profile.rights, history),
        *capabilities,
        *files,
        *logged_denials(log, files, profile.rights, history),
        *denied_addresses(run, profile.rights, history, refused),
        *denied_limits(run, profile, history, held or Held(), refused),
    )
    return tuple(sorted(found, key=_order))


def _order(denial: Denial) -> tuple[str, bytes]:
    return denial.control or "", msgspec.json.encode(denial, order="sorted")
