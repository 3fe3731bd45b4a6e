"""The ranges of ids that an ordinary user may map through newuidmap(1): subuid(5), subgid(5)."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path
from typing import Final

import msgspec

__all__ = ["LEAST_IDS", "IdRange", "IdRanges", "read_id_ranges"]

LEAST_IDS: Final = 65535
"""With the own id, as many as a sandbox has: 0 to 65535."""
_PATH: Final = "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin"
"""The caller's own PATH does not decide which program gets to map ids."""


class IdRange(msgspec.Struct, frozen=True, kw_only=True):
    """`count` ids from `first` on."""

    first: int
    count: int


class IdRanges(msgspec.Struct, frozen=True, kw_only=True):
    """A user's first long enough range of each kind and the programs that map it; `reason` and `fix` without one."""

    uids: IdRange | None = None
    gids: IdRange | None = None
    newuidmap: str = ""
    newgidmap: str = ""
    reason: str = ""
    fix: str = ""

    @property
    def usable(self) -> bool:
        """Whether ids beside the own one can be mapped."""
        return self.uids is not None and self.gids is not None and not self.reason


def _find(path: Path, names: tuple[str, ...]) -> IdRange | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        owner, _, numbers = line.strip().partition(":")
        first, _, count = numbers.partition(":")
        if owner in names and first.isdecimal() and count.isdecimal() and int(count) >= LEAST_IDS:
            return IdRange(first=int(first), count=int(count))
    return None


def read_id_ranges(folder: Path = Path("/etc")) -> IdRanges:
    """The ranges of this user as /etc/subuid and /etc/subgid give them; nothing is tried."""
    uid = os.getuid()
    named = any(entry.pw_uid == uid for entry in pwd.getpwall())
    names = (pwd.getpwuid(uid).pw_name, str(uid)) if named else (str(uid),)
    programs = [shutil.which(name, path=_PATH) or "" for name in ("newuidmap", "newgidmap")]
    uids, gids = _find(folder / "subuid", names), _find(folder / "subgid", names)
    reason = fix = ""
    if not all(programs):
        reason, fix = "newuidmap and newgidmap are not installed", "apt-get install uidmap"
    elif not named:
        reason, fix = f"the uid {uid} has no name, which newuidmap needs", f"as root: useradd --uid {uid} NAME"
    elif uids is None or gids is None:
        missing = folder / ("subuid" if uids is None else "subgid")
        reason = f"{missing} has no range of {LEAST_IDS} ids for {names[0]}"
        fix = f"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {names[0]}"
    return IdRanges(uids=uids, gids=gids, newuidmap=programs[0], newgidmap=programs[1], reason=reason, fix=fix)
