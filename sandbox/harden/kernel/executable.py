"""harden-exec in a sealed memfd: what runs can be changed by nobody, and no path of the host leads to it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from harden.errors import HardenError, KernelError

__all__ = ["HARDEN_EXEC", "open_harden_exec", "sealed_memfd"]

HARDEN_EXEC: Final = Path(__file__).resolve().parent.parent / "_native" / "harden-exec"
_MFD_EXEC: Final = 0x10
_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def sealed_memfd(name: str, content: bytes, *, executable: bool = False) -> int:
    """A close-on-exec descriptor of `content` that nobody can change: memfd_create(2). Raises KernelError."""
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        try:
            descriptor = os.memfd_create(name, flags | (_MFD_EXEC if executable else 0))
        except OSError:
            # Before Linux 6.3 the flag is unknown, and every memfd is executable.
            descriptor = os.memfd_create(name, flags)
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    except OSError as error:
        raise KernelError(
            f'memfd_create("{name}", MFD_CLOEXEC|MFD_ALLOW_SEALING)',
            error.errno or 0,
            hint="the sysctl vm.memfd_noexec must not be 2; in a container, allow memfd_create in its seccomp profile",
        ) from None
    return descriptor


def open_harden_exec() -> int:
    """harden-exec as a sealed memfd; raises HardenError when it was not built."""
    try:
        content = HARDEN_EXEC.read_bytes()
    except OSError as error:
        raise HardenError(
            f"harden-exec cannot be read at {HARDEN_EXEC}: {error.strerror}", hint="build it: `make` or `pip install .`"
        ) from None
    return sealed_memfd("harden-exec", content, executable=True)
