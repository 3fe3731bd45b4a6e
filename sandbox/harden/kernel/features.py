"""What this kernel and this user can do, as found by trial."""

from __future__ import annotations

import errno as errno_module
import os
from collections.abc import Mapping

import msgspec

from harden.kernel.controllers import Controller
from harden.kernel.subid import IdRanges
from harden.model.control import Control

__all__ = ["Features", "Trial"]

_NOT_DONE = 4000
"""E_NOT_DONE of `_native/exec/sys.h`."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one trial: errno 0 when it worked, else the call that failed; None when it could not be tried."""

    errno: int | None
    call: str

    @property
    def works(self) -> bool:
        """Whether the trial succeeded."""
        return self.errno == 0

    @property
    def detail(self) -> str:
        """The failure as strace would print it."""
        if self.errno is None:
            return f"{self.call}: not tried"
        if self.errno == 0:
            return "works"
        if self.errno == _NOT_DONE:
            return (
                f"{self.call}: it says that it was done, and it was not: a filter around harden answers for the kernel"
            )
        return f"{self.call}: {errno_module.errorcode.get(self.errno, self.errno)} ({os.strerror(self.errno)})"


class Features(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a plan depends on. `trials` is keyed by the names that harden-exec's probe prints."""

    euid: int
    egid: int
    trials: Mapping[str, Trial]
    landlock_abi: int
    idmap: Mapping[bytes, int]
    """Mount point → errno of showing it through an id map (mount_setattr(2)); 0: works. As root only."""
    overlay: Mapping[bytes, int]
    """Mount point → errno of using it as an overlay's lower layer; 0: works. As root only."""
    cgroup: bytes | None
    """Folder of the own cgroup in the v2 hierarchy, if there is one."""
    cgroup_writable: bool
    cgroup_kill: bool
    controllers: Mapping[Control, Controller]
    id_ranges: IdRanges
    """What an ordinary user may map beside its own id."""
    apparmor: bool
    seccomp_filters: int
    """Filters that harden itself runs under already, such as a container's."""

    @property
    def root(self) -> bool:
        """Whether harden runs as root."""
        return self.euid == 0

    def works(self, name: str) -> bool:
        """Whether the trial `name` succeeded; a trial that was never made did not."""
        trial = self.trials.get(name)
        return trial is not None and trial.works

    def detail(self, name: str) -> str:
        """Why the trial `name` failed."""
        trial = self.trials.get(name)
        return trial.detail if trial is not None else f"{name}: not tried"
