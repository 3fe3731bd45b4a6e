"""Calls that are refused with ENOSYS rather than EPERM, because their callers then do the same thing in an older way.

A C library or runtime tries the newest call first and falls back when the kernel has never heard of it (ENOSYS), while
EPERM is an answer that it passes on as a failure. A profile made where the older way was taken must not break there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["FALLBACKS"]

FALLBACKS: Final[Mapping[str, str]] = {
    "cachestat": "callers use mincore or do without",
    "clock_gettime64": "32-bit C libraries use clock_gettime",
    "clock_nanosleep_time64": "32-bit C libraries use clock_nanosleep",
    "clone3": "its flags are behind a pointer, so they cannot be checked; C libraries use clone",
    "close_range": "callers close descriptors one by one",
    "copy_file_range": "callers read and write",
    "epoll_pwait2": "callers use epoll_pwait",
    "execveat": "C libraries use execve on /proc/self/fd",
    "faccessat2": "C libraries use faccessat and check the flags themselves",
    "fchmodat2": "C libraries use fchmodat, or chmod on /proc/self/fd",
    "file_getattr": "callers use ioctl",
    "file_setattr": "callers use ioctl",
    "fsconfig": "callers use mount",
    "fsmount": "callers use mount",
    "fsopen": "callers use mount",
    "fspick": "callers use mount",
    "futex_requeue": "callers use futex",
    "futex_time64": "32-bit C libraries use futex",
    "futex_wait": "callers use futex",
    "futex_waitv": "callers use futex",
    "futex_wake": "callers use futex",
    "getrandom": "C libraries read /dev/urandom",
    "getxattrat": "callers use getxattr",
    "io_pgetevents": "callers use io_getevents",
    "io_uring_enter": "callers use epoll and read, write",
    "io_uring_register": "callers use epoll and read, write",
    "io_uring_setup": "callers use epoll and read, write",
    "landlock_add_rule": "callers do without",
    "landlock_create_ruleset": "callers do without",
    "landlock_restrict_self": "callers do without",
    "listmount": "callers read /proc/self/mountinfo",
    "listns": "callers read /proc",
    "listxattrat": "callers use listxattr",
    "lsm_get_self_attr": "callers read /proc/self/attr",
    "lsm_list_modules": "callers read /sys/kernel/security/lsm",
    "lsm_set_self_attr": "callers write /proc/self/attr",
    "map_shadow_stack": "C libraries run without a shadow stack",
    "membarrier": "callers use memory barriers on every access",
    "memfd_create": "callers use a temporary file",
    "memfd_secret": "callers use ordinary memory",
    "mount_setattr": "callers use mount",
    "move_mount": "callers use mount",
    "mseal": "C libraries leave the mapping unsealed",
    "open_tree": "callers use mount",
    "open_tree_attr": "callers use open_tree and mount_setattr",
    "openat2": "its flags are behind a pointer; callers use openat",
    "pidfd_getfd": "callers pass descriptors over a socket",
    "pidfd_open": "callers use the process id",
    "pidfd_send_signal": "callers use kill",
    "pkey_alloc": "callers use mprotect",
    "pkey_free": "callers use mprotect",
    "pkey_mprotect": "callers use mprotect",
    "ppoll_time64": "32-bit C libraries use ppoll",
    "preadv2": "C libraries use preadv when no flag is given",
    "process_madvise": "callers do without",
    "process_mrelease": "callers do without",
    "pselect6_time64": "32-bit C libraries use pselect6",
    "pwritev2": "C libraries use pwritev when no flag is given",
    "quotactl_fd": "callers use quotactl",
    "removexattrat": "callers use removexattr",
    "renameat2": "C libraries use renameat when no flag is given",
    "rseq": "C libraries run without restartable sequences",
    "set_mempolicy_home_node": "callers do without",
    "setxattrat": "callers use setxattr",
    "statmount": "callers read /proc/self/mountinfo",
    "statx": "C libraries use newfstatat, stat, lstat, fstat",
    "utimensat_time64": "32-bit C libraries use utimensat",
}
"""By name: what the caller does when the call is not implemented."""
