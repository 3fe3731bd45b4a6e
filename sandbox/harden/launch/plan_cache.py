"""Keeps the plan of a run, so that the next start of the same finds it: see `cached_plan`."""

from __future__ import annotations

import contextlib
import os
import secrets
import struct
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from harden.errors import HardenError
from harden.kernel import atomic_file
from harden.kernel.controllers import CONTROLLERS
from harden.kernel.executable import HARDEN_EXEC
from harden.launch import cached_plan, fact
from harden.launch.cached_plan import Entry
from harden.launch.encode import Header, encode, number_offset
from harden.launch.idmaps import needs_ranges
from harden.launch.lookups import Lookups
from harden.launch.ops import Code
from harden.launch.plan import Plan
from harden.model.control import Control, Enforcement

__all__ = ["keep", "template"]

_KNOWN: Final = {"spec", "ops", "controls", "notes", "layers", "made", "cgroup", "controllers", "needs_id_range"}
"""Fields of a plan that are all in the encoded plan and the entry. Another one must have its default."""
_SETTLED_NS: Final = 2_000_000_000
"""A file that was changed later than this before could change once more and look the same: file systems count time in
steps of up to 2 s."""
_MOST_FACTS: Final = 20_000
_MOST_ENTRIES: Final = 256
_OF_FILES: Final = (Control.APPARMOR, *CONTROLLERS)
"""Controls that files tell of, which are asked again. For the others the kernel was tried."""
_UNFILTERED: Final = b"Seccomp:\t0"
_JUMP_EQUAL: Final = 0x15
_FD: Final = 0x0F0F0F0F
"""Stands for a descriptor: no plan holds so large a one."""


def _places(plan: bytes, mark: bytes) -> list[int]:
    found = []
    at = plan.find(mark)
    while at >= 0:
        found.append(at)
        at = plan.find(mark, at + 1)
    return found


def _halves(plan: Plan, encoded: bytes, cookie: bytes) -> list[list[int]] | None:
    """Where the filter compares with the low and the high half; None when one is used for anything else."""
    filters = b"".join(step.blob for step in plan.ops if step.code in (Code.LOCK_DOWN, Code.SECCOMP))
    start = len(encoded) - len(filters)
    halves = []
    for half in (cookie[:4], cookie[4:]):
        places = [at for at in _places(encoded, half) if at >= start]
        codes = {struct.unpack_from("=H", encoded, at - 4)[0] for at in places}
        if codes != {_JUMP_EQUAL} or any((at - start) % 8 != 4 for at in places):
            return None
        halves.append(places)
    return halves


def _owners(plan: Plan) -> list[int]:
    """Of each owner of a device node that is made, as a number: its offset and its id inside."""
    found = []
    for index, step in enumerate(plan.ops):
        if step.code is Code.DEVICE_NODE:
            for number in (1, 2):
                found += [number_offset(index, number), step.numbers[number]]
    return found


def _ask_more(plan: Plan, lookups: Lookups) -> None:
    """What planning asked the system by other means than files."""
    spec = plan.spec
    if spec.isolation.rlimits:
        lookups.ask(b"content", b"/proc/self/limits")
    for number in spec.isolation.pass_fds:
        lookups.ask(b"inherited", b"%d" % number)
    if needs_ranges(spec, os.geteuid(), os.getegid()):
        lookups.ask_account("passwd", str(os.getuid()))


def template(plan: Plan, header: Header) -> Entry | None:
    """The entry's plan and its places; None when one cannot be told for certain."""
    entry = Entry()
    first, token = b"%d" % (1_000_000_000 + secrets.randbelow(1_000_000_000)), secrets.token_hex(6)
    if plan.cgroup is not None:
        header = msgspec.structs.replace(
            header,
            cgroup_fd=_FD,
            cgroup_base_fd=_FD + 1,
            cgroup_leaf=f"harden-{token}/limited/payload".encode(),
            cgroup_top=f"harden-{token}".encode(),
        )
        entry.cgroup = plan.cgroup
    entry.controllers = [name.encode() for name in plan.controllers]
    entry.program = os.fsencode(HARDEN_EXEC)
    entry.plan = encode(plan.ops, header, first_id=int(first) if plan.needs_id_range else 0)
    entry.owners = _owners(plan) if plan.needs_id_range else []
    entry.cgroup_names = _places(entry.plan, token.encode())
    entry.first_ids = _places(entry.plan, first)
    entry.fds = [at for mark in (_FD, _FD + 1) for at in _places(entry.plan, mark.to_bytes(4, sys.byteorder))]
    wanted = 2 if plan.cgroup is not None else 0
    if len(entry.fds) != wanted or len(entry.cgroup_names) != wanted or bool(entry.first_ids) != plan.needs_id_range:
        return None
    number = plan.spec.seccomp.exec_cookie if plan.spec.seccomp is not None else None
    if number is not None:
        cookie = number.to_bytes(8, sys.byteorder)
        halves = _halves(plan, entry.plan, cookie)
        entry.cookie = _places(entry.plan, cookie)
        if halves is None or len(entry.cookie) != 1:
            return None
        entry.filter_halves = halves
    return entry


def _is_settled(facts: Iterable[tuple[bytes, bytes]], now_ns: int) -> bool:
    """Whether every file whose time stands for its content has not been changed just now."""
    for question, found in facts:
        if question == b"version" and not found.startswith(b"!"):
            times = found.split()[-2:]
            if now_ns - max(map(int, times)) < _SETTLED_NS:
                return False
    return True


def _own_code(lookups: Lookups) -> None:
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if module.__name__.partition(".")[0] == "harden" and path:
            lookups.ask(b"version", os.fsencode(path))
    lookups.ask(b"version", os.fsencode(HARDEN_EXEC))
    lookups.ask(b"version", os.fsencode(os.path.realpath(sys.executable)))


def _is_at_its_name() -> bool:
    """Whether the working folder is what its name leads to: it is not where something was mounted over it."""
    try:
        return os.path.samestat(os.stat("."), os.stat(os.getcwd()))
    except OSError:
        return False


def _usable(plan: Plan) -> bool:
    others = (field for field in msgspec.structs.fields(Plan) if field.name not in _KNOWN)
    # Whether an AppArmor profile is still loaded is not asked here.
    confined = plan.spec.apparmor is not None and bool(plan.spec.apparmor.name)
    same = not confined and all(getattr(plan, field.name) == field.default for field in others)
    return same and (_is_whole(plan) or _UNFILTERED in cached_plan.status())


def _is_whole(plan: Plan) -> bool:
    """Whether no trial that failed has made it weaker.

    What a filter around harden hides, the next one, which looks the same from here, may not. Where it hides more, a
    plan that lacks nothing fails by name.
    """
    tried = (each.enforcement for each in plan.controls if each.control not in _OF_FILES)
    in_force = all(enforcement is Enforcement.FULLY_ENFORCED for enforcement in tried)
    return in_force and plan.cgroup is not None and any(step.code is Code.KEYRING for step in plan.ops)


def keep(
    plan: Plan, header: Header, lookups: Lookups, *, notes: str, variables: Iterable[str], argv: list[str]
) -> bool:
    """Keep `plan`, which was made while `lookups` recorded, for the same command line; False when it is not kept.

    `variables` are those of the environment that were looked at. A plan that cannot be kept, or no place to keep it, is
    no error: the next start plans again.
    """
    _ask_more(plan, lookups)
    lookups.stop()
    runtime = cached_plan.runtime_folder() if _is_at_its_name() else None
    entry = template(plan, header) if runtime is not None and _usable(plan) and not lookups.unknown else None
    if runtime is None or entry is None:
        return False
    _own_code(lookups)
    for name in variables:
        lookups.ask(b"variable", os.fsencode(name))
    facts = [word for (question, path), found in lookups.answers.items() for word in (question, path, found)]
    entry.key, entry.facts, entry.notes = cached_plan.key(argv), facts, notes.encode(errors="surrogateescape")
    settled = _is_settled(((q, found) for (q, _), found in lookups.answers.items()), time.time_ns())
    if lookups.unknown or not settled or len(facts) > 3 * _MOST_FACTS:
        return False
    if any(b"\0" in word for word in (*entry.key, *facts, entry.notes, entry.program)) or not fact.holds(facts):
        return False
    data = cached_plan.encode_entry(entry)
    return len(data) <= cached_plan.LARGEST and _write(
        Path(runtime, cached_plan.FOLDER), cached_plan.name_of(entry.key), data
    )


def _make_room(place: Path) -> None:
    """Remove the oldest entries. Other starts do the same, and write theirs: what is gone meanwhile is no failure."""
    ages = []
    for path in place.iterdir():
        with contextlib.suppress(FileNotFoundError):
            ages.append((path.lstat().st_mtime_ns, path))
    for _, old in sorted(ages)[: max(0, len(ages) - _MOST_ENTRIES)]:
        old.unlink(missing_ok=True)


def _write(place: Path, name: str, data: bytes) -> bool:
    try:
        place.parent.mkdir(mode=0o700, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        status = place.lstat()
        if not (place.is_dir() and status.st_uid == os.geteuid() and status.st_mode & 0o077 == 0):
            return False
        _make_room(place)
        atomic_file.replace(place / name, data, mode=0o600)
    except (OSError, HardenError):
        # A full or read-only /run: see the docstring of keep().
        return False
    return True
