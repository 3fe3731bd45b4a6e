"""A service of the system (systemd, dockerd) started by a test: in namespaces and a cgroup of its own, gone with it."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harden.kernel.mountinfo import read_mounts

__all__ = ["NOTICES", "namespaced"]

NOTICES: Final = "notify"
"""The name, in the folder that the script is given, of the socket for sd_notify(3)."""
_DEADLINE_S: Final = 60
_ENTER: Final = """
echo $$ >"$0/cgroup.procs"
exec unshare --mount --propagation private --pid --fork --cgroup --net --uts --ipc sh -euc "$1" sh "$2"
"""


@contextmanager
def namespaced(script: str, folder: Path) -> Iterator[int]:
    """The shell script, as the first process of new namespaces, with `folder` as its argument; gives its number here.

    It has to become what says READY=1 on NOTICES. All that it started is dead at the end of the block.
    """
    hierarchy = next(mount.point for mount in read_mounts() if mount.filesystem == b"cgroup2")
    cgroup = Path(os.fsdecode(hierarchy)) / f"harden-test-{os.getpid()}-{folder.name}"
    cgroup.mkdir()
    with contextlib.ExitStack() as stack:
        stack.callback(_remove, cgroup)
        notices = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        notices.bind(str(folder / NOTICES))
        log = stack.enter_context(open(folder / "log", "wb"))
        words = ["sh", "-c", _ENTER, str(cgroup), script, str(folder)]
        process = stack.enter_context(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        stack.callback(_kill, cgroup)
        until = time.monotonic() + _DEADLINE_S
        while not _is_ready(notices):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, (folder / "log").read_text()
        first = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        stack.callback(_wait_for, os.pidfd_open(first))
        stack.callback(_kill, cgroup)
        yield first


def _is_ready(notices: socket.socket) -> bool:
    """Whether it says so in the next second."""
    notices.settimeout(1)
    try:
        return "READY=1" in notices.recv(65536).decode().split("\n")
    except TimeoutError:
        return False


def _wait_for(pidfd: int) -> None:
    """Until the first process is dead, which it is after all of its namespace."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(_DEADLINE_S * 1000)
    os.close(pidfd)


def _kill(cgroup: Path) -> None:
    (cgroup / "cgroup.kill").write_text("1")


def _remove(cgroup: Path) -> None:
    for at, _, _ in os.walk(cgroup, topdown=False):
        os.rmdir(at)
