"""How ids inside relate to ids outside, in both of a sandbox's user namespaces: user_namespaces(7)."""

from __future__ import annotations

from typing import Final

import msgspec

from harden.errors import ControlUnavailable, UsageError
from harden.kernel.features import Features
from harden.kernel.subid import LEAST_IDS
from harden.launch.ops import FIRST_ID
from harden.model.control import Control
from harden.model.sandbox import SandboxSpec, UserNamespaceMode

__all__ = ["IdMaps", "check_ids", "id_maps", "needs_ranges"]

_MOST_GROUPS: Final = 32
_HIGHEST: Final = 4294967294


class IdMaps(msgspec.Struct, frozen=True, kw_only=True):
    """The maps of init's namespace and of the payload's inside it, and what the payload's look like from outside.

    With `ranged`, the first two are the arguments of newuidmap(1) and newgidmap(1).
    """

    init: tuple[bytes, bytes]
    payload: tuple[bytes, bytes]
    expected: bytes
    ranged: bool = False
    single: bool = False
    """One id only: the kernel demands that setgroups(2) is switched off."""


def needs_ranges(spec: SandboxSpec, euid: int, egid: int) -> bool:
    """Whether an ordinary user's sandbox has to have more ids than his own."""
    return bool(
        euid != 0
        and (spec.uid not in (None, euid) or spec.gid not in (None, egid) or spec.isolation.groups)
        and spec.user_namespace is UserNamespaceMode.SHIFTED
    )


def check_ids(spec: SandboxSpec, features: Features) -> None:
    """Raises UsageError for ids that cannot exist inside, ControlUnavailable where this user may not have them."""
    groups = spec.isolation.groups
    if len(groups) > _MOST_GROUPS:
        raise UsageError(f"more than {_MOST_GROUPS} supplementary groups", hint="give fewer with --groups")
    others = spec.uid not in (None, features.euid) or spec.gid not in (None, features.egid)
    if not features.root and (others or groups):
        ranges = features.id_ranges
        if spec.user_namespace is not UserNamespaceMode.SHIFTED:
            raise UsageError(
                f"--user and --groups with --userns={spec.user_namespace.value} need root", hint="leave --userns out"
            )
        if not ranges.usable:
            raise ControlUnavailable(
                Control.USER_NAMESPACE.value,
                f"only the own id can be mapped: {ranges.reason}",
                hint=f"{ranges.fix}; or run harden as root, or without --user and --groups",
            )
    limit = LEAST_IDS if spec.user_namespace is UserNamespaceMode.SHIFTED else _HIGHEST
    own = () if features.root else (features.euid, features.egid)
    for number in (spec.uid, spec.gid, *groups):
        if number is not None and number not in own and not 0 <= number <= limit:
            raise UsageError(f"the id {number} does not exist in the sandbox (0 to {limit})", hint="choose another")


def _range_maps(own: int, first: int) -> tuple[bytes, bytes, bytes]:
    """Init's namespace has the own id as 0 and the range from 1 on; the payload has the own id as itself."""
    init = b"0 %d 1 1 %d %d" % (own, first, LEAST_IDS)
    # (id inside, id in init's namespace, how many)
    pieces = [(0, 1, min(own, LEAST_IDS)), (own, 0, 1), (own + 1, own + 1, LEAST_IDS - own)]
    kept = [piece for piece in pieces if piece[2] > 0]
    payload = b"\n".join(b"%d %d %d" % piece for piece in kept)
    seen = b"\n".join(
        b"%d %d %d" % (inside, first + between - 1 if between else own, count) for inside, between, count in kept
    )
    return init, payload, seen


def id_maps(spec: SandboxSpec, features: Features) -> IdMaps:
    """The maps that `spec` gets on this host; check_ids() has been content with it."""
    if not features.root:
        uid, gid = features.euid, features.egid
        ranges = features.id_ranges
        if needs_ranges(spec, uid, gid) and ranges.uids is not None and ranges.gids is not None:
            uids, gids = _range_maps(uid, ranges.uids.first), _range_maps(gid, ranges.gids.first)
            return IdMaps(
                init=(uids[0], gids[0]), payload=(uids[1], gids[1]), expected=uids[2] + b";" + gids[2], ranged=True
            )
        return IdMaps(
            init=(b"0 %d 1" % uid, b"0 %d 1" % gid),
            payload=(b"%d 0 1" % uid, b"%d 0 1" % gid),
            expected=b"%d %d 1;%d %d 1" % (uid, uid, gid, gid),
            single=True,
        )
    if spec.user_namespace is UserNamespaceMode.IDENTITY:
        everything = b"0 0 4294967295"
        return IdMaps(
            init=(everything, everything), payload=(everything, everything), expected=everything + b";" + everything
        )
    shifted, all_inside = b"0 " + FIRST_ID + b" 65536", b"0 0 65536"
    return IdMaps(init=(shifted, shifted), payload=(all_inside, all_inside), expected=shifted + b";" + shifted)
