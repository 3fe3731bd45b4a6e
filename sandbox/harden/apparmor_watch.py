"""What AppArmor logs of one sandbox while it runs: the kernel's records, read and parsed, and how many are lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harden.generate.apparmor_log import AppArmorLog
from harden.kernel.audit_log import AUDIT_AVC, AuditLog, open_audit_log
from harden.model.apparmor_record import parse_apparmor_record
from harden.model.sandbox import AppArmorLabel

__all__ = ["AppArmorWatch", "watching"]

_UNREADABLE = (
    "the kernel's audit log cannot be read (CAP_AUDIT_READ or CAP_SYSLOG, and CAP_AUDIT_WRITE, in the first user "
    "namespace): what AppArmor refuses is told from errno, where no other control explains it"
)


class AppArmorWatch:
    """A log that is being read; None where no AppArmor profile is entered or no log can be read."""

    def __init__(self, log: AuditLog | None, label: str) -> None:
        self._log = log
        self._label = label

    def stop(self) -> tuple[AppArmorLog, tuple[str, ...]]:
        """What was logged, and what is known to be missing from it."""
        if self._log is None:
            return AppArmorLog(), ()
        texts, lost = self._log.stop()
        parsed = (parse_apparmor_record(text) for text in texts)
        records = tuple(record for record in parsed if record is not None and record.profile == self._label)
        name = self._log.name
        missing = (f"{name}: records of the kernel's log were lost (x{lost})",) if lost else ()
        return AppArmorLog(records=records, is_complete=not lost), missing


@contextmanager
def watching(label: AppArmorLabel | None, tell: Callable[[str], None]) -> Iterator[AppArmorWatch]:
    """Read the log within the block, if a profile named by `label` is entered.

    Another run in the same profile at the same time has the same label, and its refusals count as this one's.
    """
    if label is None or label.problem:
        yield AppArmorWatch(None, "")
        return
    quoted = f'profile="{label.name}"'.encode()
    log = open_audit_log(AUDIT_AVC, lambda text: quoted in text)
    if log is None:
        tell(_UNREADABLE)
        yield AppArmorWatch(None, "")
        return
    with log:
        yield AppArmorWatch(log, label.name)
