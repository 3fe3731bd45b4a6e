"""The standard streams of a recorded program, where harden has to be in between."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from typing import BinaryIO

from harden.errors import KernelError

__all__ = ["OutputWatch"]


class OutputWatch:
    """Copies what the program writes through, and remembers whether a text has been in it.

    The program's side is one end of a pipe, or a terminal of its own. `stdin` is None where it shares harden's.
    """

    def __init__(self, text: str | None, target: BinaryIO, *, piped: bool = False, terminal: bool = False) -> None:
        self._wanted = text.encode() if text is not None else None
        self._target = target
        self._problem: OSError | None = None
        self.found = threading.Event()
        self.stdin: int | None = None
        if terminal:
            self._reader, self.writer = os.openpty()
            self.stdin = self.writer
        else:
            self._reader, self.writer = os.pipe2(os.O_CLOEXEC)
            if piped:
                self.stdin, unused = os.pipe2(os.O_CLOEXEC)
                os.close(unused)
        self._thread = threading.Thread(target=self._copy, name="output-watch")
        self._thread.start()

    def _copy(self) -> None:
        tail = b""
        while data := self._read():
            if not self._passed_on(data):
                break
            if self._wanted is not None:
                tail = (tail + data)[-(len(self._wanted) + len(data)) :]
                if self._wanted in tail:
                    self.found.set()
        os.close(self._reader)

    def _passed_on(self, data: bytes) -> bool:
        """False when nobody reads on: then the program has to notice as if it had written there itself (pipe(7)).

        On a full disk it is read on: it would wait for ever, and what it is waited for may still come.
        """
        if self._problem is None:
            try:
                self._target.write(data)
                self._target.flush()
            except BrokenPipeError:
                return False
            except OSError as error:
                self._problem = error
        return True

    def _read(self) -> bytes:
        try:
            return os.read(self._reader, 65536)
        except OSError as error:
            # A terminal whose last user is gone.
            if error.errno == errno.EIO:
                return b""
            raise

    def close_writer(self) -> None:
        """Close the program's ends, once it holds its own. Safe to call again."""
        for descriptor in {self.writer, -1 if self.stdin is None else self.stdin} - {-1}:
            os.close(descriptor)
        self.writer, self.stdin = -1, None

    def settle(self, tell: Callable[[str], None]) -> None:
        """Wait until every other writer is gone and everything is copied, and tell what could not be."""
        self._join()
        if self._problem:
            tell(f"what the program wrote could not be passed on: {self._problem.strerror}")

    def settle_whole(self) -> None:
        """The same, where it is compared: KernelError when some of it is missing."""
        self._join()
        if self._problem:
            raise KernelError("write of what the program wrote", self._problem.errno or 0, hint="make room in $TMPDIR")

    def _join(self) -> None:
        self.close_writer()
        self._thread.join()
