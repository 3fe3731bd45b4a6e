"""Builds the native parts: the source of the cffi extension, the static programs and the BPF object.

Only the build uses this file (setup.py loads it by its path), so it imports nothing of harden.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

__all__ = [
    "COMMAND",
    "PROGRAMS",
    "BuildError",
    "build_bpf",
    "build_program",
    "check_requirements",
    "sources",
    "write_core_source",
]

NATIVE: Final = Path(__file__).resolve().parent
COMMAND: Final = "harden-start"
"""The program that is installed as the command `harden`."""
PROGRAMS: Final = {"harden-exec": "exec", "harden-prober": "prober", COMMAND: "start"}
"""Static program → folder of its C sources."""
BPF_OBJECT: Final = "harden.bpf.o"
SHARED_HEADERS: Final = {"exec": ("bpf/layout.h",)}
"""Folder → headers of others that its sources include."""

WARNINGS: Final = ("-Wall", "-Wextra", "-Werror")
DIALECT: Final = ("-std=gnu11", "-D_GNU_SOURCE")
HARDENING: Final = ("-fstack-protector-strong", "-fstack-clash-protection", "-fPIE", "-fno-asynchronous-unwind-tables")
CHECKED: Final = ("-fsanitize=bounds,object-size", "-fsanitize-undefined-trap-on-error")
"""What lies outside an array ends the program; musl has no _FORTIFY_SOURCE."""
STATIC_PIE: Final = (
    "-pie",
    "-nostartfiles",
    "-Wl,-static,--no-dynamic-linker,-z,text,-s,-z,relro,-z,now,-z,noexecstack",
)
"""With musl's start for it, which its compiler's specification does not know."""
SANITIZERS: Final = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
"""In place of HARDENING and STATIC_PIE: AddressSanitizer needs the dynamic loader."""
FREESTANDING: Final = ("-ffreestanding", "-fno-stack-protector", "-fno-pie", "-fno-builtin")
NO_LIBRARY: Final = ("-static", "-no-pie", "-nostdlib", "-Wl,-z,noexecstack")
"""The prober brings its own start-up code: it has to start under filters that allow next to nothing."""

HEADERS: Final = {
    "stdio.h": "libc6-dev",
    "linux/landlock.h": "linux-libc-dev",
    "linux/bpf.h": "linux-libc-dev",
    "seccomp.h": "libseccomp-dev",
    "bpf/libbpf.h": "libbpf-dev",
    "bpf/bpf_helpers.h": "libbpf-dev",
}
BPF_TARGETS: Final = {"x86_64": "x86", "aarch64": "arm64", "riscv64": "riscv", "ppc64le": "powerpc", "s390x": "s390"}


class BuildError(Exception):
    """One line: what is missing or failed, and the apt package that brings it."""


def check_requirements() -> None:
    """Look for every tool, header and library before anything is compiled; raises BuildError for the first missing."""
    compiler = _tool("cc", "gcc")
    for header, package in HEADERS.items():
        if _compile(compiler, ["-E", "-o", os.devnull], f"#include <{header}>\n").returncode:
            raise _missing(header, package)
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        raise _missing("Python.h", "python3-dev")
    for library, package in (("seccomp", "libseccomp-dev"), ("bpf", "libbpf-dev")):
        if _compile(compiler, ["-o", os.devnull], "int main(void) { return 0; }\n", [f"-l{library}"]).returncode:
            raise _missing(f"lib{library}.so", package)
    _tool("musl-gcc", "musl-tools")
    _tool("clang", "clang")
    _tool("llvm-strip", "llvm")


def sources(folder: str = "") -> list[Path]:
    """Every file of _native/`folder` that a build reads, in a stable order."""
    wanted = {".c", ".h", ".cdef"}
    return sorted(path for path in (NATIVE / folder).glob("*") if path.suffix in wanted)


def write_core_source(target: Path) -> None:
    """Write the C source of `harden._native._core` from all *.cdef and *.csrc.c files."""
    from cffi import FFI

    ffi = FFI()
    for declarations in sorted(NATIVE.glob("*.cdef")):
        ffi.cdef(declarations.read_text())
    preamble = "".join(f'#line 1 "{part}"\n{part.read_text()}\n' for part in sorted(NATIVE.glob("*.csrc.c")))
    ffi.set_source("harden._native._core", preamble, libraries=["seccomp", "bpf"])
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(None):
        ffi.emit_c_code(str(target))


def build_program(name: str, target: Path, *, sanitize: bool = False) -> bool:
    """Compile and link one static program; False when `target` is newer than all its sources.

    With `sanitize` it is compiled in any case, for tests: not static, with AddressSanitizer and
    UndefinedBehaviorSanitizer.
    """
    folder = PROGRAMS[name]
    inputs = [*sources(folder), *(NATIVE / header for header in SHARED_HEADERS.get(folder, ()))]
    units = [path for path in inputs if path.suffix == ".c"]
    if not units:
        raise BuildError(f"{name}: no C source in {NATIVE / folder}")
    if _is_fresh(target, inputs) and not sanitize:
        return False
    flags: Sequence[str]
    link: Sequence[str]
    compiler, flags, link = _tool("cc", "gcc"), FREESTANDING, NO_LIBRARY
    if sanitize:
        flags, link = SANITIZERS, ()
    elif folder != "prober":
        compiler, flags, link = _with_musl()
    branches = ["-fcf-protection"] if platform.machine() == "x86_64" else []
    # One compiler run over all units: the programs are small, and every unit is then built with the same flags.
    with _replacement(target) as output:
        _run(
            [
                compiler,
                "-O2",
                "-g0",
                *DIALECT,
                *WARNINGS,
                *flags,
                *branches,
                *map(str, units),
                *link,
                "-o",
                str(output),
            ]
        )
    return True


def _with_musl() -> tuple[str, Sequence[str], Sequence[str]]:
    """Compiler, flags and what to link for a static program: musl's start costs next to nothing, and each start of a
    sandbox pays for it; so does each byte of the program, which is copied into a sealed memfd."""
    compiler = _tool("musl-gcc", "musl-tools")
    command = [compiler, "-###", "-x", "c", os.devnull, "-o", os.devnull]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    found = re.search(r"""([^\s"']*)/S?crt1\.o""", said)
    if found is None or not Path(found[1], "rcrt1.o").is_file():
        raise _missing("musl's rcrt1.o", "musl-dev")
    folder = Path(found[1])
    # The kernel's headers are not musl's: they are looked for last, where the distribution has them.
    multiarch = sysconfig.get_config_var("MULTIARCH")
    kernel = ["/usr/include", *([f"/usr/include/{multiarch}"] if multiarch else [])]
    flags = [*HARDENING, *CHECKED, *(word for path in kernel for word in ("-idirafter", path))]
    return compiler, flags, [*STATIC_PIE, *(str(folder / name) for name in ("rcrt1.o", "crti.o", "crtn.o"))]


def build_bpf(target: Path, work: Path) -> bool:
    """Compile the recorder's BPF programs; generated headers go to `work`. False when `target` is up to date."""
    main = NATIVE / "bpf" / "recorder.bpf.c"
    inputs = sources("bpf")
    if main not in inputs:
        raise BuildError(f"{target.name}: {main} does not exist")
    if _is_fresh(target, inputs):
        return False
    clang, strip = _tool("clang", "clang"), _tool("llvm-strip", "llvm")
    machine = platform.machine()
    if machine not in BPF_TARGETS:
        raise BuildError(f"{target.name}: no BPF target is known for the machine {machine}")
    includes = [f"-I{main.parent}", f"-I/usr/include/{sysconfig.get_config_var('MULTIARCH') or machine + '-linux-gnu'}"]
    if any('"vmlinux.h"' in path.read_text() for path in inputs):
        work.mkdir(parents=True, exist_ok=True)
        (work / "vmlinux.h").write_text(_kernel_types())
        includes.append(f"-I{work}")
    with _replacement(target) as output:
        define = f"-D__TARGET_ARCH_{BPF_TARGETS[machine]}"
        # v3: atomic operations that return the old value, and 32-bit jumps; kernels take it since 5.12.
        options = ["-target", "bpf", "-mcpu=v3", define, "-O2", "-g", "-std=gnu11", *WARNINGS, *includes]
        _run([clang, *options, "-c", str(main), "-o", str(output)])
        # -g strips DWARF and keeps BTF, which CO-RE needs.
        _run([strip, "-g", str(output)])
    return True


def _kernel_types() -> str:
    bpftool = shutil.which("bpftool") or shutil.which("bpftool", path="/usr/sbin:/sbin")
    if bpftool is None:
        raise _missing("bpftool", "bpftool")
    dump = [bpftool, "btf", "dump", "file", "/sys/kernel/btf/vmlinux", "format", "c"]
    return _run(dump)


def _is_fresh(target: Path, inputs: Iterable[Path]) -> bool:
    if not target.is_file():
        return False
    built = target.stat().st_mtime
    return all(path.stat().st_mtime < built for path in (*inputs, Path(__file__)))


@contextlib.contextmanager
def _replacement(target: Path) -> Iterator[Path]:
    """A file to write beside `target` that takes its place when the block succeeds.

    A program that is running from `target` keeps its old file, and a failed build leaves the old one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as folder:
        output = Path(folder, target.name)
        yield output
        output.replace(target)


def _tool(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise _missing(name, package)
    return found


def _missing(what: str, package: str) -> BuildError:
    return BuildError(f"{what} not found: apt-get install {package}")


def _compile(
    compiler: str, options: Sequence[str], text: str, link: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    command = [compiler, *options, "-x", "c", "-", *link]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def _run(command: Sequence[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        said = "\n".join(result.stderr.splitlines()[:40])
        raise BuildError(f"{' '.join(command)} ended with status {result.returncode}\n{said}")
    return result.stdout
