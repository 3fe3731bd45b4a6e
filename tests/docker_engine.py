"""A real Docker engine for one test: its own data, socket, network and cgroups; no rule of this machine's firewall."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.namespaced import NOTICES, namespaced

__all__ = ["CLIENT", "docker_engine"]

CLIENT: Final = "/usr/bin/docker"
_TIMEOUT_S: Final = 60
_START: Final = f"""
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
export NOTIFY_SOCKET="$1/{NOTICES}"
exec dockerd --host "unix://$1/sock" --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" \\
    --storage-driver vfs --exec-opt native.cgroupdriver=cgroupfs --bridge none --iptables=false --ip6tables=false \\
    --ip-forward=false --ip-masq=false --userland-proxy=false
"""


@contextmanager
def docker_engine(folder: Path, images: Mapping[str, Path]) -> Iterator[dict[str, str]]:
    """An engine with its files in `folder`, and images made of folders; gives the environment of its clients."""
    environment = {
        "DOCKER_HOST": f"unix://{folder}/sock",
        "DOCKER_CONFIG": str(folder / "client"),
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    }
    with namespaced(_START, folder):
        for name, root in images.items():
            pack = ["tar", "--create", "--directory", str(root), "."]
            with subprocess.Popen(pack, stdout=subprocess.PIPE) as packer:
                subprocess.run(
                    [CLIENT, "import", "-", name], stdin=packer.stdout, env=environment, check=True, timeout=_TIMEOUT_S
                )
            assert packer.returncode == 0
        yield environment
