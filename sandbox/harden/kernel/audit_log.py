"""The kernel's audit records while something runs: over netlink's multicast group, else from the kernel's log.

Both are tried with a record of our own, an AUDIT_USER_AVC that holds a random word: the kernel keeps records in one
queue, so when ours comes back, everything that was logged before it has come. It stays in the host's log, beside the
records that it follows. Sources: audit(8), linux/audit.h, Documentation/ABI/testing/dev-kmsg.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Protocol, Self

__all__ = ["AUDIT_AVC", "AuditLog", "open_audit_log"]

AUDIT_AVC: Final = 1400
"""What security modules refused."""
_AUDIT_GET: Final = 1000
_AUDIT_USER_AVC: Final = 1107
_NETLINK_AUDIT: Final = 9
_READLOG: Final = 1
_REQUEST: Final = 1
_ACK: Final = 4
_NLMSG_ERROR: Final = 2
_HEADER: Final = struct.Struct("=IHHII")
_STATUS: Final = struct.Struct("=8I")
_LOST_FIELD: Final = 6
_RECORD_BYTES: Final = 9216
"""MAX_AUDIT_MESSAGE_LENGTH is 8970."""
_BUFFER_BYTES: Final = 8 << 20
_KEPT: Final = 10_000
_SOON_S: Final = 2.0
_AT_THE_END_S: Final = 10.0
_SO_RCVBUFFORCE: Final = 33
_KMSG: Final = re.compile(rb"(\d+),(\d+),\d+,[^;]*;audit: type=(\d+) (.*)", re.DOTALL)
_SUPPRESSED: Final = re.compile(rb"\d+,\d+,\d+,[^;]*;kauditd_printk_skb: (\d+) callbacks suppressed")


class _Source(Protocol):
    """Where records can be read."""

    name: str
    lost: int
    """Records that were lost on the way here, as far as the source tells."""

    def fileno(self) -> int: ...
    def read(self) -> Iterator[tuple[int, bytes]]: ...
    def close(self) -> None: ...


class _Multicast:
    """AUDIT_NLGRP_READLOG, which needs CAP_AUDIT_READ and the first network namespace."""

    name = "audit"

    def __init__(self) -> None:
        self.lost = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_AUDIT)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
            self._socket.bind((0, _READLOG))
        except BaseException:
            self._socket.close()
            raise
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> Iterator[tuple[int, bytes]]:
        try:
            message = self._socket.recv(_RECORD_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self.lost += 1  # at least one: the kernel does not say how many did not fit
            return
        if len(message) >= _HEADER.size:
            yield _HEADER.unpack_from(message)[1], message[_HEADER.size :].rstrip(b"\0")

    def close(self) -> None:
        self._socket.close()


class _KernelLog:
    """/dev/kmsg, where the records are as long as no audit daemon takes them; printk may limit their rate."""

    name = "kmsg"

    def __init__(self) -> None:
        self.lost = 0
        self._next = -1
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self._fd, 0, os.SEEK_END)

    def fileno(self) -> int:
        return self._fd

    def read(self) -> Iterator[tuple[int, bytes]]:
        try:
            line = os.read(self._fd, _RECORD_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EPIPE:
                raise
            self.lost += 1  # overwritten before it was read
            return
        suppressed = _SUPPRESSED.match(line)
        self.lost += int(suppressed[1]) if suppressed else 0
        found = _KMSG.match(line.split(b"\n")[0])
        # The priority's higher bits are the facility: 0 is the kernel's own, which no process can write.
        if found and int(found[1]) < 8:
            yield int(found[3]), found[4]

    def close(self) -> None:
        os.close(self._fd)


class AuditLog:
    """Records of one type that a predicate wants, from when it was opened until `stop()`."""

    def __init__(self, source: _Source, kind: int, wanted: Callable[[bytes], bool]) -> None:
        self.name = source.name
        self._source = source
        self._kind = kind
        self._wanted = wanted
        self._records: list[bytes] = []
        self._dropped = 0
        self._lost_before = kernel_lost()
        self._awaited = b""
        self._seen = threading.Event()
        self._stopping = threading.Event()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._read_until_stopped, name="harden-audit", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def works(self, within_s: float = _SOON_S) -> bool:
        """Whether a record that is made now comes back here: then all before it have come too."""
        self._seen.clear()
        self._awaited = secrets.token_hex(16).encode()
        return write_record(b"harden: " + self._awaited) and self._seen.wait(within_s) and self._error is None

    def stop(self) -> tuple[tuple[bytes, ...], int]:
        """The records, and how many are known to be lost; the log is closed."""
        complete = self.works(_AT_THE_END_S)
        self.close()
        lost = self._source.lost + self._dropped + kernel_lost() - self._lost_before + (not complete)
        return tuple(self._records), lost

    def close(self) -> None:
        """Read no further; does nothing after the first time."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._thread.join()
            self._source.close()

    def _read_until_stopped(self) -> None:
        try:
            while not self._stopping.is_set():
                if select.select([self._source], [], [], 0.1)[0]:
                    for kind, text in self._source.read():
                        self._take(kind, text)
        except OSError as error:
            self._error = error
            self._seen.set()

    def _take(self, kind: int, text: bytes) -> None:
        if kind == _AUDIT_USER_AVC and self._awaited and self._awaited in text:
            self._seen.set()
        elif kind == self._kind and self._wanted(text):
            if len(self._records) < _KEPT:
                self._records.append(text)
            else:
                self._dropped += 1


def open_audit_log(kind: int, wanted: Callable[[bytes], bool]) -> AuditLog | None:
    """The first source that gives back a record of ours; None where none does."""
    for source in (_Multicast, _KernelLog):
        try:
            log = AuditLog(source(), kind, wanted)
        except OSError:
            continue
        if log.works():
            return log
        log.close()
    return None


def write_record(text: bytes) -> bool:
    """Add an AUDIT_USER_AVC to the log, which needs CAP_AUDIT_WRITE; whether the kernel took it."""
    answer = _ask(_AUDIT_USER_AVC, text + b"\0", _REQUEST | _ACK)
    return answer is not None and answer[0] == _NLMSG_ERROR and struct.unpack_from("=i", answer[1])[0] == 0


def kernel_lost() -> int:
    """How many records the kernel has lost since it booted, to its backlog or rate limit; 0 where it may not say."""
    answer = _ask(_AUDIT_GET, b"", _REQUEST)
    if answer is None or answer[0] != _AUDIT_GET:
        return 0
    return int(_STATUS.unpack_from(answer[1])[_LOST_FIELD])


def _ask(kind: int, payload: bytes, flags: int) -> tuple[int, bytes] | None:
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_AUDIT) as channel:
            channel.settimeout(_SOON_S)
            channel.send(_HEADER.pack(_HEADER.size + len(payload), kind, flags, 1, 0) + payload)
            message = channel.recv(_RECORD_BYTES)
    except OSError:
        return None
    return _HEADER.unpack_from(message)[1], message[_HEADER.size :]
