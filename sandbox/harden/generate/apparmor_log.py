"""What AppArmor itself logged while a program ran: which denials are its doing, and those that nothing else shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Final

import msgspec

from harden.generate.history import History
from harden.model.apparmor_record import AppArmorRecord
from harden.model.capability import Capability
from harden.model.control import Control
from harden.model.denial import Denial, DenialSource
from harden.model.need import normal_path
from harden.model.path_pattern import PathPattern
from harden.model.path_text import to_text
from harden.model.profile import LocalRights, Rights, render_file_rights
from harden.model.recording import FileOperation

__all__ = ["AppArmorLog", "logged_denials"]

_OF_LETTER: Final = {
    "r": FileOperation.READ,
    "w": FileOperation.WRITE,
    "a": FileOperation.APPEND,
    "c": FileOperation.CREATE,
    "d": FileOperation.UNLINK,
    "k": FileOperation.LOCK,
    "l": FileOperation.LINK,
    "x": FileOperation.EXEC,
    "m": FileOperation.MAP,
}
_OF_OPERATION: Final = {
    ("mkdir", "c"): FileOperation.MKDIR,
    ("symlink", "c"): FileOperation.SYMLINK,
    ("rmdir", "d"): FileOperation.RMDIR,
    ("rename_src", "d"): FileOperation.REFER,
    ("chmod", "w"): FileOperation.CHMOD,
    ("chown", "w"): FileOperation.CHOWN,
    ("truncate", "w"): FileOperation.TRUNCATE,
}
"""AppArmor's operation and letter, where the letter alone stands for another right. Source: apparmor.d(5), audit.c."""
_HUGE_PAGES: Final = ("file_mmap", b"/")
"""mmap(2) with MAP_HUGETLB: AppArmor takes the pages for a file, which has no name. Who asks for them must do without
anyhow, on every machine that has set none aside; a rule on "/" would be one on the root folder. Source: mm/mmap.c."""
_NO_RULE: Final = (
    "no right of a profile stands for this rule of AppArmor's: `harden export --format apparmor` shows them"
)


class AppArmorLog(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Its records about one label."""

    records: tuple[AppArmorRecord, ...] = ()
    is_complete: bool = False
    """Whether what is not here did not happen: the log could be read and nothing of it was lost."""

    @cached_property
    def names(self) -> Mapping[bytes, frozenset[FileOperation]]:
        """The rights that were missing, by path."""
        found: dict[bytes, frozenset[FileOperation]] = {}
        for record in self.records:
            if record.name.startswith(b"/"):
                found[record.name] = found.get(record.name, frozenset()) | _missing(record)
        return found


def logged_denials(log: AppArmorLog, files: Iterable[Denial], rights: Rights, history: History) -> Iterator[Denial]:
    """One denial for each thing that only the log tells of, which is not among the denials `files`.

    What was refused when the program was recorded is none.
    """
    told = {normal_path(text) for denial in files if denial.source is DenialSource.AUDIT for text in denial.paths}
    counts = Counter(
        msgspec.structs.replace(record, pid=0) for record in log.records if not record.name or record.name not in told
    )
    for record, count in sorted(counts.items()):
        if (record.operation, record.name) == _HUGE_PAGES:
            continue
        if record.name and history.path(to_text(record.name), "EACCES"):
            continue
        add = _rule(record, rights)
        yield Denial(
            control=Control.APPARMOR,
            source=DenialSource.AUDIT,
            executable=to_text(record.comm),
            call=record.operation,
            arguments=record.details,
            paths=(to_text(record.name),) if record.name else (),
            capability=record.capability,
            result="EPERM" if record.capability else "EACCES",
            count=count,
            recorded=None,
            add=add,
            advice="" if add != LocalRights() else _NO_RULE,
        )


def _missing(record: AppArmorRecord) -> frozenset[FileOperation]:
    letters = [letter for letter in record.denied if letter in _OF_LETTER]
    return frozenset(_OF_OPERATION.get((record.operation, letter), _OF_LETTER[letter]) for letter in letters)


def _rule(record: AppArmorRecord, rights: Rights) -> LocalRights:
    if record.capability:
        known = record.capability in Capability.__members__
        granted = known and Capability[record.capability] in rights.all_capabilities()
        return LocalRights(capabilities=(record.capability,)) if known and not granted else LocalRights()
    missing = _missing(record)
    if not record.name.startswith(b"/") or not missing:
        return LocalRights()
    if FileOperation.EXEC in missing:
        missing |= {FileOperation.READ, FileOperation.MAP}
    return LocalRights(files={PathPattern.literal(record.name).text: render_file_rights(missing)})
