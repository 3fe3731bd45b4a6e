"""The recorder for who may not load BPF: harden-exec answers the program's calls and counts them in a memfd."""

from __future__ import annotations

import os
import secrets
import time
from types import TracebackType
from typing import Self

from harden.errors import KernelError
from harden.kernel.host import native_arch
from harden.trace.layout import COMBINATIONS
from harden.trace.notify_table import START_AT, TABLE_SIZE, encode_start, encode_table, read_progress, read_table
from harden.trace.observations import Observations
from harden.trace.progress import Progress

__all__ = ["NotifyRecorder"]


class NotifyRecorder:
    """The table of one recording: give `fd` and `cookie` to the sandbox, call `stop` when it is over.

    It sees the payload and everything that descends from it, whatever cgroup they are in. seccomp_unotify(2).
    """

    def __init__(self, *, combinations: int = COMBINATIONS) -> None:
        """Raises KernelError when there is no memory for it."""
        self._arch = native_arch()
        self._combinations = combinations
        self._observations: Observations | None = None
        self._progress: Progress | None = None
        self.cookie = (secrets.randbelow(0xFFFFFFFF) + 1) << 32 | (secrets.randbelow(0xFFFFFFFF) + 1)
        """64 random bits, which let the listener's own transfer pass the filter."""
        seed = int.from_bytes(os.urandom(8), "little")
        try:
            self.fd = os.memfd_create("calls", os.MFD_CLOEXEC)
            os.ftruncate(self.fd, TABLE_SIZE)
            os.pwrite(self.fd, encode_table(arch=self._arch, seed=seed, combinations=combinations), 0)
        except OSError as error:
            raise KernelError(
                f"memfd_create of {TABLE_SIZE >> 20} MiB", error.errno or 0, hint="raise the limit on file sizes"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def begin(self) -> None:
        """The gate opens now: times are counted from here on. Without it they are not known.

        Raises KernelError where the table cannot be written.
        """
        try:
            os.pwrite(self.fd, encode_start(time.monotonic_ns()), START_AT)
        except OSError as error:
            raise KernelError("pwrite of the recorder's table", error.errno or 0, hint="run harden again") from None

    def begin_serving(self) -> None:
        """Nothing: it does not tell phases apart (Unseen.PHASES), everything is `init`."""

    def progress(self) -> Progress:
        """What was recorded so far, for whoever watches."""
        self._progress = read_progress(self.fd, arch=self._arch, before=self._progress)
        return self._progress

    def stop(self) -> Observations:
        """What was recorded, once the sandbox is over; the same value when called again."""
        if self._observations is None:
            self._observations = read_table(self.fd, arch=self._arch, combinations=self._combinations)
        return self._observations

    def close(self) -> None:
        """Give the table up; safe to call again."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
