"""How much a single right adds to what a hostile program can do, from 1 (little) to 10 (the host is its), and why.

The numbers order a diff, no more: two profiles are never compared by a sum alone. Sources: capabilities(7),
syscalls(2), seccomp(2), and the kernel documentation of each call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from harden.model.guarded_root import is_beneath
from harden.model.network_rule import NetworkOperation, NetworkRule
from harden.model.path_pattern import PathPattern
from harden.model.recording import FileOperation
from harden.model.resource_limit import LimitName

__all__ = [
    "CAPABILITY_RISKS",
    "CHANGING",
    "SYSCALL_RISKS",
    "Risk",
    "capability_risk",
    "file_risk",
    "limit_risk",
    "network_risk",
    "syscall_risk",
]


class Risk(msgspec.Struct, frozen=True, order=True):
    """A weight and the half sentence that says why."""

    weight: int
    why: str


def _rows(*rows: tuple[int, str, str]) -> Mapping[str, Risk]:
    return {name: Risk(weight, why) for weight, why, names in rows for name in names.split()}


SYSCALL_RISKS: Final = _rows(
    (10, "loads code into the kernel",
     "init_module finit_module delete_module create_module kexec_load kexec_file_load"),
    (9, "reaches raw hardware or stops the machine", "iopl ioperm reboot"),
    (9, "loads programs into the kernel", "bpf"),
    (9, "reads and writes the memory and registers of other processes",
     "ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp process_madvise"),
    (8, "changes what the file system is",
     "mount umount umount2 pivot_root move_mount fsopen fsmount fsconfig fspick open_tree open_tree_attr"),
    (8, "changes what a mount allows", "mount_setattr"),
    (8, "opens files by handle, past every folder's permissions", "open_by_handle_at"),
    (8, "makes system calls that no filter sees", "io_uring_setup io_uring_enter io_uring_register"),
    (8, "enters or makes namespaces, where unprivileged code holds every capability", "unshare setns"),
    (7, "pauses the kernel at a page fault, the classic aid to win its races", "userfaultfd"),
    (7, "measures the kernel and other processes; a long record of kernel bugs", "perf_event_open"),
    (7, "makes a process with any flags behind a pointer, where no filter sees them", "clone3"),
    (6, "changes the machine for everybody",
     "swapon swapoff acct quotactl quotactl_fd sethostname setdomainname syslog vhangup nfsservctl"),
    (6, "sets the machine's clock", "settimeofday clock_settime adjtimex clock_adjtime"),
    (6, "keeps or reads keys in the kernel; a long record of kernel bugs", "add_key request_key keyctl"),
    (5, "starts another program", "execve execveat"),
    (5, "changes the root or the identity of the process",
     "chroot setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset"),
    (5, "moves pages of other processes", "move_pages migrate_pages mbind set_mempolicy set_mempolicy_home_node"),
    (5, "changes how the kernel treats this process, ASLR included", "personality modify_ldt"),
    (4, "makes device nodes", "mknod mknodat"),
    (4, "talks to the network or to other processes",
     "socket connect bind listen accept accept4 sendto sendmsg sendmmsg"),
    (4, "asks a driver to do anything it can", "ioctl"),
    (4, "sends signals to or watches other processes",
     "kill tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open pidfd_send_signal"),
    (3, "makes memory executable or changes protections",
     "mmap mprotect pkey_mprotect shmat remap_file_pages memfd_secret"),
    (3, "makes processes", "fork vfork clone"),
    (3, "changes owners, permissions or attributes of files",
     "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat setxattr lsetxattr fsetxattr setxattrat"),
    (3, "makes a file that exists in memory only, which can then be executed", "memfd_create"),
    (2, "changes or removes files",
     "unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat rmdir truncate ftruncate creat"),
)  # fmt: skip
"""By name; every other call weighs 1."""

CAPABILITY_RISKS: Final = _rows(
    (10, "is root in all but name", "CAP_SYS_ADMIN"),
    (10, "loads kernel modules", "CAP_SYS_MODULE"),
    (10, "reaches raw memory and I/O ports", "CAP_SYS_RAWIO"),
    (9, "controls every process of its namespace", "CAP_SYS_PTRACE"),
    (9, "passes every file permission", "CAP_DAC_OVERRIDE"),
    (9, "loads BPF programs", "CAP_BPF"),
    (8, "reads every file, and opens by handle", "CAP_DAC_READ_SEARCH"),
    (8, "reconfigures the network: interfaces, routes, firewall", "CAP_NET_ADMIN"),
    (8, "passes or changes the mandatory access control", "CAP_MAC_OVERRIDE CAP_MAC_ADMIN"),
    (8, "stops the machine or loads another kernel", "CAP_SYS_BOOT"),
    (7, "hands capabilities to files or other processes", "CAP_SETFCAP CAP_SETPCAP"),
    (7, "watches the whole machine's performance events", "CAP_PERFMON"),
    (7, "makes device nodes", "CAP_MKNOD"),
    (6, "sets the machine's clock", "CAP_SYS_TIME"),
    (6, "reads or writes the kernel's log and audit", "CAP_SYSLOG CAP_AUDIT_CONTROL CAP_AUDIT_READ"),
    (6, "forges packets", "CAP_NET_RAW"),
    (5, "becomes any user or group", "CAP_SETUID CAP_SETGID"),
    (5, "acts as the owner of every file", "CAP_CHOWN CAP_FOWNER CAP_FSETID CAP_LINUX_IMMUTABLE"),
    (5, "changes root", "CAP_SYS_CHROOT"),
    (4, "signals every process, or takes more than its share", "CAP_KILL CAP_SYS_RESOURCE CAP_SYS_NICE"),
)
"""By name; every other capability weighs 3."""

CHANGING: Final = frozenset(FileOperation) - {
    FileOperation.STAT, FileOperation.LIST, FileOperation.READ, FileOperation.LOCK, FileOperation.IOCTL,
    FileOperation.EXEC, FileOperation.MAP, FileOperation.CONNECT,
}  # fmt: skip
"""The file rights that change what is there."""

_SYSTEM: Final = (b"/etc", b"/usr", b"/bin", b"/sbin", b"/lib", b"/lib64", b"/boot", b"/proc/sys", b"/sys", b"/root")


def syscall_risk(name: str) -> Risk:
    """The risk of a granted call."""
    return SYSCALL_RISKS.get(name, Risk(1, "one more entry into the kernel"))


def capability_risk(name: str) -> Risk:
    """The risk of a granted capability."""
    return CAPABILITY_RISKS.get(name, Risk(3, "a privilege that is checked by itself"))


def file_risk(pattern: PathPattern, operations: frozenset[FileOperation]) -> Risk:
    """The risk of rights on a pattern: changing weighs more than executing, executing more than reading."""
    first = pattern.tokens[0]
    place = first if isinstance(first, bytes) else b"/"
    system = any(is_beneath(place.rstrip(b"/") or b"/", root) for root in _SYSTEM)
    wide = 0 if pattern.is_literal else (2 if "**" in pattern.tokens else 1)
    if operations & CHANGING:
        return Risk(min(10, (7 if system else 3) + wide), "changes files" + (" of the system" if system else ""))
    if operations & {FileOperation.EXEC, FileOperation.MAP}:
        return Risk(min(10, 4 + wide), "executes code from there")
    if operations & {FileOperation.IOCTL, FileOperation.CONNECT}:
        return Risk(min(10, 4 + wide), "talks to a device or a service")
    if operations & {FileOperation.READ, FileOperation.LOCK}:
        return Risk(2 + wide, "reads data that can then leave with whatever it may write or send")
    return Risk(1 + wide, "sees what is there")


def network_risk(rule: NetworkRule) -> Risk:
    """The risk of an address that may be bound or connected to."""
    if "RAW" in rule.type or rule.family in ("AF_PACKET", "AF_NETLINK"):
        return Risk(8, "reaches the network below TCP and UDP, or the kernel's own configuration")
    if rule.family == "AF_UNIX":
        return Risk(4, "talks to a service of the host")
    if rule.operation is NetworkOperation.CONNECT:
        return Risk(5, "sends what it can read elsewhere")
    return Risk(4, "takes connections")


_LIMITS: Final[Mapping[LimitName, str]] = {
    LimitName.MEMORY: "takes memory from the rest of the host",
    LimitName.PIDS: "makes more processes: a fork bomb takes all there are",
    LimitName.NOFILE: "holds more of the kernel's memory by open files and sockets",
}


def limit_risk(name: LimitName, *, lifted: bool) -> Risk:
    """Of a limit that is higher than it was, or gone."""
    return Risk(5 if lifted else 3, _LIMITS[name])
