"""Find out by trial what the kernel offers to this user: one short-lived child tries it, nothing outside changes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from harden.errors import HardenError, KernelError
from harden.kernel import apparmor
from harden.kernel.cgroupfs import own_cgroup
from harden.kernel.controllers import probe_controllers
from harden.kernel.executable import open_harden_exec
from harden.kernel.features import Features, Trial
from harden.kernel.mountinfo import Mount, read_mounts
from harden.kernel.subid import read_id_ranges

__all__ = ["Features", "probe", "trial_paths"]

_PSEUDO = frozenset(
    b"autofs bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue nsfs proc pstore "
    b"securityfs selinuxfs sysfs tracefs binfmt_misc rpc_pipefs".split()
)


def trial_paths(mounts: Iterable[Mount]) -> tuple[bytes, ...]:
    """Mount points whose file systems hold files that a sandbox may show."""
    return tuple(sorted({mount.point for mount in mounts if mount.filesystem not in _PSEUDO}))[:256]


def _run(arguments: list[bytes]) -> str:
    program = open_harden_exec()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.posix_spawn(
            f"/proc/self/fd/{program}",
            [b"harden-exec", b"probe", b"%d" % os.getpid(), *arguments],
            {},
            file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)],
            setsigdef=[],
        )
    except OSError as error:
        os.close(reader)
        raise KernelError("execve(harden-exec)", error.errno or 0, hint="mount a procfs at /proc") from None
    finally:
        os.close(writer)
        os.close(program)
    with open(reader, "rb") as pipe:
        output = pipe.read()
    try:
        ended, status = os.waitpid(pid, 0)
    except OSError as error:
        raise KernelError("wait4(harden-exec)", error.errno or 0, hint="in a container, allow the wait4 call") from None
    if ended != pid:
        raise HardenError(
            "wait4(harden-exec): it says that it was done, and it was not",
            hint="a seccomp filter around harden answers for the kernel: allow the wait4 system call",
        )
    if status:
        raise HardenError(
            f"harden-exec probe ended with wait status {status}", hint="run `harden doctor`; please report this"
        )
    return output.decode()


def _kill_file(cgroup: bytes | None) -> bool:
    """cgroup.kill exists in every cgroup but the root, so the root's children tell."""
    if cgroup is None:
        return False
    if os.path.exists(os.path.join(cgroup, b"cgroup.kill")):
        return True
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    return release >= (5, 14)


def probe(mounts: tuple[Mount, ...] | None = None) -> Features:
    """Try everything a plan depends on. Raises HardenError when harden-exec is missing or cannot be started."""
    mounts = read_mounts() if mounts is None else mounts
    cgroup = own_cgroup(mounts)
    writable = cgroup is not None and os.access(cgroup, os.W_OK) and os.access(cgroup + b"/cgroup.procs", os.W_OK)
    paths = trial_paths(mounts) if os.geteuid() == 0 else ()
    arguments = [b"+" + cgroup] if cgroup is not None and writable else []
    trials: dict[str, Trial] = {}
    numbers: dict[str, dict[bytes, int]] = {"idmap": {}, "overlay": {}}
    abi = 0
    for line in _run([*arguments, *paths]).splitlines():
        name, number, rest = line.split(" ")
        if name in numbers:
            numbers[name][paths[int(rest)]] = int(number)
        elif name == "landlock-abi":
            abi = max(0, int(number))
        else:
            trials[name] = Trial(errno=None if number == "-1" else int(number), call=rest)
    if not arguments:
        trials["devices"] = Trial(errno=None, call="no writable cgroup v2 to attach a BPF program to")
    return Features(
        euid=os.geteuid(),
        egid=os.getegid(),
        trials=trials,
        landlock_abi=abi,
        idmap=numbers["idmap"],
        overlay=numbers["overlay"],
        cgroup=cgroup,
        cgroup_writable=writable,
        cgroup_kill=_kill_file(cgroup),
        controllers=probe_controllers(mounts, cgroup, writable=writable),
        id_ranges=read_id_ranges(),
        apparmor=apparmor.is_enabled(),
        seccomp_filters=_seccomp_filters(),
    )


def _seccomp_filters() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Seccomp_filters:"):
            return int(line.split()[1])
    return 0
