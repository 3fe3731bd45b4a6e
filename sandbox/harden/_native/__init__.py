"""The native parts: the cffi extension `_core` (libseccomp, libbpf) and the files built beside it.

`_core` is imported by the modules that call it (`from harden._native._core import ffi, lib`), so that a command
which needs neither library does not load them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harden.errors import HardenError

__all__ = ["BPF_OBJECT", "LAUNCHER", "PROBER", "artefact"]

LAUNCHER: Final = "harden-exec"
"""Static program that builds the sandbox and executes the workload."""
PROBER: Final = "harden-prober"
"""Static program that tries a catalogue of actions under a profile."""
BPF_OBJECT: Final = "harden.bpf.o"
"""CO-RE BPF programs of the recorder."""


def artefact(name: str) -> Path:
    """Path of a built file; raises HardenError when the build did not make it."""
    path = Path(__file__).with_name(name)
    if not path.is_file():
        raise HardenError(f"{path}: this native part is missing", hint="build it: make build")
    return path
