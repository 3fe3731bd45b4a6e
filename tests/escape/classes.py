"""The classes of attack on a sandbox launcher, numbered: what went wrong in others, and what this suite tries.

`@pytest.mark.attack(5)` on a test says that it carries out class 5. A class is either tried or says why it cannot be;
tests/escape/test_classes.py holds that against the tests.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CLASSES", "NOT_APPLICABLE"]

CLASSES: Final[dict[int, str]] = {
    1: "overwriting the launcher's program through /proc/PID/exe (CVE-2019-5736)",
    2: "leaked descriptors, and a working folder that is one (CVE-2024-21626, CVE-2016-9962)",
    3: "descriptors that the launcher's language opens by itself",
    4: "tracing the launcher while it sets up, set-user-id launchers (CVE-2016-8659, CVE-2026-41163)",
    5: "exchanging a path between its check and its mount (CVE-2021-30465, CVE-2018-15664)",
    6: "a /proc or /sys of the root that is a symbolic link (CVE-2019-19921, CVE-2023-27561)",
    7: "a /dev of the root that is a symbolic link, or the host's (CVE-2026-41579, CVE-2026-47766)",
    8: "mount points that lead past the new root (CVE-2026-87766)",
    9: "exchanging the source of a mount (CVE-2024-42472, CVE-2026-34078, CVE-2024-1753)",
    10: "making folders through a link (CVE-2024-45310)",
    11: "replacing what masks are made of (CVE-2025-31133)",
    12: "replacing a terminal before it is shown (CVE-2025-52565)",
    13: "redirecting what the launcher writes to /proc (CVE-2025-52881, CVE-2019-16884)",
    14: "mounts that propagate to the host",
    15: "read-only mounts that are not, further below or after a remount",
    16: "an old root that is still there",
    17: "hazards in /proc and /sys: core_pattern, sysrq-trigger, kcore",
    18: "cgroup files: release_agent, limits of its own (CVE-2022-0492, CVE-2023-25809)",
    19: "running before the limits hold",
    20: "surviving the end: daemons, stopped and vfork children",
    21: "paths of cgroups that lead elsewhere",
    22: "typing into the caller's terminal: TIOCSTI, TIOCLINUX (CVE-2017-5226, CVE-2023-28100, CVE-2019-10063)",
    23: "job control and signals of the caller's terminal",
    24: "system calls of other ABIs: int 0x80, x32",
    25: "arguments compared at the wrong width",
    26: "clone3 beside clone",
    27: "calls newer than the filter",
    28: "io_uring, which no filter sees",
    29: "other processes: ptrace, process_vm_writev, pidfd_getfd, /proc/PID/mem",
    30: "changing memory between a user notification's decision and the call",
    31: "controls that are asked for, missing, and left out in silence",
    32: "filters without no_new_privs, set-user-id programs",
    33: "a filter of an outer container around the launcher",
    34: "inheritable and ambient capabilities (CVE-2022-29162, CVE-2022-24769)",
    35: "nested user namespaces (CVE-2022-0185, CVE-2023-0386)",
    36: "writing id maps into a process that got the number of a dead one",
    37: "supplementary groups, ids outside of the range",
    38: "hosts where a user namespace can be made but not used",
    39: "keyrings of the caller",
    40: "abstract sockets (CVE-2020-15257), D-Bus",
    41: "the host's loopback through a gateway",
    42: "names and numbers of users (CVE-2016-3697, CVE-2026-30892)",
    43: "names that are paths",
    44: "a program that edits its own profile",
    45: "words of the program that become options (CVE-2024-32462)",
    46: "core dumps",
    47: "memory file systems without an end",
    48: "making the kernel wait: userfaultfd, FUSE",
}
"""Number → what is tried."""

NOT_APPLICABLE: Final[dict[int, str]] = {
    30: "no decision is made by user notification: filters answer by number and argument alone",
}
"""Number → why there is nothing to try."""
