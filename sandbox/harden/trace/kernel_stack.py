"""Capability checks that only look, told by the kernel functions they come from.

The tracepoint does not say whether a check is audited (CAP_OPT_NOAUDIT); its stack does: these checks come through a
few functions of their own.
"""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["hides_symbols", "probing_stacks", "symbol_ranges"]

_FRAMES: Final = 24
_ADDRESS: Final = 16
"""Hexadecimal digits of an address."""
_ENTRY: Final = struct.Struct(f"=I{_FRAMES}Q")
_PROBING_FUNCTIONS: Final = (
    "cap_vm_enough_memory",
    "security_vm_enough_memory_mm",
    "has_capability_noaudit",
    "has_ns_capability_noaudit",
    "ns_capable_noaudit",
)


def probing_stacks(stacks: bytes) -> frozenset[int]:
    """Ids of the stacks with a probing function in them; `stacks` is the stack map's ids and frames.

    Empty where the kernel hides its symbols (kptr_restrict): every check then counts as a real one.
    """
    if not stacks:
        return frozenset()
    ranges = _probing_ranges()
    return frozenset(
        entry[0]
        for entry in _ENTRY.iter_unpack(stacks)
        if any(start < address <= end for address in entry[1:] if address for start, end in ranges)
    )


def hides_symbols() -> bool:
    """Whether checks that only look cannot be told apart here (kptr_restrict in proc_sys_kernel(5))."""
    return not _probing_ranges()


@cache
def _probing_ranges() -> tuple[tuple[int, int], ...]:
    return symbol_ranges(Path("/proc/kallsyms").read_bytes(), _PROBING_FUNCTIONS)


def symbol_ranges(symbols: bytes, names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Start and end address of each function of `names` in the text of /proc/kallsyms; none whose address is hidden.

    The text has millions of bytes, so each name is searched for as it is and not by a pattern that looks at each line.
    """
    found = []
    for name in names:
        for kind in (b"T", b"t"):
            line = b" %b %b\n" % (kind, name.encode())
            at = symbols.find(line)
            while at >= 0:
                # The table is sorted by address, so a function ends where the next line starts.
                start = symbols[symbols.rfind(b"\n", 0, at) + 1 : at]
                end = symbols[at + len(line) : at + len(line) + _ADDRESS]
                found.append((int(start, 16), int(end or b"0", 16)))
                at = symbols.find(line, at + 1)
    return tuple(sorted((start, end) for start, end in found if 0 < start < end))
