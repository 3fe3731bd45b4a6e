"""The sandbox's own terminal behaves as the caller's would: keys, job control, size, status, pipelines."""

from __future__ import annotations

import os
import select
import signal

import pytest

from tests.terminals import Terminal, status, stop_and_go_on

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp")

TELLS = 'exec 1>&2; trap "echo again" CONT; sleep 100 & echo up; while :; do wait; done'
"""Says when it has been continued: keys that are pressed earlier go to the shell."""
ASK = "echo up; read line; echo got $line"


@pytest.fixture
def terminal(tmp_path):
    with Terminal(tmp_path) as at:
        yield at


def test_the_streams_are_another_terminal_with_a_name_of_its_own(terminal):
    script = "tty; for n in 0 1 2; do test -t $n && readlink /proc/self/fd/$n; done; ls /dev/pts"
    shown = terminal.line(f"run '{script}'")
    assert shown == "/dev/pts/0\n" * 4 + "0  ptmx\n"


def test_the_controlling_terminal_and_the_console_are_it(terminal):
    shown = terminal.line("run 'echo to tty >/dev/tty; echo to console >/dev/console; ps -o tty= -p $$'")
    assert shown.split("\n") == ["to tty", "to console", "pts/0", ""]


@pytest.mark.parametrize(("key", "signal"), [("\x03", 2), ("\x1c", 3)])
def test_a_key_that_ends_the_program(terminal, key, signal):
    terminal.line("run 'echo up; exec sleep 100'", "up\n")
    terminal.type(key)
    terminal.read_until("@ ")
    assert status(terminal) == str(128 + signal)


def test_a_program_that_catches_the_key(terminal):
    terminal.line("run 'trap \"echo caught; exit 5\" INT; echo up; while :; do sleep 0.05; done'", "up\n")
    terminal.type("\x03")
    assert "caught\n" in terminal.read_until("@ ")
    assert status(terminal) == "5"


def test_a_killed_program(terminal):
    terminal.line("run 'kill -9 $$'")
    assert status(terminal) == "137"


def test_the_stop_key_and_fg(terminal):
    before = stop_and_go_on(terminal, f"run '{ASK}'")
    assert status(terminal) == "0"
    assert terminal.line("stty -g") == before


def test_after_bg_a_read_stops_the_job_until_fg(terminal):
    terminal.line(f"run '{ASK}'", "up\n")
    terminal.type("\x1a")
    terminal.read_until("@ ")
    terminal.line("set -b; bg", "Stopped")
    terminal.type("\n")
    terminal.read_until("@ ")
    terminal.line("fg", "\n")
    terminal.type("word\n")
    assert "got word\n" in terminal.read_until("@ ")


def test_a_time_limit_holds_while_the_job_is_stopped(terminal):
    terminal.line("set -b")
    terminal.line("run -t 3 'sleep 100 & kill -STOP $$; wait'", "Stopped")
    terminal.read_until("Exit 124")


def test_a_time_limit_that_is_not_over_changes_nothing_of_stopping(terminal):
    stop_and_go_on(terminal, f"run -t 60 '{ASK}'")


def test_a_time_limit_holds_on_a_terminal_that_nobody_reads(terminal):
    terminal.type("run -t 2 'while :; do echo more than the terminal takes; done'\n")
    while not terminal.children():
        assert select.select([terminal.fd], [], [], 30)[0]
    running = os.pidfd_open(terminal.children()[0])
    assert select.select([running], [], [], 30)[0]
    os.close(running)
    terminal.read_until("@ ")
    assert status(terminal) == "124"


def test_a_program_that_starts_in_the_background_writes_and_stops_when_it_reads(terminal):
    terminal.line("set -b")
    shown = terminal.line(f"run '{ASK}' &", "Stopped")
    assert "up\n" in shown
    terminal.type("\n")
    terminal.read_until("@ ")
    terminal.line("fg", "\n")
    terminal.type("word\n")
    assert "got word\n" in terminal.read_until("@ ")


def test_a_program_that_only_writes_ends_in_the_background(terminal):
    assert "done\n" in terminal.line("run 'echo done' & wait; echo waited", "waited\n")


def test_the_size_of_the_window_follows(terminal):
    terminal.resize(33, 111)
    shown = terminal.line(
        "run 'stty size; trap \"stty size; exit\" WINCH; echo up; while :; do sleep 0.05; done'", "up\n"
    )
    assert shown == "33 111\n"
    terminal.resize(44, 122)
    assert terminal.read_until("@ ") == "44 122\n"


def test_a_shell_inside_has_job_control(terminal):
    shown = terminal.line("run -i", "# ")
    assert "job control" not in shown
    assert "cannot" not in shown
    terminal.line(f"sh -c '{TELLS}'", "up\n")
    terminal.type("\x1a")
    assert "Stopped" in terminal.read_until("# ")
    assert "Stopped" in terminal.line("jobs", "# ")
    terminal.line("fg", "again\n")
    terminal.type("\x03")
    terminal.read_until("# ")
    assert terminal.line("echo $?", "# ").startswith("130\n")
    terminal.line("exit 7")
    assert status(terminal) == "7"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_modes_are_restored_when_a_signal_ends_harden(terminal, number):
    before = terminal.line("stty -g")
    terminal.line("run 'echo up; exec sleep 100'", "up\n")
    (harden,) = terminal.children()
    os.kill(harden, number)
    terminal.read_until("@ ")
    assert terminal.line("stty -g") == before


def test_long_output_is_complete(terminal):
    shown = terminal.line("run 'seq 300000; echo the end'")
    assert shown.split("\n") == [*map(str, range(1, 300001)), "the end", ""]


def test_output_through_a_pipe_is_no_terminal_and_keys_are_left_to_others(terminal):
    """The reader at the end of the pipeline gets the keys, the program gets the signal of the interrupt key."""
    script = "test -t 1 || echo pipe; test -t 0 && echo terminal; trap exit INT; while :; do sleep 0.05; done"
    reader = "while read l; do echo :$l; done; read key </dev/tty; echo key $key"
    terminal.line(f"run '{script}' | (trap '' INT; {reader})", ":terminal\n")
    terminal.type("\x03")
    terminal.type("word\n")
    assert "key word\n" in terminal.read_until("@ ")


def test_a_program_in_a_pipeline_gets_the_terminal_when_it_reads(terminal):
    terminal.line("run 'echo up >&2; read line; echo got $line' | cat", "up\n")
    terminal.type("word\n")
    assert "got word\n" in terminal.read_until("@ ")


def test_input_from_a_pipe_is_no_terminal(terminal):
    shown = terminal.line("echo piped | run 'test -t 0 || cat; test -t 1 && echo terminal'")
    assert shown == "piped\nterminal\n"


def test_the_stop_key_in_a_pipeline_stops_the_program_too(terminal):
    terminal.line(f"run '{TELLS}' | cat", "up\n")
    terminal.type("\x1a")
    assert "Stopped" in terminal.read_until("@ ")
    assert terminal.line("ps -eo stat=,args= | grep -q '^T.*sh -c exec 1' && echo it is") == "it is\n"
    terminal.line("fg", "again\n")
    terminal.type("\x03")
    terminal.read_until("@ ")
    assert status(terminal) == "130"


def test_an_error_stream_that_is_no_terminal_stays_what_it_is(terminal, tmp_path):
    assert terminal.line(f"run 'echo out; echo error >&2' 2>{tmp_path}/error") == "out\n"
    assert (tmp_path / "error").read_bytes() == b"error\n"


def test_a_closed_window_hangs_up_the_sandbox(terminal, tmp_path):
    (tmp_path / "mark").mkdir()
    os.mkfifo(tmp_path / "mark/fifo")
    script = 'trap "echo hup >/mnt/fifo; exit" HUP; echo up; while :; do sleep 0.05; done'
    terminal.line(f"run -w {tmp_path}/mark '{script}'", "up\n")
    terminal.hang_up()
    with open(tmp_path / "mark/fifo") as fifo:
        assert fifo.read().startswith("hup\n")
