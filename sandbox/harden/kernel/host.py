"""The host as far as documents speak of it."""

from __future__ import annotations

import os

from harden.errors import HardenError
from harden.model.arch import Arch

__all__ = ["native_arch"]


def native_arch() -> Arch:
    """The architecture of this machine; HardenError on one that no table covers."""
    machine = os.uname().machine
    try:
        return Arch(machine)
    except ValueError:
        raise HardenError(f"this machine is {machine}; harden knows {', '.join(Arch)}") from None
