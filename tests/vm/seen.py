"""What a kernel gives to harden, as the README's table shows it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from typing import Final

import msgspec

from harden.kernel.features import Features
from harden.kernel.mountinfo import read_mounts
from harden.kernel.probe import probe
from harden.model.control import Control
from harden.trace.probe import probe_recorder

__all__ = ["Seen", "look", "render_table"]

_HOOKS: Final = ("fexit", "kprobe", "tracepoint")
_LIMITS: Final = ("cpu", "memory", "pids", "io", "cpuset")


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One kernel: its name in the table, and the cells of its column by the names of the rows."""

    kernel: str
    cells: dict[str, str]


def look() -> Seen:
    """Ask the running kernel, with what `harden doctor` uses."""
    features = probe()
    hooks: dict[str, bool] = {}
    for state in probe_recorder():
        if state.capability_hook:
            hooks[state.capability_hook] = hooks.get(state.capability_hook, True) and state.works
    return Seen(
        kernel=".".join(os.uname().release.split("-")[0].split("+")[0].split(".")[:2]),
        cells={
            "Landlock ABI": str(features.landlock_abi),
            "AppArmor": "yes" if features.apparmor else "no",
            "capability hooks": ", ".join(hook for hook in _HOOKS if hooks.get(hook)) or "none",
            "BPF LSM active": "yes" if "bpf" in _security_modules() else "no",
            "cgroup v2 controllers": ", ".join(name for name in _LIMITS if features.controllers[Control(name)].works)
            or "none",
            "id-mapped mounts": _mounts(features, "idmap"),
            "overlay layers": _mounts(features, "overlay"),
        },
    )


def _security_modules() -> list[str]:
    """securityfs is not mounted everywhere: it is mounted once more, where nobody else sees it."""
    script = 'mount -t securityfs none "$0" && cat "$0/lsm"'
    with tempfile.TemporaryDirectory() as folder:
        words = ["unshare", "--mount", "sh", "-c", script, folder]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout.strip().split(",")


def _mounts(features: Features, name: str) -> str:
    types = {mount.point: mount.filesystem.decode() for mount in read_mounts()}
    tried = getattr(features, name)
    good = sorted({types[point] for point, errno in tried.items() if errno == 0 and point in types})
    bad = sorted({types[point] for point, errno in tried.items() if errno and point in types} - set(good))
    return ", ".join((*good, *(f"not {each}" for each in bad)))


def render_table(columns: list[Seen]) -> str:
    """A Markdown table, one kernel a column."""
    heads = ["seen", *(f"Linux {column.kernel}" for column in columns)]
    rows = [heads, ["---"] * len(heads)]
    rows += [[name, *(column.cells[name] for column in columns)] for name in columns[0].cells]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
