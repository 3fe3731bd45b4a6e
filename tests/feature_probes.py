"""What this machine offers to the tests, found by trying it once per session."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["FEATURES", "Feature", "is_available"]

LIBC: Final = ctypes.CDLL(None, use_errno=True)

SYS_SECCOMP: Final = 317 if os.uname().machine == "x86_64" else 277
SYS_BPF: Final = 321 if os.uname().machine == "x86_64" else 280
SYS_OPEN_TREE: Final = 428
SYS_MOUNT_SETATTR: Final = 442
SYS_LANDLOCK_CREATE_RULESET: Final = 444


class Feature:
    """One thing a test may need: how to find out, and what to do where it is missing."""

    def __init__(self, probe: Callable[[], bool], fix: str) -> None:
        self.probe = probe
        self.fix = fix


def is_available(name: str) -> bool:
    """Whether this machine has the feature; KeyError for a name that is not in FEATURES."""
    return _probed(name)


@functools.cache
def _probed(name: str) -> bool:
    return FEATURES[name].probe()


def _program(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is not None


def _runs(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _fuzzer() -> bool:
    code = "int LLVMFuzzerTestOneInput(const char *data, unsigned long size) { return !data && size; }\n"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "target.c").write_text(code)
        return _runs("clang", "-fsanitize=fuzzer,address,undefined", f"{folder}/target.c", "-o", f"{folder}/target")


def _user_namespaces() -> bool:
    return _runs("unshare", "--user", "true")


def _seccomp() -> bool:
    action = ctypes.c_uint32(0x00050000)
    get_action_available = 2
    return bool(LIBC.syscall(SYS_SECCOMP, get_action_available, 0, ctypes.byref(action)) == 0)


def _seccomp_notify() -> bool:
    action = ctypes.c_uint32(0x7FC00000)
    get_action_available = 2
    return bool(LIBC.syscall(SYS_SECCOMP, get_action_available, 0, ctypes.byref(action)) == 0)


def _landlock() -> bool:
    version_flag = 1
    return bool(LIBC.syscall(SYS_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), version_flag) >= 1)


def _bpf() -> bool:
    array_map = (ctypes.c_uint32 * 32)(2, 4, 8, 1)
    fd = LIBC.syscall(SYS_BPF, 0, ctypes.byref(array_map), ctypes.sizeof(array_map))
    if fd < 0:
        return False
    os.close(fd)
    return Path("/sys/kernel/btf/vmlinux").is_file()


def _stacks() -> bool:
    code = "from harden.trace import Recorder\nwith Recorder.attach(1, stacks=True) as it: exit(not it.takes_stacks)"
    return _runs(sys.executable, "-c", code)


def _cgroup2() -> bool:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ")
        if after.split()[0] == "cgroup2":
            trial = Path(before.split()[4], f"harden-test-{os.getpid()}")
            try:
                trial.mkdir()
            except OSError:
                continue
            trial.rmdir()
            return True
    return False


def _controller(name: str) -> Callable[[], bool]:
    """Whether cgroup v2 has this controller where this process is, so that the tests can make limited children."""

    def probe() -> bool:
        own = next((line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line[:3] == "0::"), None)
        if own is None or os.geteuid() != 0:
            return False
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            before, after = line.split(" - ")
            available = Path(before.split()[4] + own, "cgroup.controllers")
            if after.split()[0] == "cgroup2" and available.exists():
                return name in available.read_text().split()
        return False

    return probe


def _overlay() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        script = "mkdir l u w m && mount -t overlay -o lowerdir=l,upperdir=u,workdir=w none m"
        return _runs("unshare", "--mount", "sh", "-c", f"cd {folder} && {script}")


def _idmapped_mounts(parent: str | None = None) -> bool:
    if not _user_namespaces():
        return False
    holder = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "sh", "-c", "echo ready; read end"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with holder, tempfile.TemporaryDirectory(dir=parent) as folder:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"ready\n":
            return False
        at_fdcwd, at_empty_path, clone_tree, cloexec, idmap = -100, 0x1000, 1, os.O_CLOEXEC, 0x100000
        namespace = os.open(f"/proc/{holder.pid}/ns/user", os.O_RDONLY)
        tree = LIBC.syscall(SYS_OPEN_TREE, at_fdcwd, folder.encode(), clone_tree | cloexec)
        attributes = (ctypes.c_uint64 * 4)(idmap, 0, 0, namespace)
        answer = -1
        if tree >= 0:
            size = ctypes.c_size_t(ctypes.sizeof(attributes))
            answer = LIBC.syscall(SYS_MOUNT_SETATTR, tree, b"", at_empty_path, ctypes.byref(attributes), size)
            os.close(tree)
        os.close(namespace)
        return bool(answer == 0)


def _runs_memcached() -> bool:
    return _program("memcached")() and _program("memccapable")()


def _apparmor() -> bool:
    enabled = Path("/sys/module/apparmor/parameters/enabled")
    return os.geteuid() == 0 and enabled.exists() and enabled.read_text().strip() == "Y"


def _audit() -> bool:
    """A record of ours comes back from the multicast group of the audit records."""
    netlink_audit, readlog, user_avc, request = 9, 1, 1107, 1
    text = b"harden: is there an audit log?\0"
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink_audit) as log:
            log.bind((0, readlog))
            log.settimeout(2)
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink_audit) as channel:
                channel.send(struct.pack("=IHHII", 16 + len(text), user_avc, request, 1, 0) + text)
            return len(log.recv(9000)) > 0
    except OSError:
        return False


def _nobody() -> bool:
    """Root can run harden's code as the user nobody."""
    source = Path(__file__).resolve().parent.parent / "sandbox"
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    code = f"import sys; sys.path.insert(0, {str(source)!r}); import harden.launch.plan"
    return shutil.which("setpriv") is not None and _runs(*become, sys.executable, "-c", code)


FEATURES: Final[dict[str, Feature]] = {
    "root": Feature(lambda: os.geteuid() == 0, "run the tests as root"),
    "userns": Feature(_user_namespaces, "sysctl user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1"),
    "seccomp": Feature(_seccomp, "use a kernel with CONFIG_SECCOMP_FILTER"),
    "seccomp-notify": Feature(_seccomp_notify, "use Linux 5.5 or newer with CONFIG_SECCOMP_FILTER"),
    "landlock": Feature(_landlock, "boot a kernel with CONFIG_SECURITY_LANDLOCK and landlock in lsm="),
    "bpf": Feature(_bpf, "run as root on a kernel with CONFIG_BPF_SYSCALL and CONFIG_DEBUG_INFO_BTF"),
    "bpf-stacks": Feature(_stacks, "as root on x86-64, Linux 6.1 or newer"),
    "cgroup2": Feature(_cgroup2, "as root: mount -t cgroup2 none /sys/fs/cgroup"),
    **{
        f"cgroup2-{name}": Feature(
            _controller(name), f"as root where cgroup v2 has {name}: `make test-vm` boots such a kernel"
        )
        for name in ("cpu", "memory", "pids", "io", "cpuset")
    },
    "hugetlb": Feature(_controller("hugetlb"), "as root on a kernel with CONFIG_CGROUP_HUGETLB, on cgroup v2"),
    "cgroup1-memory": Feature(lambda: not _controller("memory")(), "a host whose memory controller is on cgroup v1"),
    "overlay": Feature(_overlay, "run as root on a kernel with CONFIG_OVERLAY_FS; TMPDIR must not be on an overlay"),
    "idmap": Feature(_idmapped_mounts, "run as root on Linux 5.12 or newer; TMPDIR on ext4, xfs, btrfs or tmpfs"),
    "idmap-tmpfs": Feature(
        lambda: _idmapped_mounts("/dev/shm"), "run as root on Linux 6.3 or newer; tmpfs on /dev/shm"
    ),
    "gcc": Feature(_program("gcc"), "apt-get install gcc libc6-dev"),
    "clang": Feature(_program("clang"), "apt-get install clang"),
    "clang-runtime": Feature(_fuzzer, "apt-get install libclang-rt-dev"),
    "git": Feature(_program("git"), "apt-get install git"),
    "strace": Feature(_program("strace"), "apt-get install strace"),
    "nginx": Feature(_program("nginx"), "apt-get install nginx-light"),
    "ab": Feature(_program("ab"), "apt-get install apache2-utils"),
    "redis": Feature(_program("redis-server"), "apt-get install redis-server redis-tools"),
    "sqlite3": Feature(_program("sqlite3"), "apt-get install sqlite3"),
    "curl": Feature(_program("curl"), "apt-get install curl"),
    "openssl": Feature(_program("openssl"), "apt-get install openssl"),
    "memcached": Feature(_runs_memcached, "apt-get install memcached libmemcached-tools"),
    "postgres": Feature(
        Path("/etc/postgresql/15/main/postgresql.conf").exists, "apt-get install postgresql (Debian 12)"
    ),
    "apparmor-parser": Feature(_program("apparmor_parser"), "apt-get install apparmor"),
    "apparmor": Feature(_apparmor, "as root on a kernel with AppArmor enabled; `make test-vm` boots one"),
    "guests-done": Feature(lambda: "HARDEN_GUESTS_DONE" in os.environ, "`make test-vm` runs it after its guests"),
    "guest": Feature(lambda: "HARDEN_GUEST" in os.environ, "`make test-vm` runs it in a virtual machine"),
    "systemd-analyze": Feature(_program("systemd-analyze"), "apt-get install systemd"),
    "systemd": Feature(Path("/lib/systemd/systemd").exists, "apt-get install systemd"),
    "secilc": Feature(_program("secilc"), "apt-get install secilc"),
    "selinux-policy": Feature(
        lambda: all(
            Path(path).exists()
            for path in ("/usr/share/selinux/default/base.pp.bz2", "/usr/libexec/selinux/hll/pp", "/usr/bin/sesearch")
        ),
        "apt-get install selinux-policy-default policycoreutils setools",
    ),
    "selabel": Feature(_program("selabel_lookup"), "apt-get install selinux-utils"),
    "bwrap": Feature(
        lambda: _runs("bwrap", "--ro-bind", "/", "/", "true"), "apt-get install bubblewrap; allow user namespaces"
    ),
    "crun": Feature(_program("crun"), "apt-get install crun"),
    "runc": Feature(_program("runc"), "apt-get install runc"),
    "podman": Feature(_program("podman"), "apt-get install podman"),
    "docker": Feature(Path("/usr/sbin/dockerd").exists, "apt-get install docker.io"),
    "ip": Feature(_program("ip"), "apt-get install iproute2"),
    "newuidmap": Feature(_program("newuidmap"), "apt-get install uidmap"),
    "audit": Feature(_audit, "as root in the first user and network namespace, on a kernel with CONFIG_AUDIT"),
    "nobody": Feature(_nobody, "as root: keep the checkout and its virtual environment where every user can read them"),
    "busybox": Feature(_program("busybox"), "apt-get install busybox-static"),
    "python3": Feature(lambda: Path("/usr/bin/python3").exists(), "apt-get install python3"),
    "time-namespace": Feature(Path("/proc/self/ns/time").exists, "run on a kernel with CONFIG_TIME_NS"),
    "x86_64": Feature(lambda: os.uname().machine == "x86_64", "run the tests on x86_64"),
    "checkout": Feature(lambda: _runs("git", "rev-parse", "--git-dir"), "run the tests in a git checkout"),
}
