"""AppArmor's records, as kernels write them, and what a hostile name can do to them: nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.model.apparmor_record import AppArmorRecord, parse_apparmor_record

OPEN = (
    b'audit(1795641087.864:31): apparmor="DENIED" operation="open" class="file" profile="harden.app.0123" '
    b'name="/usr/lib/os-release" pid=542 comm="sqlite3" requested_mask="r" denied_mask="r" fsuid=65536 ouid=0'
)


def untrusted(text: bytes) -> bytes:
    """As audit_log_untrustedstring() writes it."""
    plain = all(0x21 <= byte <= 0x7E and byte != 0x22 for byte in text)
    return b'"' + text + b'"' if plain else text.hex().upper().encode()


def test_a_file():
    assert parse_apparmor_record(OPEN) == AppArmorRecord(
        profile="harden.app.0123",
        operation="open",
        comm=b"sqlite3",
        pid=542,
        name=b"/usr/lib/os-release",
        requested="r",
        denied="r",
        details=("class=file",),
    )


def test_a_kernel_without_classes_says_the_same():
    old = parse_apparmor_record(OPEN.replace(b' class="file"', b""))
    assert old is not None
    assert (old.name, old.denied, old.details) == (b"/usr/lib/os-release", "r", ())


def test_a_folder_loses_its_slash_and_the_root_does_not():
    for name, expected in ((b"/srv/app/", b"/srv/app"), (b"/", b"/")):
        found = parse_apparmor_record(OPEN.replace(b"/usr/lib/os-release", name))
        assert found is not None
        assert found.name == expected


def test_a_capability():
    text = (
        b'audit(1.2:3): apparmor="DENIED" operation="capable" class="cap" profile="harden.app.0123" pid=7 '
        b'comm="nginx" capability=12  capname="net_admin"'
    )
    found = parse_apparmor_record(text)
    assert found is not None
    assert (found.capability, found.name, found.pid) == ("CAP_NET_ADMIN", b"", 7)


def test_a_socket_and_a_signal_say_what_they_are_about():
    text = (
        b'audit(1.2:3): apparmor="DENIED" operation="create" class="net" profile="p" pid=7 comm="x" family="inet" '
        b'sock_type="raw" protocol=1 requested_mask="create" denied_mask="create"'
    )
    found = parse_apparmor_record(text)
    assert found is not None
    assert found.details == ("class=net", "family=inet", "sock_type=raw", "protocol=1")
    text = (
        b'audit(1.2:3): apparmor="DENIED" operation="signal" class="signal" profile="p" pid=7 comm="x" '
        b'requested_mask="send" denied_mask="send" signal=term peer="unconfined"'
    )
    found = parse_apparmor_record(text)
    assert found is not None
    assert (found.details, found.denied) == (("class=signal", "signal=term", "peer=unconfined"), "send")


@pytest.mark.parametrize(
    "text",
    [
        OPEN.replace(b"DENIED", b"ALLOWED"),
        OPEN.replace(b"DENIED", b"STATUS"),
        b'audit(1.2:3): avc:  denied  { read } for  pid=1 comm="x" name="y" dev="vda" ino=3',
        b"audit(1.2:3): pid=1 uid=0 msg='apparmor=\"DENIED\"'",
        b"",
    ],
)
def test_what_is_no_refusal_of_apparmor(text):
    assert parse_apparmor_record(text) is None


@given(st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name), st.binary(min_size=1, max_size=15))
def test_no_name_can_look_like_another_field(name, comm):
    comm = comm.replace(b"\0", b"?")
    path = b"/srv/" + name.strip(b"/") + b"x"
    text = OPEN.replace(b'"/usr/lib/os-release"', untrusted(path)).replace(b'"sqlite3"', untrusted(comm))
    found = parse_apparmor_record(text)
    assert found is not None
    assert (found.name, found.comm) == (path, comm)
    assert (found.profile, found.operation, found.pid, found.denied) == ("harden.app.0123", "open", 542, "r")
