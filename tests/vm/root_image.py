"""The guest's root: an ext4 image with the packages, the Python and the checkout that the tests need, as they are here.

A file system of its own, because what virtme-ng and the like show (9p, virtiofs) can be neither shown through an id map
nor be a layer of an overlay: a guest on it would test the degradation and nothing else.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

__all__ = ["GUEST_FOLDER", "write_root_image"]

ROOT: Final = Path(__file__).resolve().parent.parent.parent
START_SCRIPT: Final = Path(__file__).with_name("start.sh")
GUEST_FOLDER: Final = Path("/harden-guest")

PACKAGES: Final = (
    *(
        "bash",
        "coreutils",
        "findutils",
        "grep",
        "sed",
        "util-linux",
        "mount",
        "kmod",
        "procps",
        "base-files",
        "hostname",
    ),
    *("apparmor", "iproute2", "libseccomp2", "libbpf1", "python3", "uidmap", "dash"),
    *("sqlite3", "nginx-light", "redis-server", "redis-tools", "apache2-utils", "curl", "gcc", "libc6-dev"),
    *("memcached", "libmemcached-tools", "postgresql-15", "git", "openssl", "tzdata"),
)
_NOT_NEEDED: Final = re.compile(
    r"^/\.?$|^/(dev|proc|sys|run|tmp)(/|$)|/usr/share/(doc|man|locale|info|i18n|lintian|bug|perl|perl5|postgresql-common)(/|$)|/usr/lib/(llvm-|postgresql/15/lib/bitcode)|/perl/5|/usr/bin/.*-lto-|/lto1$|/cc1plus$"
)
_LINKS: Final = ("/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32", "/etc/alternatives", "/etc/ld.so.cache")
_SYSTEM_FILES: Final = (
    "/etc/passwd",
    "/etc/group",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/localtime",
)
_MADE_BY_PACKAGES: Final = (
    *("/etc/alternatives", "/etc/ssl", "/etc/postgresql", "/var/lib/postgresql", "/var/www/html"),
    *("/etc/nginx/sites-enabled", "/etc/nginx/modules-enabled", "/var/log/nginx", "/var/log/redis", "/var/lib/redis"),
)
"""What no package lists, because its scripts made it when it was installed."""
_KERNELS_OWN: Final = ("/dev", "/proc", "/sys", "/run", "/tmp")
_EMPTY: Final = (
    "dev",
    "proc",
    "sys",
    "run",
    "mnt/share",
    "root",
    "var/tmp",
    "var/lib",
    "var/log",
    "etc",
    "tmp",
    "home",
)
_CHECKOUT: Final = ("sandbox", "tests", "profiles", "templates", "build/victims")
_TOOLS_OF_THE_HOST: Final = re.compile(r"/(mypy|mypyc|ruff|clang|pip|jsonschema_specifications)(/|$)")


def write_root_image(folder: Path) -> Path:
    """Make `folder`/root.ext4."""
    tree, target = folder / "root.tree", folder / "root.ext4"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for name in _EMPTY:
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (tree / name).chmod(0o1777)
    _copy(_all_files(), tree)
    (tree / "root").chmod(0o755)  # a Python below it is for every user of the guest
    start = tree / GUEST_FOLDER.relative_to("/") / "start"
    start.parent.mkdir()
    shutil.copy2(START_SCRIPT, start)
    start.chmod(0o755)
    target.unlink(missing_ok=True)
    with open(target, "wb") as file:
        file.truncate(4 << 30)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(tree), str(target)], check=True)
    shutil.rmtree(tree)
    return target


def _all_files() -> Iterator[str]:
    yield from _LINKS
    yield from _SYSTEM_FILES
    yield from _package_files()
    for name in _MADE_BY_PACKAGES:
        yield from _below(Path(name))
    for library in Path("/usr/lib").glob("python3*"):
        yield from _below(library)  # with what the packages do not list: compiled modules
    yield from _below(Path(sys.prefix))
    yield from _python_files()
    for name in _CHECKOUT:
        yield from _below(ROOT / name)
    yield from (str(path) for path in ROOT.iterdir() if path.is_file())


def _below(folder: Path) -> Iterator[str]:
    for at, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _TOOLS_OF_THE_HOST.search(f"{at}/{name}")]
        yield at
        yield from (f"{at}/{name}" for name in (*files, *folders))


def _python_files() -> Iterator[str]:
    """The interpreter behind the virtual environment, and its standard library without its own tests."""
    library = Path(os.__file__).parent
    link = sys.executable
    while os.path.islink(link):
        yield link
        link = os.path.join(os.path.dirname(link), os.readlink(link))
    yield link
    yield from (str(path) for path in library.parent.glob("libpython*.so*"))
    unwanted = {"test", "site-packages", "idlelib", "ensurepip", "tkinter", "lib2to3"}
    for at, folders, files in os.walk(library):
        folders[:] = [name for name in folders if name not in unwanted and not name.startswith("config-")]
        yield at
        yield from (f"{at}/{name}" for name in files)


def _package_files() -> Iterator[str]:
    listed = subprocess.run(["dpkg", "-L", *sorted(_closure(PACKAGES))], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        if line.startswith("/") and not _NOT_NEEDED.search(line):
            yield line


def _closure(wanted: Iterable[str]) -> frozenset[str]:
    """The installed ones of the packages and of all that they depend on."""
    fields = "${Package}\t${Provides}\t${Pre-Depends}, ${Depends}\n"
    listed = subprocess.run(["dpkg-query", "-W", "-f", fields], capture_output=True, text=True, check=True).stdout
    needs: dict[str, str] = {}
    provides: dict[str, str] = {}
    for line in listed.splitlines():
        package, provided, depends = line.split("\t")
        needs[package] = depends
        provides |= dict.fromkeys(re.findall(r"[a-z0-9][a-z0-9+.-]+(?=[ ,(]|$)", provided), package)
    found: set[str] = set()
    queue = list(wanted)
    while queue:
        package = queue.pop()
        package = package if package in needs else provides.get(package, "")
        if package and package not in found:
            found.add(package)
            queue += re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]+)", needs[package])
    return frozenset(found)


def _copy(paths: Iterable[str], tree: Path) -> None:
    """Copy with owners, modes, times and attributes, and every parent folder with its own."""
    wanted: set[str] = set()
    for path in paths:
        folder, name = os.path.split(path)
        path = os.path.join(os.path.realpath(folder), name)
        while path != "/" and path not in wanted and os.path.lexists(path):
            wanted.add(path)
            path = os.path.dirname(path)
    names = "\0".join(sorted(path[1:] for path in wanted)).encode()
    pack = ["tar", "--create", "--no-recursion", "--directory=/", "--xattrs", "--null", "--files-from=-"]
    unpack = ["tar", "--extract", "--preserve-permissions", "--xattrs", "--xattrs-include=*", f"--directory={tree}"]
    with subprocess.Popen(pack, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as packer:
        assert packer.stdin is not None
        with subprocess.Popen(unpack, stdin=packer.stdout) as unpacker:
            packer.stdin.write(names)
            packer.stdin.close()
    if packer.returncode or unpacker.returncode:
        raise pytest.UsageError("tar could not copy the guest's files")
