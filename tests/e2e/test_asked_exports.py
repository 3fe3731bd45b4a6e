"""What a trace was given reaches the program under bwrap and crun as it does under `harden run`."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_exports import RUNTIMES, harden, started

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap")

GIVEN = ("--tmpfs", "/scratch:64K", "--hostname", "box", "--rlimit", "nofile=64:128", "--groups", "7")
SCRIPT = "cat /proc/sys/kernel/hostname; ulimit -n; id -G; head -c 100000 /dev/zero >/scratch/f; wc -c </scratch/f"


@pytest.fixture(scope="module")
def exported() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        harden(folder, "trace", "--name", "app", *GIVEN, "--", "/bin/sh", "-c", SCRIPT)
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.mark.requires("bwrap")
def test_bubblewrap_shows_the_name_and_the_folder(exported: Path) -> None:
    harden(exported, "export", "app.profile.toml", "--format", "bubblewrap", "-o", "app.bwrap.sh")
    harden(exported, "export", "app.profile.toml", "--format", "bubblewrap-filter", "-o", "app.bwrap.bpf")
    lines = started("sh", "app.bwrap.sh", folder=exported).stdout.split("\n")
    assert (lines[0], lines[-2]) == ("box", "65536")


@pytest.mark.requires("crun")
def test_crun_gives_all_of_it(exported: Path) -> None:
    (exported / "bundle/rootfs").mkdir(parents=True)
    place = exported / "bundle/config.json"
    harden(exported, "export", "app.profile.toml", "--format", "oci-bundle", "--runtime", "crun", "-o", str(place))
    config = json.loads(place.read_text())
    # Not what this is about, and a runtime refuses what the host has no controller for.
    config["linux"]["resources"] = {"devices": config["linux"]["resources"]["devices"]}
    place.write_text(json.dumps(config))
    words = ("--root", str(exported / "state"), "run", "--bundle", str(place.parent), f"harden-asked-{os.getpid()}")
    done = started(*RUNTIMES["crun"], *words, folder=exported)
    assert done.stdout.split("\n") == ["box", "64", "0 7", "65536", ""], done.stderr
