"""Debian's kernels, downloaded with apt and unpacked, never installed; kept by version and checksum."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import pytest

__all__ = ["KERNELS", "Kernel", "cache_folder", "fetch_kernel"]

KERNELS: Final = {"6.1": "linux-image-amd64", "6.12": "linux-image-6.12-amd64"}
"""The name of a guest → the package that depends on the newest image of that series."""


class Kernel(msgspec.Struct, frozen=True, kw_only=True):
    """An unpacked kernel."""

    release: str
    """As `uname -r` will say."""
    folder: Path
    """Holds boot/ and lib/modules/."""

    @property
    def image(self) -> Path:
        """What QEMU boots."""
        return self.folder / "boot" / f"vmlinuz-{self.release}"

    def modules_with_dependencies(self, names: Iterable[str]) -> tuple[Path, ...]:
        """The files of the modules and of all they need; those that are built in have none."""
        found: dict[Path, None] = {}
        for name in names:
            command = ["/sbin/modprobe", "--dirname", str(self.folder), "--set-version", self.release]
            answer = subprocess.run(
                [*command, "--show-depends", name], capture_output=True, text=True, check=True
            ).stdout
            found |= dict.fromkeys(Path(line.split()[1]) for line in answer.splitlines() if line.startswith("insmod"))
        return tuple(found)


def cache_folder() -> Path:
    """Where kernels are kept between checkouts."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "harden-vm")


def _apt(*arguments: str, cwd: Path | None = None) -> str:
    result = subprocess.run(arguments, cwd=cwd, capture_output=True, text=True, check=False)
    if result.returncode:
        raise pytest.UsageError(f"{' '.join(arguments)}: {result.stderr.strip()}")
    return result.stdout


def _image(series: str) -> tuple[str, str, str]:
    """The package that holds the newest image of the series, its version and its SHA-256, as apt's lists say."""
    found = re.search(r"Depends: (linux-image-\S+)", _apt("apt-cache", "depends", "--important", KERNELS[series]))
    facts = "" if found is None else _apt("apt-cache", "show", "--no-all-versions", found[1])
    version, digest = (re.search(rf"^{name}: (\S+)$", facts, re.MULTILINE) for name in ("Version", "SHA256"))
    if found is None or version is None or digest is None:
        raise pytest.UsageError(f"apt knows no image behind {KERNELS[series]}: the guests need Debian 12's packages")
    return found[1], version[1], digest[1]


def fetch_kernel(series: str) -> Kernel:
    """The newest kernel of the series that apt offers, from the cache where it is there already."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            folder = _unpacked(cache, *_image(series))
        except pytest.UsageError:
            _apt("apt-get", "--quiet", "update")  # lists that are not there, or name what the mirror no longer has
            folder = _unpacked(cache, *_image(series))
    (release,) = os.listdir(folder / "lib/modules")
    return Kernel(release=release, folder=folder)


def _unpacked(cache: Path, package: str, version: str, digest: str) -> Path:
    folder = cache / f"{package}_{version.replace(':', '-')}_{digest[:16]}"
    if not folder.exists():
        _unpack(package, version, digest, folder)
    return folder


def _unpack(package: str, version: str, digest: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        Path(scratch).chmod(0o755)
        _apt("apt-get", "--quiet", "download", f"{package}={version}", cwd=Path(scratch))
        (archive,) = Path(scratch).glob("*.deb")
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != digest:
            raise pytest.UsageError(f"{archive.name}: sha256 is {found}, apt promised {digest}")
        tree = Path(scratch, "tree")
        subprocess.run(["dpkg-deb", "--extract", str(archive), str(tree)], check=True)
        (release,) = os.listdir(tree / "lib/modules")
        subprocess.run(["/sbin/depmod", "--basedir", str(tree), release], check=True)
        tree.rename(folder)
