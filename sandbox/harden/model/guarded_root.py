"""Folders whose content belongs to others: no rule is ever widened to them, above them, or across them."""

from __future__ import annotations

import re
from typing import Final

from harden.model.recording import FileOperation

__all__ = ["ON_ROOT", "OWN", "PRIVATE", "is_beneath", "is_guarded", "is_too_wide"]

PRIVATE: Final = (b"/tmp", b"/var/tmp", b"/dev/shm", b"/run")
"""Empty and private in every sandbox: what is written there never reaches the host."""

OWN: Final = (b"/proc", b"/sys", b"/dev")
"""The sandbox's own instances, in every view."""

ON_ROOT: Final = frozenset({FileOperation.STAT, FileOperation.LIST})
"""All that is ever granted on "/" itself: a right of files there would be one on every file."""

_GUARDED: Final = (b"/etc", b"/root", b"/run/secrets", *OWN)
_NOBODYS: Final = b"/dev/shm"
"""Below a guarded root, but empty and private in every sandbox: only the program's own names are in it."""
_SSH: Final = re.compile(rb"/home/[^/]+/\.ssh(?:/.*)?", re.DOTALL)
_HOME: Final = re.compile(rb"/home(?:/[^/]+(?:/\.ssh)?)?")
_SHARED: Final = frozenset(
    rb"""
    / /bin /boot /etc /lib /lib32 /lib64 /libx32 /media /mnt /opt /root /run/secrets /sbin /srv /usr /usr/local /var
    /var/backups /var/cache /var/lib /var/lib/dpkg /var/local /var/log /var/mail /var/opt /var/spool /var/spool/cron
    /var/www
    """.split()
)


def is_beneath(path: bytes, folder: bytes) -> bool:
    """Whether `path` is `folder` or somewhere below it."""
    return path == folder or path.startswith(folder if folder == b"/" else folder + b"/")


def is_guarded(path: bytes) -> bool:
    """Whether `path` is in a guarded root, where only pids are generalised."""
    if _SSH.fullmatch(path) is not None:
        return True
    return any(is_beneath(path, root) for root in _GUARDED) and not path.startswith(_NOBODYS + b"/")


def is_too_wide(folder: bytes) -> bool:
    """Whether a right on the whole of a host's `folder` would reach what is not the program's.

    True for a guarded root and every folder above one, for the folders that all programs share, and for the
    distribution's part of /usr.
    """
    if folder in _SHARED or _HOME.fullmatch(folder):
        return True
    if is_beneath(folder, b"/usr/local"):
        return folder.count(b"/") < 4
    return is_beneath(folder, b"/usr")
