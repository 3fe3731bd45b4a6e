"""Architectures as seccomp names them: the AUDIT_ARCH value of a system call's ABI.

Source: include/uapi/linux/audit.h. x32 shares x86_64's value and is told apart by bit 30 of the number (x86_64 psABI).
"""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["X32_SYSCALL_BIT", "Arch"]

X32_SYSCALL_BIT: Final = 0x40000000


class Arch(enum.StrEnum):
    """One system call ABI."""

    X86_64 = "x86_64"
    X32 = "x32"
    I386 = "i386"
    AARCH64 = "aarch64"

    @property
    def audit_arch(self) -> int:
        """The AUDIT_ARCH_* value that seccomp_data.arch holds."""
        return _AUDIT_ARCH[self]

    @property
    def oci_name(self) -> str:
        """The SCMP_ARCH_* name of the OCI runtime-spec."""
        return _OCI_NAME[self]


_AUDIT_ARCH: Final = {
    Arch.X86_64: 0xC000003E,
    Arch.X32: 0xC000003E,
    Arch.I386: 0x40000003,
    Arch.AARCH64: 0xC00000B7,
}
_OCI_NAME: Final = {
    Arch.X86_64: "SCMP_ARCH_X86_64",
    Arch.X32: "SCMP_ARCH_X32",
    Arch.I386: "SCMP_ARCH_X86",
    Arch.AARCH64: "SCMP_ARCH_AARCH64",
}
