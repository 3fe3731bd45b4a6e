"""User stacks of what is new: the functions that a victim calls one from the other, whatever it is built like."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from harden.model.document import encode_json
from harden.model.recording import Recording, Run, Unseen
from harden.model.stack import NO_STACK, Stack, StackEnd, Stacks
from harden.profile_source import generate_from
from harden.trace import Recorder
from harden.trace.recorder import CAPABILITY_HOOKS
from tests.feature_probes import is_available
from tests.kernel.recorded import BACKENDS, record, record_by_notify

pytestmark = [pytest.mark.requires("root", "bpf", "cgroup2", "gcc", "x86_64"), pytest.mark.every_kernel]
takes_stacks = pytest.mark.requires("bpf-stacks")

PLAIN = ("-O2", "-fomit-frame-pointer")
OF_C_LIBRARY = ["__libc_start_main", "_start"]
CHAIN = ["inner", "outer", "main"]
BUILDS = {
    "PIE": PLAIN,
    "fixed address": (*PLAIN, "-no-pie", "-fno-pie"),
    "static": (*PLAIN, "-static"),
    "static PIE": (*PLAIN, "-static-pie"),
    "frame pointers": ("-O0", "-fno-omit-frame-pointer"),
    "realigned stack": (*PLAIN, "-mstackrealign"),
    "large frames": (*PLAIN, "-fstack-protector-all", "-fcf-protection=none"),
}


def table(run: Run) -> Stacks:
    assert isinstance(run.stacks, Stacks)
    return run.stacks


def stack_of(run: Run, call: str) -> Stack:
    """The stack of the first time that the victim made a call."""
    (seen,) = [seen for seen in run.syscalls if seen.name == call]
    assert seen.stack != NO_STACK
    return table(run).stacks[seen.stack]


def functions(run: Run, stack: Stack) -> list[str]:
    """Innermost first; functions that no symbol names are left out."""
    return [name for number in stack.frames if (name := table(run).frames[number].symbol)]


def started(names: list[str]) -> list[str]:
    """Without what starts main: a static C library names more of it."""
    return names[: names.index("main") + 1]


def test_with_or_without_stacks_all_else_is_recorded(victim):
    run = record(victim("call_chain", flags=PLAIN), "write", "text", stacks=True)
    assert (run.stacks is not msgspec.UNSET) == is_available("bpf-stacks")
    assert (Unseen.STACKS in run.host.unseen) != is_available("bpf-stacks")
    assert {"write", "exit_group"} <= {seen.name for seen in run.syscalls}
    assert run.gaps == ()


@takes_stacks
@pytest.mark.parametrize("first", CAPABILITY_HOOKS)
def test_a_hook_that_the_kernel_lacks_does_not_cost_the_stacks(first):
    with Recorder.attach(1, stacks=True, capability_hooks=(first, *CAPABILITY_HOOKS)) as recorder:
        assert recorder.takes_stacks


@takes_stacks
@pytest.mark.parametrize("build", BUILDS)
def test_the_functions_of_a_chain_are_these_and_no_others(victim, build):
    run = record(victim("call_chain", flags=BUILDS[build]), "write", "text", stacks=True)
    stack = stack_of(run, "write")
    names = functions(run, stack)
    assert started(names) == ["write", "by_write", *CHAIN]
    assert names[-2:] == OF_C_LIBRARY
    assert (stack.end, stack.guessed_from) == (StackEnd.WHOLE, None)
    assert table(run).missing == {}


@takes_stacks
def test_a_stripped_program_has_offsets_where_it_has_no_symbols(victim):
    program = victim("call_chain", flags=PLAIN)
    stripped = victim("call_chain", flags=(*PLAIN, "-s"))
    named, nameless = (record(path, "write", "text", stacks=True) for path in (program, stripped))
    start = {
        name: int(address, 16)
        for address, _, name in (
            line.split() for line in subprocess.check_output(["nm", program], text=True).splitlines() if line[0] != " "
        )
    }
    expected = [
        start[frame.symbol] + frame.offset if table(named).objects[frame.object].path == str(program) else frame
        for frame in frames(named, "write")
    ]
    found = frames(nameless, "write")
    ours = [frame for frame in found if table(nameless).objects[frame.object].path == str(stripped)]
    assert [frame.offset for frame in ours] == [each for each in expected if isinstance(each, int)]
    assert [frame.symbol for frame in ours] == [""] * 5


def frames(run: Run, call: str):
    return [table(run).frames[number] for number in stack_of(run, call).frames]


@takes_stacks
def test_through_the_c_library_the_frames_are_those_of_fopen(victim, tmp_path):
    (tmp_path / "file").touch()
    run = record(victim("call_chain", flags=PLAIN), "fopen", tmp_path / "file", stacks=True)
    (seen,) = [seen for seen in run.files if seen.path == str(tmp_path / "file")]
    assert seen.stack != NO_STACK
    names = functions(run, table(run).stacks[seen.stack])
    # glibc 2.36: fopen is __fopen_internal, which has no symbol of its own in a stripped library.
    assert started(names) == ["open", "_IO_file_open", "_IO_file_fopen", "by_fopen", *CHAIN]
    library = table(run).objects[table(run).frames[table(run).stacks[seen.stack].frames[0]].object]
    assert Path(library.path).name == "libc.so.6"
    notes = subprocess.check_output(["readelf", "-n", library.path], text=True)
    assert f"Build ID: {library.build_id}\n" in notes


@takes_stacks
def test_a_signal_handler_stands_on_what_it_interrupted(victim):
    run = record(victim("call_chain", flags=PLAIN), "signal", "x", stacks=True)
    names = started(functions(run, stack_of(run, "write")))
    assert names[:3] == ["write", "by_write", "on_signal"]
    assert names[-5:] == ["raise", "by_signal", *CHAIN]
    assert stack_of(run, "write").end is StackEnd.WHOLE


@takes_stacks
def test_a_threads_stack_ends_where_the_thread_began(victim):
    run = record(victim("call_chain", flags=PLAIN), "thread", "text", stacks=True)
    stack = stack_of(run, "write")
    assert functions(run, stack)[:3] == ["write", "by_write", "thread"]
    assert "main" not in functions(run, stack)
    assert stack.end is StackEnd.WHOLE


@takes_stacks
def test_code_in_anonymous_memory_is_named_as_that_and_what_called_it_is_a_guess(victim):
    run = record(victim("call_chain", flags=PLAIN), "jit", "x", stacks=True)
    stack = stack_of(run, "getppid")
    first, second, *_ = frames(run, "getppid")
    assert (table(run).objects[first.object].path, first.symbol, first.offset) == ("[anonymous]", "", 11)
    assert second.symbol == "by_jit"
    assert stack.guessed_from == 1


@takes_stacks
def test_a_stack_that_leads_nowhere_ends_there(victim):
    run = record(victim("call_chain", flags=PLAIN), "nonsense", "x", stacks=True)
    stack = stack_of(run, "getppid")
    assert functions(run, stack) == ["by_nonsense"]
    assert stack.end is not StackEnd.WHOLE


def check_stacks(run: Run, folder: Path, opened: int, by: str) -> None:
    """Each of the files that a function of the chain opened has its stack, or counts as missing one."""
    found = [seen for seen in run.files if Path(seen.path).parent == folder]
    assert len(found) == opened
    taken = {seen.stack for seen in found} - {NO_STACK}
    assert {tuple(started(functions(run, table(run).stacks[number]))) for number in taken} == {("open", by, *CHAIN)}
    assert sum(seen.stack != NO_STACK for seen in found) + sum(table(run).missing.values()) >= opened


@takes_stacks
def test_processes_that_are_gone_at_once_have_the_right_stack_or_none(victim, tmp_path):
    run = record(victim("call_chain", flags=PLAIN), "children", tmp_path, stacks=True)
    check_stacks(run, tmp_path, 200, "by_children")


@takes_stacks
def test_while_mappings_change_stacks_are_right_or_missing(victim, tmp_path):
    run = record(victim("call_chain", flags=PLAIN), "remapping", tmp_path, stacks=True)
    check_stacks(run, tmp_path, 400, "by_remapping")
    assert run.gaps == ()


@takes_stacks
def test_a_deep_stack_of_python_is_cut_at_a_bound(victim):
    code = "def deep(n): return deep(n - 1) if n else list(map(open, ['/etc/passwd']))\ndeep(30)"
    run = record("/usr/bin/python3", "-c", code, stacks=True)
    (seen,) = [seen for seen in run.files if seen.path == "/etc/passwd" and seen.operation == "read"]
    stack = table(run).stacks[seen.stack]
    names = functions(run, stack)
    assert names[0] == "open"
    assert "_PyEval_EvalFrameDefault" in names
    assert len(stack.frames) <= 32
    assert stack.end in (StackEnd.WHOLE, StackEnd.DEPTH, StackEnd.COPY)
    assert {each.end for each in table(run).stacks} <= {StackEnd.WHOLE, StackEnd.DEPTH, StackEnd.COPY}


@takes_stacks
def test_everything_that_is_recorded_has_a_stack(victim, tmp_path):
    """Calls, arguments, files by object and by name, sockets, capabilities, signals, executed programs."""
    script = f"cat /etc/passwd; kill -0 $$; ln -s x {tmp_path}/link; chown 1 {tmp_path}/link; kill -9 $$"
    run = record("/bin/sh", "-c", script, stacks=True, expect=-9)
    for kind in ("syscalls", "arguments", "files", "sockets", "signals", "mounts", "lookups"):
        without = [seen for seen in getattr(run, kind) if seen.stack == NO_STACK]
        assert [seen for seen in without if not is_of_the_launcher(seen)] == [], kind
    assert all(seen.stack != NO_STACK for seen in run.capabilities if seen.syscall)
    (cat,) = [seen for seen in run.files if seen.path == "/usr/bin/cat" and seen.operation == "exec"]
    assert functions(run, table(run).stacks[cat.stack])[0] == "execve"


def is_of_the_launcher(seen) -> bool:
    """The exec that starts the payload, and the names that an exec goes through: the caller's memory is gone."""
    return getattr(seen, "syscall", "") == "execve"


@takes_stacks
def test_enough_stacks_of_one_call_are_enough(victim):
    run = record(victim("many"), "misses", 2_000, stacks=True)
    found = [seen for seen in run.files if len(seen.path) > 200]
    assert len(found) == 2_000
    assert 400 < sum(seen.stack != NO_STACK for seen in found) <= 512
    assert table(run).missing["limit"] >= 2_000 - 512
    assert run.gaps == ()


@takes_stacks
def test_a_profile_is_the_same_with_and_without_evidence(victim):
    run = record(victim("call_chain", flags=PLAIN), "write", "text", stacks=True)
    bare = run.without_evidence()
    assert table(run).stacks != ()
    assert b'"stack' not in encode_json(Recording.of([bare]))
    assert bare.id == run.id
    made = [generate_from(Recording.of([each]), name="x") for each in (run, bare)]
    assert made[0] == made[1]


@takes_stacks
@pytest.mark.sees("user stacks of what is new")
@pytest.mark.parametrize("backend", BACKENDS)
def test_who_takes_no_stacks_says_so(victim, backend):
    program = victim("call_chain", flags=PLAIN)
    run = record_by_notify(program, "write", "x") if backend == "notify" else record(program, "write", "x", stacks=True)
    assert (run.stacks is msgspec.UNSET) == (backend == "notify")
    assert (Unseen.STACKS in run.host.unseen) == (backend == "notify")


@takes_stacks
def test_stacks_can_be_left_out(victim):
    run = record(victim("call_chain", flags=PLAIN), "write", "x")
    assert run.stacks is msgspec.UNSET
    assert Unseen.STACKS in run.host.unseen
    assert {seen.stack for seen in run.syscalls} == {seen.stack for seen in run.files} == {NO_STACK}
