"""AppArmor's words in the kernel's log about one thing that it refused.

Source: security/apparmor/audit.c and audit_log_untrustedstring() in kernel/audit.c: a text that holds a blank, a quote
or a byte that is not printable ASCII is written in hexadecimal without quotes, so no name can look like another field.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

__all__ = ["AppArmorRecord", "parse_apparmor_record"]

_FIELD: Final = re.compile(rb'(?:^| )([a-z_]+)=(?:"([^"]*)"|([^ "]*))')
_UNTRUSTED: Final = frozenset({b"name", b"comm", b"profile", b"target", b"peer", b"namespace", b"addr", b"peer_addr"})
_HEX: Final = re.compile(rb"(?:[0-9A-F]{2})+")
_DETAILS: Final = (b"class", b"family", b"sock_type", b"protocol", b"signal", b"peer", b"target", b"info")


class AppArmorRecord(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One refusal."""

    profile: str
    """The label that refused; bytes that are not UTF-8 are replaced, as no label of harden's has any."""
    operation: str
    """What was done, in AppArmor's words: open, mknod, exec, capable, create, signal, …"""
    comm: bytes
    """The name that the task had, which it may have chosen itself."""
    pid: int
    name: bytes = b""
    """The path as AppArmor resolved it, without a folder's final slash; empty where it is not about a file."""
    requested: str = ""
    """Letters of what was asked for: r, w, a, c (create), d (delete), k, l, x, m; words outside files."""
    denied: str = ""
    """Those of them that no rule allows."""
    capability: str = ""
    """As in capabilities(7), with CAP_."""
    details: tuple[str, ...] = ()
    """What else says what it is about, as `key=value`."""


def parse_apparmor_record(text: bytes) -> AppArmorRecord | None:
    """The refusal that a record of type AUDIT_AVC tells of; None for one of another kind or module."""
    fields: dict[bytes, bytes] = {}
    for match in _FIELD.finditer(text):
        quoted, bare = match[2], match[3]
        value = quoted if quoted is not None else _plain(match[1], bare)
        fields.setdefault(match[1], value)
    if fields.get(b"apparmor") != b"DENIED" or b"profile" not in fields:
        return None
    pid = fields.get(b"pid", b"")
    return AppArmorRecord(
        profile=fields[b"profile"].decode(errors="replace"),
        operation=_word(fields, b"operation"),
        comm=fields.get(b"comm", b""),
        pid=int(pid) if pid.isdigit() else 0,
        name=_without_slash(fields.get(b"name", b"")),
        requested=_word(fields, b"requested_mask") or _word(fields, b"requested"),
        denied=_word(fields, b"denied_mask") or _word(fields, b"denied"),
        capability=f"CAP_{_word(fields, b'capname').upper()}" if b"capname" in fields else "",
        details=tuple(f"{key.decode()}={_word(fields, key)}" for key in _DETAILS if key in fields),
    )


def _plain(key: bytes, value: bytes) -> bytes:
    """What a value without quotes stands for: hexadecimal where the kernel does not trust the text."""
    if key in _UNTRUSTED and _HEX.fullmatch(value):
        return bytes.fromhex(value.decode("ascii"))
    return b"" if value == b"(null)" else value


def _word(fields: dict[bytes, bytes], key: bytes) -> str:
    return fields.get(key, b"").decode(errors="backslashreplace")


def _without_slash(name: bytes) -> bytes:
    return name.rstrip(b"/") or name[:1]
