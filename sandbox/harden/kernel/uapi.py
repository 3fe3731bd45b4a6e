"""Constants of the kernel's user-space interface that the standard library lacks; the header is named per block."""

from __future__ import annotations

from typing import Final

__all__ = [
    "AUDIT_ARCH_AARCH64",
    "AUDIT_ARCH_I386",
    "AUDIT_ARCH_X86_64",
    "CLONE_NEWCGROUP",
    "CLONE_NEWIPC",
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWTIME",
    "CLONE_NEWUSER",
    "CLONE_NEWUTS",
    "LANDLOCK_FILE_RIGHTS_OF_ABI",
    "LANDLOCK_NETWORK_RIGHTS_OF_ABI",
    "LANDLOCK_SCOPES_OF_ABI",
    "MOUNT_ATTR_NODEV",
    "MOUNT_ATTR_NOEXEC",
    "MOUNT_ATTR_NOSUID",
    "MOUNT_ATTR_RDONLY",
    "TIOCLINUX",
    "TIOCSTI",
]

# linux/sched.h
CLONE_NEWTIME: Final = 0x00000080
CLONE_NEWNS: Final = 0x00020000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

# linux/mount.h
MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4
MOUNT_ATTR_NOEXEC: Final = 0x8

# linux/landlock.h: the highest bit + 1 that each ABI knows (landlock(7)), index = ABI
LANDLOCK_FILE_RIGHTS_OF_ABI: Final = (0, 13, 14, 15, 15, 16, 16, 16)
LANDLOCK_NETWORK_RIGHTS_OF_ABI: Final = (0, 0, 0, 0, 2, 2, 2, 2)
LANDLOCK_SCOPES_OF_ABI: Final = (0, 0, 0, 0, 0, 0, 2, 2)

# asm-generic/ioctls.h
TIOCSTI: Final = 0x5412
TIOCLINUX: Final = 0x541C

# linux/audit.h
AUDIT_ARCH_I386: Final = 0x40000003
AUDIT_ARCH_X86_64: Final = 0xC000003E
AUDIT_ARCH_AARCH64: Final = 0xC00000B7
