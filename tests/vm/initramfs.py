"""The first root of a guest: busybox, the kernel's modules and one script, as the cpio archive that a kernel unpacks.

Source: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel (format "newc").
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.vm.kernel import Kernel

__all__ = ["write_initramfs"]

BOOT_SCRIPT: Final = Path(__file__).with_name("boot.sh")

# What the guest needs to find its root, and what harden and its tests need from modules there.
MODULES: Final = (
    *(
        "virtio_pci",
        "virtio_blk",
        "virtio_console",
        "virtio_rng",
        "ext4",
        "crypto-crc32c",
        "9pnet_virtio",
        "9p",
        "loop",
    ),
    *("overlay", "veth", "bridge", "dummy", "tun", "fuse"),
    *("nf_tables", "nft_ct", "nft_log", "nft_reject_inet", "nft_chain_nat", "nft_masq"),
)


def write_initramfs(kernel: Kernel, folder: Path) -> Path:
    """Make `folder`/initramfs for the kernel; its script is boot.sh."""
    tree = folder / "initramfs.tree"
    shutil.rmtree(tree, ignore_errors=True)
    for name in ("bin", "dev", "proc", "newroot"):
        (tree / name).mkdir(parents=True)
    shutil.copy2("/bin/busybox", tree / "bin/busybox")
    shutil.copy2(BOOT_SCRIPT, tree / "init")
    (tree / "init").chmod(0o755)
    _copy_modules(kernel, tree)
    target = folder / "initramfs"
    with gzip.open(target, "wb", compresslevel=1) as archive:
        for chunk in _cpio(tree):
            archive.write(chunk)
    shutil.rmtree(tree)
    return target


def _copy_modules(kernel: Kernel, tree: Path) -> None:
    for source in kernel.modules_with_dependencies(MODULES):
        target = tree / source.relative_to(kernel.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".xz":
            target.with_suffix("").write_bytes(lzma.decompress(source.read_bytes()))
        else:
            shutil.copyfile(source, target)
    lists = Path("lib/modules", kernel.release)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copyfile(kernel.folder / lists / name, tree / lists / name)
    subprocess.run(["/sbin/depmod", "--basedir", str(tree), kernel.release], check=True)


def _cpio(tree: Path) -> Iterator[bytes]:
    number = 0
    for folder, folders, files in os.walk(tree):
        for name in (*folders, *files):
            number += 1
            path = Path(folder, name)
            yield _entry(number, str(path.relative_to(tree)), path.lstat(), path)
    yield _entry(number + 1, "dev/console", None, None)
    yield _entry(0, "TRAILER!!!", None, None)


def _entry(number: int, name: str, status: os.stat_result | None, path: Path | None) -> bytes:
    data = path.read_bytes() if path is not None and path.is_file() else b""
    console = name == "dev/console"
    mode = status.st_mode if status is not None else stat.S_IFCHR | 0o600 if console else 0
    device = (5, 1) if console else (0, 0)
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    out = io.BytesIO()
    out.write(b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0")
    out.write(b"\0" * (-out.tell() % 4) + data)
    out.write(b"\0" * (-out.tell() % 4))
    return out.getvalue()
