"""The memory file systems that a running sandbox writes to, for whoever may limit them: root of the host."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harden.errors import HardenError
from harden.launch.ops import Code
from harden.launch.plan import Plan

__all__ = ["opened_memory"]


@contextmanager
def opened_memory(plan: Plan, *, supervisor: int, init: int) -> Iterator[tuple[int, ...]]:
    """Open descriptors of their roots: of what takes the changes to copy-on-write folders, and of each own folder that
    nothing else is mounted over. `supervisor` and `init` are processes of the sandbox by their numbers on the host.

    What is bound writable is the host's and not among them. Raises HardenError for a folder that is not there any more.
    """
    made = {step.slots[0] for step in plan.ops if step.code is Code.TMPFS}
    own = [step.strings[0] for step in plan.ops if step.code is Code.ATTACH and step.slots[0] in made]
    host = _host_devices()
    with ExitStack() as stack:

        def opened(path: bytes, flags: int = 0, folder: int | None = None) -> int:
            try:
                descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | flags, dir_fd=folder)
            except OSError as error:
                raise HardenError(
                    f'open("{os.fsdecode(path)}"): {error.strerror}: a folder of the sandbox cannot be reached',
                    hint="its program has ended or has moved the folder: run it again without this perturbation",
                ) from None
            stack.callback(os.close, descriptor)
            return descriptor

        found = [opened(b"/proc/%d/cwd" % supervisor)] if any(step.code is Code.STAGING for step in plan.ops) else []
        root = opened(b"/proc/%d/root" % init)
        for target in own:
            folder = root
            for name in filter(None, target.split(b"/")):
                # A link would be followed from the root of this process.
                folder = opened(name, os.O_NOFOLLOW, folder)
            found.append(folder)
        # A number of the host's is a mount of the host that lies over the own one.
        yield tuple(folder for folder in found if os.fstat(folder).st_dev not in host)


def _host_devices() -> frozenset[int]:
    """The device numbers of every file system that is mounted in this process's namespace."""
    fields = (line.split(" ", 3)[2] for line in Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines())
    return frozenset(os.makedev(*map(int, field.split(":"))) for field in fields)
