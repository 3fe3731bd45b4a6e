"""The file of `harden run --report`: there from the beginning, whole at every moment."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

from harden.errors import HardenError, KernelError, UsageError
from harden.kernel import atomic_file
from harden.model.document import encode_json
from harden.model.end_report import REPORT_FORMAT, Ending, EndReport

__all__ = ["begin_report", "report_refusal"]

_LONGEST_NAME: Final = 200
"""plan.c takes no longer one: a temporary name is made from it."""
_BEGIN: Final = re.compile(rb'\s*\{\s*"format":\s*"' + REPORT_FORMAT.encode() + b'"')
_BEGIN_BYTES: Final = 64


def begin_report(path: Path, folder: int) -> None:
    """Puts a report into the open `folder`, under the name of `path`, that says `unfinished`: nothing there tells of
    another run, and the program can be kept from it. Raises UsageError for a file that is no report of harden's,
    KernelError where none can be written.
    """
    if not path.name or len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise UsageError(f"--report {path}: not the name of a file", hint=f"at most {_LONGEST_NAME} bytes")
    _check_present(path, folder)
    _write(path, folder, EndReport(ending=Ending.UNFINISHED))


def report_refusal(path: Path, folder: int, error: BaseException) -> None:
    """Puts there instead that the program was not started, because of `error`."""
    message = error.message if isinstance(error, HardenError) else str(error) or type(error).__name__
    hint = error.hint if isinstance(error, HardenError) else None
    _write(path, folder, EndReport(ending=Ending.NOT_STARTED, error=message, hint=hint or ""))


def _check_present(path: Path, folder: int) -> None:
    """Only a report is replaced: a mistyped name must not cost a profile."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path.name, flags, dir_fd=folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise KernelError(f"open({str(path)!r}, O_RDONLY|O_NOFOLLOW)", error.errno or 0) from None
    try:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        begin = os.read(descriptor, _BEGIN_BYTES) if regular else b"none"
    finally:
        os.close(descriptor)
    if begin and not _BEGIN.match(begin):
        raise UsageError(f"--report {path}: there is a file that is no report of harden's", hint="give another name")


def _write(path: Path, folder: int, report: EndReport) -> None:
    atomic_file.replace(path, encode_json(report), folder=folder)
