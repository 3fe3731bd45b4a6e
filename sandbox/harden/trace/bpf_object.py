"""The recorder's BPF object, loaded through libbpf: programs, maps, ring buffer. Thin: no policy here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final

from harden._native import BPF_OBJECT, artefact
from harden.errors import HardenError

__all__ = ["BpfObject", "LoadError", "trampoline_errno"]

_FAILED_PROGRAM: Final = re.compile(r"prog '(\w+)': (?:BPF program load failed|failed to load|failed to find)")


class LoadError(HardenError):
    """libbpf or the kernel refused the object: which program (if one), the errno, and libbpf's own words."""

    def __init__(self, action: str, errno: int, log: str, *, program: str = "") -> None:
        found = _FAILED_PROGRAM.search(log)
        self.program = program or (found[1] if found else "")
        self.errno = errno
        self.log = log
        what = f"{action}, program {self.program}" if self.program and not program else action
        super().__init__(f"bpf: {what}: {os.strerror(errno)}", hint=explain_errno(errno))


def explain_errno(errno: int) -> str:
    """What to do when the kernel refuses BPF with `errno`."""
    if errno in (1, 13):
        return (
            "recording needs CAP_BPF and CAP_PERFMON in the initial user namespace: run as root, not inside an "
            "unprivileged container; kernel lockdown in confidentiality mode refuses it too "
            "(cat /sys/kernel/security/lockdown)"
        )
    if errno in (2, 3):
        return "the kernel lacks this hook or its types: build it with CONFIG_DEBUG_INFO_BTF (/sys/kernel/btf/vmlinux)"
    if errno in (22, 524, 95):
        return "the kernel is older than 6.1 or built without what this program uses; try a newer kernel"
    return "see the log of the verifier: harden doctor --json"


def trampoline_errno() -> int:
    """0 when the kernel takes fentry and fexit programs, else the errno it refuses them all with."""
    from harden._native._core import lib

    return -int(lib.harden_bpf_trampolines())


class BpfObject:
    """One open object. Everything the kernel holds for it goes away with `close()`."""

    def __init__(self, data: bytes | None = None) -> None:
        from harden._native._core import ffi, lib

        self._ffi = ffi
        self._lib = lib
        content = artefact(BPF_OBJECT).read_bytes() if data is None else data
        self._handle: Any = lib.harden_bpf_open(content, len(content))
        if not self._handle:
            raise LoadError(f"open {BPF_OBJECT}", ffi.errno, "")

    def __enter__(self) -> BpfObject:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Detach and unload everything; does nothing the second time."""
        if self._handle:
            self._lib.harden_bpf_close(self._handle)
            self._handle = None

    @property
    def log(self) -> str:
        """What libbpf and the verifier said."""
        text = self._ffi.string(self._lib.harden_bpf_log(self._handle))
        assert isinstance(text, bytes)
        return text.decode(errors="replace")

    def disable(self, programs: Iterable[str]) -> None:
        """Leave these programs out when loading."""
        for program in programs:
            self._check(self._lib.harden_bpf_enable(self._handle, program.encode(), False), f"choose {program}")

    def fill(self, section: str, content: bytes) -> None:
        """Set the content of a read-only data section before loading."""
        result = self._lib.harden_bpf_fill(self._handle, section.encode(), content, len(content))
        self._check(result, f"fill {section} with {len(content)} bytes")

    def resize(self, name: str, entries: int) -> None:
        """Let a map hold this many entries, before loading."""
        self._check(self._lib.harden_bpf_resize(self._handle, name.encode(), entries), f"resize map {name}")

    def load(self) -> None:
        """Hand maps and programs to the kernel; LoadError names the program it refused."""
        self._check(self._lib.harden_bpf_load(self._handle), "load")

    def attach(self, program: str) -> None:
        """Let a loaded program run at its hook."""
        result = int(self._lib.harden_bpf_attach(self._handle, program.encode()))
        if result < 0:
            raise LoadError(f"attach {program}", -result, self.log, program=program)

    def detach(self) -> None:
        """Take every program off its hook."""
        self._check(self._lib.harden_bpf_detach(self._handle), "detach")

    def write(self, section: str, content: bytes) -> None:
        """Replace the whole content of a data section while the programs run."""
        self._check(self._lib.harden_bpf_write(self._handle, section.encode(), content), f"write {section}")

    def iterate(self, program: str) -> None:
        """Run an iterator program to its end."""
        self._check(self._lib.harden_bpf_iterate(self._handle, program.encode()), f"iterate {program}")

    def misses(self) -> int:
        """How often the kernel skipped one of the programs because it was already running on that processor."""
        count = int(self._lib.harden_bpf_misses(self._handle))
        self._check(min(count, 0), "read program statistics")
        return count

    def open_ring(self, name: str, limit: int) -> int:
        """Make ready to drain one more ring buffer into memory, `limit` bytes at most; its number, from 0 on."""
        number = int(self._lib.harden_bpf_ring(self._handle, name.encode(), limit))
        self._check(min(number, 0), f"open ring buffer {name}")
        return number

    def drain(self, timeout_ms: int) -> int:
        """Wait until the kernel wakes us or the time is over, take what is there; returns the number of records."""
        taken = int(self._lib.harden_bpf_drain(self._handle, timeout_ms))
        self._check(min(taken, 0), "drain")
        return taken

    def overflows(self, ring: int) -> int:
        """Records that `open_ring`'s limit left no room for."""
        return int(self._lib.harden_bpf_overflows(self._handle, ring))

    def last_record(self) -> tuple[int, bytes]:
        """How many records of the first ring were drained, and the last of them, for the thread that drains."""
        record = self._ffi.new("const unsigned char **")
        count = int(self._lib.harden_bpf_last(self._handle, record))
        if not count:
            return 0, b""
        size = int(self._ffi.cast("uint32_t *", record[0])[0])
        return count, bytes(self._ffi.buffer(record[0] + 4, size))

    def records(self, ring: int) -> bytes:
        """All records of a ring drained so far, each behind its 32-bit size."""
        data = self._ffi.new("const unsigned char **")
        size = self._lib.harden_bpf_taken(self._handle, ring, data)
        return bytes(self._ffi.buffer(data[0], size)) if size else b""

    def read(self, name: str) -> bytes:
        """All entries of a map, key then value."""
        entries, size = self._ffi.new("unsigned char **"), self._ffi.new("size_t *")
        count = int(self._lib.harden_bpf_read(self._handle, name.encode(), entries, size))
        self._check(min(count, 0), f"read map {name}")
        try:
            return bytes(self._ffi.buffer(entries[0], count * size[0])) if count else b""
        finally:
            self._lib.harden_bpf_free(entries[0])

    def _check(self, result: int, action: str) -> None:
        if result < 0:
            raise LoadError(action, -int(result), self.log)
