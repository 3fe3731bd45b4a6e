"""The standard streams of a recorded program, where harden has to be in between."""

from __future__ import annotations

import errno
import os
import threading
from typing import BinaryIO

__all__ = ["OutputWatch"]


class OutputWatch:
    """Copies what the program writes through, and remembers whether a text has been in it.

    The program's side is one end of a pipe, or a terminal of its own. `stdin` is None where it shares harden's.
    """

    def __init__(self, text: str | None, target: BinaryIO, *, piped: bool = False, terminal: bool = False) -> None:
        self._wanted = text.encode() if text is not None else None
        self._target = target
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
            self._target.write(data)
            self._target.flush()
            if self._wanted is not None:
                tail = (tail + data)[-(len(self._wanted) + len(data)) :]
                if self._wanted in tail:
                    self.found.set()
        os.close(self._reader)

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

    def join(self) -> None:
        """Wait until every other writer is gone and everything is copied."""
        self.close_writer()
        self._thread.join()
