"""A program on a terminal: it has one of its own, and nothing that it does to it reaches the caller's."""

from __future__ import annotations

import pytest

from tests.terminals import Terminal

pytestmark = [
    pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "python3"),
    pytest.mark.attack(23),
]

TYPE_INTO = """
import ctypes, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
results = []
for path in (0, 1, 2, "/dev/tty"):
    fd = path if isinstance(path, int) else os.open(path, os.O_RDWR | os.O_NOCTTY)
    for high in (0, 1 << 32):
        for key in b"echo stolen\\n":
            done = libc.syscall(16, fd, high | 0x5412, bytes([key]))
        results.append(ctypes.get_errno() if done < 0 else 0)
print("results", set(results), flush=True)
"""


@pytest.fixture
def terminal(tmp_path):
    (tmp_path / "attack.py").write_text(TYPE_INTO)
    with Terminal(tmp_path) as at:
        at.line(f"attack={tmp_path}/attack.py")
        yield at


def attack(terminal: Terminal, options: str) -> str:
    """Run it in the sandbox; what it says, and what the shell outside then shows."""
    return terminal.line(f"run {options} -p $attack") + terminal.line("echo and nothing else")


def test_typing_into_a_terminal_is_refused(terminal):
    assert attack(terminal, "") == "results {1}\nand nothing else\n"


def test_what_is_typed_without_the_filter_reaches_nobody_outside(terminal):
    """The sandbox's own terminal takes the characters, if the kernel lets it: the shell outside gets none."""
    shown = attack(terminal, "-n")
    assert "results {0}\n" in shown
    assert shown.endswith("and nothing else\n")
    assert "stolen\n@" not in shown.replace("echo stolen", "")


def test_bare_it_reaches_the_shell(terminal):
    """The attack works where nothing stops it."""
    terminal.line("python3 $attack", "results {0}\n")
    terminal.read_until("@ stolen\n")


def test_a_signal_to_the_programs_process_group_stays_inside(terminal):
    shown = terminal.line("(trap 'echo hit' USR1; run 'trap \"\" USR1; kill -USR1 0; echo sent'; echo alive)")
    assert shown == "sent\nalive\n"


def test_no_descriptor_of_the_callers_terminal_is_left(terminal):
    outside = terminal.line("stat -Lc %t:%T:%i:%d /dev/stdin").strip()
    script = "ls /proc/self/fd | wc -l; for f in /proc/[0-9]*/fd/*; do stat -Lc %t:%T:%i:%d $f; done"
    shown = terminal.line(f"run '{script}'").split("\n")
    assert outside not in shown
    assert shown[0] == "4"
