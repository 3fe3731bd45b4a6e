"""The kernel's audit records come back from either source, all of those before a mark, and losses are counted."""

from __future__ import annotations

import secrets
import socket

import pytest

from harden.kernel import audit_log
from harden.kernel.audit_log import AuditLog, open_audit_log, write_record

pytestmark = pytest.mark.requires("root", "audit")
USER_AVC = 1107


def test_everything_before_the_end_is_there_and_only_what_is_wanted():
    word = secrets.token_hex(8).encode()
    with AuditLog(audit_log._Multicast(), USER_AVC, lambda text: word in text) as log:
        assert log.works()
        for number in range(40):
            assert write_record(b"%s %d" % (word, number))
        assert write_record(b"another")
        records, lost = log.stop()
    assert [b"%s %d" % (word, number) in text for number, text in enumerate(records)] == [True] * 40
    assert lost == 0


def test_the_kernels_log_has_them_too_or_says_that_it_has_not():
    """printk lets ten a few seconds through, from the whole host."""
    word = secrets.token_hex(8).encode()
    with AuditLog(audit_log._KernelLog(), USER_AVC, lambda text: word in text) as log:
        assert any(log.works(1) for _ in range(30))
        for _ in range(2):
            assert write_record(word)
        records, lost = log.stop()
    assert len(records) == 2 or lost
    with AuditLog(audit_log._KernelLog(), USER_AVC, lambda text: word in text) as log:
        for _ in range(40):
            assert write_record(word)
        records, lost = log.stop()
    assert len(records) < 40
    assert lost


def test_the_records_are_taken_from_the_first_source_that_works():
    log = open_audit_log(USER_AVC, lambda text: False)
    assert log is not None
    assert log.name == "audit"
    assert log.stop() == ((), 0)


def test_records_that_did_not_fit_are_counted():
    """Nobody reads while they are made: the socket's buffer is too small for them."""
    source = audit_log._Multicast()
    source._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _ in range(200):
        assert write_record(b"x" * 200)
    with AuditLog(source, USER_AVC, lambda text: True) as log:
        records, lost = log.stop()
    assert len(records) < 200
    assert lost >= 1


def test_more_than_can_be_kept_is_counted(monkeypatch):
    monkeypatch.setattr(audit_log, "_KEPT", 3)
    word = secrets.token_hex(8).encode()
    with AuditLog(audit_log._Multicast(), USER_AVC, lambda text: word in text) as log:
        for _ in range(5):
            assert write_record(word)
        records, lost = log.stop()
    assert (len(records), lost) == (3, 2)


def test_a_mark_that_never_comes_is_a_loss(monkeypatch):
    """The log is read, but of another kernel: nothing that is written here comes back there."""
    monkeypatch.setattr(audit_log, "_AT_THE_END_S", 0.05)
    with AuditLog(_Elsewhere(), USER_AVC, lambda text: True) as log:
        assert not log.works(0.05)
        assert log.stop() == ((), 1)


class _Elsewhere:
    """A pipe that nobody writes to."""

    name = "elsewhere"
    lost = 0

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()

    def fileno(self) -> int:
        return self._ours.fileno()

    def read(self):
        yield from ()

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()
