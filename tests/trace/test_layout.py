"""The structures of layout.py are those of layout.h: the C compiler says what they look like."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import harden
from harden.model.arch import Arch
from harden.model.seen import First
from harden.trace import layout, stack_records
from harden.trace.config import encode_config
from harden.trace.layout import CountKey, SeenKey, parse_event, parse_records, unpack_entries, unpack_tallies

BPF = Path(harden.__file__).parent / "_native/bpf"
SIZES = """
#include "layout.h"
#include <stdio.h>
int main(void)
{
    printf("recorder_config %zu\\ncount_key %zu\\nargument_key %zu\\ncombination_key %zu\\nseen_key %zu\\n"
           "capability_key %zu\\nevent %zu\\nlosses %zu\\nSYSCALLS %d\\nEXEC_NR %d\\n",
           sizeof(struct recorder_config), sizeof(struct count_key), sizeof(struct argument_key),
           sizeof(struct combination_key), sizeof(struct seen_key), sizeof(struct capability_key),
           sizeof(struct event), sizeof(struct losses), SYSCALLS, EXEC_NR);
    printf("user_registers %zu\\nmapping_text %zu\\nstack_losses %zu\\n",
           sizeof(struct user_registers), sizeof(struct mapping_text), sizeof(struct stack_losses));
    printf("tally %zu\\nfirst %zu\\n", sizeof(struct tally), sizeof(struct first));
    printf("signal_key %zu\\nring_key %zu\\nrecorder_state %zu\\n",
           sizeof(struct signal_key), sizeof(struct ring_key), sizeof(struct recorder_state));
}
"""


@pytest.mark.requires("gcc")
def test_sizes_agree_with_the_c_header(tmp_path):
    program = tmp_path / "sizes"
    subprocess.run(["gcc", f"-I{BPF}", "-x", "c", "-", "-o", program], input=SIZES, text=True, check=True)
    lines = subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
    sizes = {name: int(size) for name, size in (line.split() for line in lines)}
    keys = {
        "count_key": layout.CountKey,
        "argument_key": layout.ArgumentKey,
        "combination_key": layout.CombinationKey,
        "seen_key": layout.SeenKey,
        "capability_key": layout.CapabilityKey,
        "signal_key": layout.SignalKey,
        "ring_key": layout.RingKey,
    }
    assert {name: layout._KEYS[type_].size for name, type_ in keys.items()} == {name: sizes[name] for name in keys}
    assert layout._EVENT.size == sizes["event"]
    assert struct.calcsize("=" + layout._TALLY) == sizes["tally"] == 8 + sizes["first"]
    assert len(layout.LOSSES) * 8 == sizes["losses"]
    assert stack_records._REGISTERS.size == sizes["user_registers"]
    assert stack_records._MAPPING.size == sizes["mapping_text"]
    assert len(layout.STACK_LOSSES) * 8 == sizes["stack_losses"]
    assert layout.STATE.size == sizes["recorder_state"]
    assert (sizes["SYSCALLS"], sizes["EXEC_NR"]) == (layout.SYSCALLS, layout.EXEC_NR)
    assert len(encode_config(arch=Arch.X86_64, cgroup_id=1, seed=2)) == sizes["recorder_config"]


def test_entries_are_keys_to_counts():
    data = struct.pack("=IIIiQ", 1, 0, 39, 0, 5) + struct.pack("=IIIiQ", 1, 0, 2, 13, 2)
    assert unpack_entries(CountKey, data) == {CountKey(1, 0, 39, 0): 5, CountKey(1, 0, 2, 13): 2}


def test_an_entry_that_counts_nothing_tells_when_all_the_same():
    entries = [((1, 0, 39, 0), 5, 4_000, 0), ((1, 0, 2, 0), 0, 9_999, 8), ((2, 0, 2, 0), 3, 999, 8)]
    data = b"".join(struct.pack("=IIIiQQI4x", *key, *tally) for key, *tally in entries)
    counts, firsts = unpack_tallies(CountKey, data, 1_000)
    assert counts == {CountKey(1, 0, 39, 0): 5, CountKey(2, 0, 2, 0): 3}
    assert firsts == {CountKey(1, 0, 39, 0): First(3, None), CountKey(1, 0, 2, 0): First(8, 8)}


@given(st.lists(st.binary(max_size=50), max_size=6))
def test_records_come_back_as_they_were(records):
    data = b"".join(struct.pack("=I", len(record)) + record for record in records)
    assert list(parse_records(data)) == records


@given(st.lists(st.binary(max_size=300), min_size=6, max_size=6))
def test_an_events_segments_come_back_as_they_were(segments):
    lengths = [*map(len, segments), 0, 0]
    record = struct.pack("=QQIHhIIIHH8H", 1, 2, 3, 4, -5, 6, 7, 8, 1, 0, *lengths) + b"".join(segments)
    event = parse_event(record)
    assert event.key == SeenKey(1, 2, 3, 4, -5, 6, 7)
    assert list(event[4:]) == segments


def test_an_event_that_is_cut_off_is_refused():
    record = struct.pack("=QQIHhIIIHH8H", 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 9, *[0] * 7) + b"short"
    with pytest.raises(ValueError, match="segments"):
        parse_event(record)
