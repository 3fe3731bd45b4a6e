"""A real systemd as the first process of namespaces of its own, to start units with exported drop-ins.

Its root is an overlay of this machine's, its only cgroup hierarchy is v2, its network is a loopback of its own. Nothing
but what a test starts runs in it: the one target that it boots needs the journal alone.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.namespaced import NOTICES, namespaced

__all__ = ["SystemdMachine", "systemd_machine"]

_SYSTEMD: Final = "/lib/systemd/systemd"
_TARGET: Final = "harden-test.target"
_DEADLINE_S: Final = 60
_BOOT: Final = f"""
root=$1/root new=$1/root/new
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
mount --bind "$1" "$new/run/host"
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
exec env -i container=harden-test NOTIFY_SOCKET=/run/host/{NOTICES} PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    {_SYSTEMD} --system --unit={_TARGET} --log-target=journal --show-status=no
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
    (folder / "root").mkdir()
    with namespaced(_BOOT, folder) as first:
        yield SystemdMachine(first, folder)
