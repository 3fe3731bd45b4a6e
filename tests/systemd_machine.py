"""A real systemd as the first process of namespaces of its own, to start units with exported drop-ins.

Its root is an overlay of this machine's, its only cgroup hierarchy is v2, its network is a loopback of its own. Nothing
but what a test starts runs in it: the one target that it boots needs the journal alone.
"""

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

__all__ = ["SystemdMachine", "systemd_machine"]

_SYSTEMD: Final = "/lib/systemd/systemd"
_TARGET: Final = "harden-test.target"
_DEADLINE_S: Final = 60
_BOOT: Final = f"""
set -eu
root=$1 shared=$2 new=$1/new
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir "$root/upper" "$root/work" "$new"
mount -t overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" overlay "$new"
mount -t proc proc "$new/proc"
# What is set in /proc/sys is set for the machine under us.
mount --bind "$new/proc/sys" "$new/proc/sys"
mount -o remount,bind,ro "$new/proc/sys"
[ ! -e "$new/proc/sysrq-trigger" ] || mount --bind /dev/null "$new/proc/sysrq-trigger"
mount -t sysfs -o ro sysfs "$new/sys"
mount -t cgroup2 cgroup2 "$new/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$new/dev"
for name in null zero full random urandom tty; do
    : >"$new/dev/$name"
    mount --bind "/dev/$name" "$new/dev/$name"
done
mkdir "$new/dev/pts" "$new/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$new/dev/pts"
ln -s pts/ptmx "$new/dev/ptmx"
for name in run tmp var/tmp dev/shm; do mount -t tmpfs -o mode=1777 tmpfs "$new/$name"; done
chmod 755 "$new/run"
mkdir "$new/run/host" "$new/old"
mount --bind "$shared" "$new/run/host"
rm -rf "$new/etc/systemd/system" "$new/var/log/journal"
mkdir "$new/etc/systemd/system"
cat >"$new/etc/systemd/system/{_TARGET}" <<END
[Unit]
DefaultDependencies=no
Requires=systemd-journald.service
After=systemd-journald.service
END
ip link set lo up
cd "$new"
pivot_root . old
umount -l /old
exec env -i container=harden-test NOTIFY_SOCKET=/run/host/notify PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    {_SYSTEMD} --system --unit={_TARGET} --log-target=journal --show-status=no
"""

_ENTER: Final = """
echo $$ >"$0/cgroup.procs"
exec unshare --mount --pid --fork --cgroup --net --uts --ipc sh -c "$1" sh "$2" "$3"
"""


class SystemdMachine:
    """A booted one; `shared` is its /run/host."""

    def __init__(self, first: int, shared: Path) -> None:
        self.first = first
        self.shared = shared

    def run(self, *command: str) -> str:
        """The output of a command inside, as root and outside of every unit; it has to succeed."""
        done = self._enter(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}\n{self.journal()}"
        return done.stdout

    def write_unit(self, name: str, text: str, **drop_ins: bytes) -> None:
        """A service with drop-ins, each by its name; what it had before is replaced."""
        folder = self.shared / "units"
        for path, content in {
            name: text.encode(),
            **{f"{name}.d/{key}.conf": drop_ins[key] for key in drop_ins},
        }.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        self.run("sh", "-c", f"rm -rf /etc/systemd/system/{name}*; cp -r /run/host/units/. /etc/systemd/system/")
        subprocess.run(["rm", "-r", str(folder)], check=True)
        self.run("systemctl", "daemon-reload")

    def journal(self, *options: str) -> str:
        """What was logged, one message to a line."""
        self._enter("journalctl", "--sync")
        return self._enter("journalctl", "--quiet", "--output=cat", *options).stdout

    def _enter(self, *command: str) -> subprocess.CompletedProcess[str]:
        words = ["nsenter", "--target", str(self.first), "--all", "--", *command]
        return subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=_DEADLINE_S, stdin=subprocess.DEVNULL
        )


@contextmanager
def systemd_machine(folder: Path) -> Iterator[SystemdMachine]:
    """Boot one with its files in `folder`; all that it started ends with the block."""
    root, shared = folder / "root", folder / "shared"
    hierarchy = next(mount.point for mount in read_mounts() if mount.filesystem == b"cgroup2")
    cgroup = Path(os.fsdecode(hierarchy)) / f"harden-test-systemd-{os.getpid()}"
    for each in (root, shared, cgroup):
        each.mkdir()
    with contextlib.ExitStack() as stack:
        stack.callback(_remove, cgroup)
        ready = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        ready.bind(str(shared / "notify"))
        words = ["sh", "-c", _ENTER, str(cgroup), _BOOT, str(root), str(shared)]
        log = stack.enter_context(open(folder / "boot.log", "wb"))
        process = stack.enter_context(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        stack.callback(_kill, cgroup)
        until = time.monotonic() + _DEADLINE_S
        while not _is_ready(ready):
            assert process.poll() is None, (folder / "boot.log").read_text()
            assert time.monotonic() < until, (folder / "boot.log").read_text()
        (first,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        stack.callback(_wait_for, os.pidfd_open(int(first)))
        stack.callback(_kill, cgroup)
        yield SystemdMachine(int(first), shared)


def _wait_for(pidfd: int) -> None:
    """Until the first process is dead, which it is after all of its namespace."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(_DEADLINE_S * 1000)
    os.close(pidfd)


def _is_ready(notices: socket.socket) -> bool:
    """Whether systemd says so in the next second: sd_notify(3), of its first process too where it is in a container."""
    notices.settimeout(1)
    try:
        return "READY=1" in notices.recv(65536).decode().split("\n")
    except TimeoutError:
        return False


def _kill(cgroup: Path) -> None:
    (cgroup / "cgroup.kill").write_text("1")


def _remove(cgroup: Path) -> None:
    for at, _, _ in os.walk(cgroup, topdown=False):
        os.rmdir(at)
