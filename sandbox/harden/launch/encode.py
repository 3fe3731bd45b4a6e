"""A plan as the bytes that harden-exec reads: struct plan_header and struct op of `_native/exec/plan.h`."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

import msgspec

from harden.errors import UsageError
from harden.launch.ops import FIRST_ID, Code, Op

__all__ = ["Header", "encode", "number_offset"]

_MAGIC: Final = 0x314E4C504E445248
_VERSION: Final = 1
_HEADER: Final = struct.Struct("=Q6I7i3IQiIiIII")
_OP: Final = struct.Struct("=HHI4I2I3QII")
_NUMBERS_AT: Final = 32
"""Offset of n[0] in struct op."""
_MAX_BYTES: Final = 16 << 20


def number_offset(index: int, number: int) -> int:
    """Where n[`number`] of the `index`-th operation is in an encoded plan."""
    return _HEADER.size + index * _OP.size + _NUMBERS_AT + 8 * number


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What belongs to one start of a plan: descriptors of harden-exec (-1: none), mode and time limit."""

    enter: bool = False
    status_fd: int = -1
    gate_fd: int = -1
    lifeline_fd: int = -1
    enforced_fd: int = -1
    cgroup_fd: int = -1
    cgroup_base_fd: int = -1
    target_fd: int = -1
    quiet: bool = False
    die_with_parent: bool = False
    cgroup_leaf: bytes = b""
    cgroup_top: bytes = b""
    timeout_s: float | None = None
    notify_fd: int = -1
    one_cpu: bool = False
    report_fd: int = -1
    report_name: bytes = b""
    report_unknown: bytes = b""


class _Pool:
    """NUL-terminated strings, each distinct one stored once; offset 0 is the empty string."""

    def __init__(self) -> None:
        self.bytes = bytearray(b"\0")
        self.offsets: dict[bytes, int] = {b"": 0}

    def add(self, text: bytes) -> int:
        if b"\0" in text:
            raise UsageError(f"a string holds a NUL byte: {text!r}", hint="no path, argument or variable can hold one")
        offset = self.offsets.get(text)
        if offset is None:
            offset = self.offsets[text] = len(self.bytes)
            self.bytes += text + b"\0"
        return offset

    def add_list(self, items: Iterable[bytes]) -> int:
        offset = len(self.bytes)
        for item in items:
            if b"\0" in item:
                raise UsageError(f"a string holds a NUL byte: {item!r}", hint="no argument or variable can hold one")
            self.bytes += item + b"\0"
        return offset if len(self.bytes) > offset else 0


def _encode_op(step: Op, pool: _Pool, blobs: bytearray, first_id: int) -> bytes:
    base = b"%d" % first_id
    maps = step.code in (Code.MAP_IDS, Code.CHECK)
    strings = [pool.add(text.replace(FIRST_ID, base) if maps else text) for text in step.strings]
    strings += [pool.add_list(items) for items in step.lists]
    numbers = list(step.numbers)
    if step.code is Code.DEVICE_NODE:
        numbers = [numbers[0], numbers[1] + first_id, numbers[2] + first_id]
    if step.code in (Code.LOCK_DOWN, Code.SECCOMP, Code.DEVICES, Code.NOTIFY):
        numbers = [len(blobs), len(step.blob), *numbers]
        blobs += step.blob
    return _OP.pack(
        step.code,
        step.stage,
        step.flags,
        *strings,
        *[0] * (4 - len(strings)),
        *step.slots,
        *[0] * (2 - len(step.slots)),
        *numbers,
        *[0] * (3 - len(numbers)),
        pool.add(step.sentence.encode(errors="surrogateescape")),
        pool.add(step.hint.encode(errors="surrogateescape")),
    )


def encode(ops: tuple[Op, ...], header: Header, *, first_id: int = 0) -> bytes:
    """The plan's bytes. Raises UsageError for what no system call could take (NUL bytes, too much of it)."""
    pool = _Pool()
    blobs = bytearray()
    leaf, top = pool.add(header.cgroup_leaf), pool.add(header.cgroup_top)
    report_name, report_unknown = pool.add(header.report_name), pool.add(header.report_unknown)
    records = b"".join(_encode_op(step, pool, blobs, first_id) for step in ops)
    padding = b"\0" * (-(_HEADER.size + len(records) + len(pool.bytes)) % 8)
    total = _HEADER.size + len(records) + len(pool.bytes) + len(padding) + len(blobs)
    if total > _MAX_BYTES:
        raise UsageError(f"the plan takes {total} bytes", hint="shorten the arguments, environment or path rules")
    packed = _HEADER.pack(
        _MAGIC,
        _VERSION,
        total,
        2 if header.enter else 1,
        len(ops),
        len(pool.bytes),
        len(blobs),
        header.status_fd,
        header.gate_fd,
        header.lifeline_fd,
        header.enforced_fd,
        header.cgroup_fd,
        header.cgroup_base_fd,
        header.target_fd,
        (1 if header.quiet else 0) | (2 if header.die_with_parent else 0),
        leaf,
        top,
        0 if header.timeout_s is None else max(1, int(header.timeout_s * 1000)),
        header.notify_fd,
        int(header.one_cpu),
        header.report_fd,
        report_name,
        report_unknown,
        0,
    )
    return b"".join((packed, records, bytes(pool.bytes), padding, bytes(blobs)))
