"""The list of devices that a sandbox may use as a BPF program: linux/bpf.h, BPF_PROG_TYPE_CGROUP_DEVICE."""

from __future__ import annotations

import struct
from typing import Final

from harden.model.limit import DeviceRule

__all__ = ["ALWAYS", "device_program"]

_INSTRUCTION: Final = struct.Struct("=BBhi")
_LOAD_WORD: Final = 0x61
_AND: Final = 0x57
_SHIFT_RIGHT: Final = 0x77
_MOVE: Final = 0xB7
_MOVE_REGISTER: Final = 0xBF
_UNLESS_EQUAL: Final = 0x55
_EXIT: Final = 0x95
_RESULT, _CONTEXT, _ACCESS, _KIND, _MAJOR, _MINOR = range(6)
_BLOCK: Final = 1
_CHARACTER: Final = 2
_ANY_MINOR: Final = -1
_UNIX98_FIRST, _UNIX98_LAST = 136, 143


def _device(name: bytes, major: int, minor: int) -> DeviceRule:
    return DeviceRule(path=b"/dev/" + name, character=True, major=major, minor=minor)


ALWAYS: Final = (
    _device(b"null", 1, 3),
    _device(b"zero", 1, 5),
    _device(b"full", 1, 7),
    _device(b"random", 1, 8),
    _device(b"urandom", 1, 9),
    _device(b"tty", 5, 0),
    _device(b"ptmx", 5, 2),
    *(_device(b"pts", major, _ANY_MINOR) for major in range(_UNIX98_FIRST, _UNIX98_LAST + 1)),
)
"""What every sandbox may read and write: the harmless devices and terminals, as in OCI runtimes."""


def _step(code: int, to: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, source << 4 | to, offset, value)


def _rule(rule: DeviceRule) -> list[bytes]:
    """Ends with "allowed" if everything about the access fits `rule`, else goes on behind it."""
    tests = [(_KIND, _CHARACTER if rule.character else _BLOCK), (_MAJOR, rule.major)]
    tests += [] if rule.minor == _ANY_MINOR else [(_MINOR, rule.minor)]
    length = len(tests) + 5
    steps = [
        _step(_UNLESS_EQUAL, register, offset=length - 1 - position, value=value)
        for position, (register, value) in enumerate(tests)
    ]
    return [
        *steps,
        _step(_MOVE_REGISTER, _RESULT, _ACCESS),
        _step(_AND, _RESULT, value=7 & ~rule.access),
        _step(_UNLESS_EQUAL, _RESULT, offset=2, value=0),
        _step(_MOVE, _RESULT, value=1),
        _step(_EXIT),
    ]


def device_program(rules: tuple[DeviceRule, ...]) -> bytes:
    """A program that allows what one of `rules` allows and refuses everything else."""
    steps = [
        _step(_LOAD_WORD, _ACCESS, _CONTEXT, offset=0),
        _step(_MOVE_REGISTER, _KIND, _ACCESS),
        _step(_AND, _KIND, value=0xFFFF),
        _step(_SHIFT_RIGHT, _ACCESS, value=16),
        _step(_LOAD_WORD, _MAJOR, _CONTEXT, offset=4),
        _step(_LOAD_WORD, _MINOR, _CONTEXT, offset=8),
    ]
    for rule in rules:
        steps += _rule(rule)
    return b"".join((*steps, _step(_MOVE, _RESULT, value=0), _step(_EXIT)))
