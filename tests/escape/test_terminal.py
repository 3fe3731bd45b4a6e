"""A program on the caller's terminal: a job of its own there, and no signal of it reaches the caller."""

from __future__ import annotations

import os
import pty
import select
import sys
import time

import pytest

from tests.sandboxes import ROOT

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp")

_RUN = """
import os, signal, sys, time
from harden.kernel.probe import probe
from harden.launch.plan import plan
from harden.launch.spawn import exec_plan
from harden.model.sandbox import UserNamespaceMode
from tests.sandboxes import shell
# With the ids of the caller: others could not be signalled anyway.
planned = plan(shell(sys.argv[1], user_namespace=UserNamespaceMode.IDENTITY), probe())
piped = len(sys.argv) > 2
# Stands for what else is in the caller's process group; its death by the signal would be seen.
bystander = os.fork()
signal.signal(signal.SIGINT, signal.SIG_IGN if piped else signal.default_int_handler)
if bystander == 0:
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    time.sleep(60)
    os._exit(0)
child = os.fork()
if child == 0:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if piped:
        # A pipeline: its last program has the output, and copies it.
        reader, writer = os.pipe()
        if os.fork() == 0:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            os.dup2(reader, 0)
            os.close(writer)
            os.execv("/bin/cat", ["cat"])
        os.dup2(writer, 1)
        os.closerange(3, 100)
    exec_plan(planned)
_, status = os.waitpid(child, 0)
alive = os.waitpid(bystander, os.WNOHANG) == (0, 0)
print("status", os.waitstatus_to_exitcode(status), "alive", alive, "foreground", os.tcgetpgrp(0) == os.getpgrp())
sys.stdout.flush()
os.kill(bystander, signal.SIGKILL)
"""


class Terminal:
    """A terminal whose session's leader runs a sandboxed script like a shell would."""

    def __init__(self, script: str, *options: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}/sandbox:{ROOT}"}
            os.execve(sys.executable, [sys.executable, "-c", _RUN, script, *options], environment)
        self.text = ""

    def read_until(self, word: str | None) -> str:
        """All that was written up to `word`, or to the end."""
        deadline = time.monotonic() + 30
        while word is None or word not in self.text:
            assert select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))[0], self.text
            try:
                self.text += os.read(self.fd, 65536).decode(errors="replace").replace("\r\n", "\n")
            except OSError:
                # EIO: nobody has the terminal any more
                break
        return self.text

    def end(self) -> str:
        text = self.read_until(None)
        os.close(self.fd)
        os.waitpid(self.pid, 0)
        return text


def test_a_signal_to_the_programs_process_group_stays_inside():
    text = Terminal("echo begin; (trap '' USR1; kill -USR1 0; echo sent); echo not reached").end()
    assert "sent\n" in text
    assert "not reached" not in text
    assert "status 138 alive True foreground True\n" in text


def test_an_ordinary_end_gives_the_terminal_back():
    text = Terminal("read line </dev/tty; echo got $line; exit 3")
    os.write(text.fd, b"typed\n")
    assert "got typed\nstatus 3 alive True foreground True\n" in text.end()


def test_the_interrupt_key_ends_the_program_and_not_harden():
    terminal = Terminal("trap 'echo caught; exit 5' INT; echo waiting; while :; do sleep 0.05; done")
    terminal.read_until("waiting\n")
    os.write(terminal.fd, b"\x03")
    assert "caught\nstatus 5 alive True foreground True\n" in terminal.end()


def test_in_a_pipeline_the_interrupt_key_reaches_every_process_of_the_program():
    """The terminal is the whole pipeline's: the program has none, and harden passes the key's signal on.

    The loop is there because a shell loses a signal to its child that has not yet become `sleep`.
    """
    script = (
        "(: </dev/tty) 2>/dev/null && echo controlling; (trap exit INT; echo up; while :; do sleep 0.05; done) | cat"
    )
    terminal = Terminal(script, "piped")
    assert "controlling" not in terminal.read_until("up\n")
    os.write(terminal.fd, b"\x03")
    assert "status 130 alive True foreground True\n" in terminal.end()


def test_the_suspend_key_does_not_leave_a_program_stopped_that_nobody_could_resume():
    """No shell looks after this job (its process group is orphaned): harden lets the program go on at once."""
    terminal = Terminal("echo up; read line; echo got $line")
    terminal.read_until("up\n")
    os.write(terminal.fd, b"\x1a")
    terminal.read_until("^Z")
    os.write(terminal.fd, b"typed\n")
    assert "got typed\nstatus 0 alive True foreground True\n" in terminal.end()
