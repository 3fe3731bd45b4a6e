"""A person at a terminal: an interactive shell on a real pty, which starts sandboxed programs like any other."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.sandboxes import ROOT

_WAIT_S = 30

RUN = f"""#!{sys.executable}
import sys
sys.path[:0] = {[str(ROOT / "sandbox"), str(ROOT)]!r}
import msgspec
from harden.kernel.probe import probe
from harden.launch.ops import Code
from harden.launch.plan import plan
from harden.launch.spawn import exec_plan
from harden.model.sandbox import Bind, UserNamespaceMode
from tests.sandboxes import shell, spec_of
# run [-n] [-t SECONDS] [-w FOLDER] SCRIPT | -i | -p PYTHON-FILE
arguments = [*sys.argv[1:], ""]
changes = dict(user_namespace=UserNamespaceMode.IDENTITY)
unfiltered = arguments[0] == "-n" and bool(arguments.pop(0))
if arguments[0] == "-t":
    changes["timeout_s"] = float(arguments[1])
    del arguments[:2]
if arguments[0] == "-w":
    folder = arguments[1].encode()
    changes["binds"] = (Bind(source=folder, target=b"/mnt", writable=True),)
    del arguments[:2]
if arguments[0] == "-i":
    spec = spec_of("/bin/bash", "--norc", "--noprofile", "--noediting", "-i", **changes)
elif arguments[0] == "-p":
    spec = spec_of("/usr/bin/python3", "-c", open(arguments[1]).read(), **changes)
else:
    spec = shell(arguments[0], **changes)
planned = plan(spec, probe())
if unfiltered:
    # What the base filter refuses must do no harm either.
    kept = tuple(step for step in planned.ops if step.code is not Code.SECCOMP)
    planned = msgspec.structs.replace(planned, ops=kept)
exec_plan(planned)
"""


class Terminal:
    """The terminal of an interactive bash; `run` is a command in it that runs a script in a sandbox."""

    def __init__(self, folder: Path) -> None:
        command = folder / "run"
        command.write_text(RUN)
        command.chmod(0o755)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            environment = {"PATH": f"{folder}:{os.environ['PATH']}", "PS1": "@ ", "TERM": "dumb", "HISTFILE": ""}
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], environment)
        self.text = ""
        self.read_until("@ ")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def hang_up(self) -> None:
        """The window is closed."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self.fd, text.encode())

    def line(self, command: str, until: str = "@ ") -> str:
        """Type a line; what is shown after it, up to `until`."""
        self.text = ""
        self.type(command + "\n")
        self.read_until("\n")
        return self.read_until(until)

    def read_until(self, word: str) -> str:
        """All that was shown up to `word`, which is taken away from what comes next."""
        deadline = time.monotonic() + _WAIT_S
        while word not in self.text:
            left = max(0.0, deadline - time.monotonic())
            assert select.select([self.fd], [], [], left)[0], f"no {word!r} in {self.text!r}"
            self.text += os.read(self.fd, 65536).decode(errors="replace").replace("\r", "")
        shown, _, self.text = self.text.partition(word)
        return shown

    def children(self) -> list[int]:
        """The processes that the shell started."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def resize(self, rows: int, columns: int) -> None:
        """The window gets another size."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def status(terminal: Terminal) -> str:
    """That of the last command."""
    return terminal.line("echo $?").strip()


def stop_and_go_on(terminal: Terminal, command: str) -> str:
    """Stop with its key a command that reads a line, take it back by `fg` and let it read; the settings before it."""
    before = terminal.line("stty -g")
    terminal.line(command, "up\n")
    terminal.type("\x1a")
    assert "Stopped" in terminal.read_until("@ ")
    assert terminal.line("stty -g") == before
    terminal.line("fg", "\n")
    terminal.type("word\n")
    assert "got word\n" in terminal.read_until("@ ")
    return before
