"""Stacks of capability checks that only look."""

from __future__ import annotations

from harden.trace.kernel_stack import symbol_ranges

SYMBOLS = b"""ffffffff81000000 T _stext
ffffffff81368280 T ns_capable_noaudit
ffffffff813682e0 T __pfx___x64_sys_capget
ffffffff81a82c90 t cap_vm_enough_memory
ffffffff81a82cc0 T other_ns_capable_noaudit
ffffffff81a82cd0 T last
"""


def test_a_function_ends_where_the_next_begins():
    assert symbol_ranges(SYMBOLS, ("ns_capable_noaudit", "cap_vm_enough_memory")) == (
        (0xFFFFFFFF81368280, 0xFFFFFFFF813682E0),
        (0xFFFFFFFF81A82C90, 0xFFFFFFFF81A82CC0),
    )


def test_hidden_addresses_give_nothing():
    hidden = b"0000000000000000 T ns_capable_noaudit\n0000000000000000 T next\n"
    assert symbol_ranges(hidden, ("ns_capable_noaudit",)) == ()
