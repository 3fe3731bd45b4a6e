"""The refining workflow: verify, add what was refused, verify again, until nothing that may be added is left."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from harden.errors import HardenError
from harden.folder import ProfileFiles
from harden.generate.proposal import Proposal, joined, proposals_of
from harden.kernel import atomic_file
from harden.model.denial import Verification
from harden.model.local_merge import join_rights
from harden.model.profile import LocalRemoval, LocalRights
from harden.render.local_toml import insert_rights
from harden.verify import VerifyRequest, open_rerun, save_verified

__all__ = ["Choose", "Refinement", "add_to_local", "refine"]

Choose = Callable[[Verification, tuple[Proposal, ...]], tuple[Proposal, ...]]
"""Shows what is proposed; gives back what may be added."""


class Refinement(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    verification: Verification
    """The last one: nothing was added after it."""
    added: LocalRights
    left: tuple[Proposal, ...]
    """What would be proposed next."""
    rounds: int
    """How often the workload ran."""


def refine(
    request: VerifyRequest,
    *,
    rounds: int,
    budget_s: float | None,
    choose: Choose,
    tell: Callable[[str], None],
) -> Refinement:
    """Repeat verifying and adding to NAME.local.toml at most `rounds` times, and for `budget_s` seconds at most.

    The workload always runs once more after the last addition. Raises HardenError as `verify` does, and DocumentError
    when the file cannot be edited without touching what a person wrote.
    """
    deadline = None if budget_s is None else time.monotonic() + budget_s
    added, number = LocalRights(), 0
    while True:
        number += 1
        tell(f"round {number}: running the workload under its profile")
        rerun = open_rerun(request)
        verification = rerun.verify(tell=tell if number == 1 else _say_nothing)
        save_verified(request.files, verification)
        proposals = proposals_of(verification.denials, rerun.profile)
        is_over = number > rounds or (deadline is not None and time.monotonic() > deadline)
        chosen = () if is_over or not proposals else choose(verification, proposals)
        if not chosen:
            return Refinement(verification=verification, added=added, left=proposals, rounds=number)
        more = joined(chosen)
        if not add_to_local(request.files, "refined", more, trust=request.trust):
            raise HardenError(
                f"{request.files.local} has these rules already, and yet they are refused", hint="report it, please"
            )
        tell(f"wrote {request.files.local}")
        added = join_rights(added, more)


def add_to_local(files: ProfileFiles, table: str, rights: LocalRights | LocalRemoval, *, trust: bool) -> bool:
    """Insert `rights` into the `[table]` of NAME.local.toml, made if it is missing; False when they are there already.

    Raises DocumentError when it cannot be done by insertions alone; nothing is written then.
    """
    before = atomic_file.read_trusted(files.local, trust=trust) if files.local.exists() else b""
    after = insert_rights(before.decode("utf-8"), table, rights, file=str(files.local)).encode("utf-8")
    if after == before:
        return False
    atomic_file.replace(files.local, after)
    return True


def _say_nothing(_line: str) -> None:
    """For every round but the first: what the sandbox cannot enforce was said already."""
