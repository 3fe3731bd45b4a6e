"""Small recordings written by hand, and hypothesis strategies for any recording."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from harden import shipped
from harden.generate.profile import generate_profile
from harden.model.arch import Arch
from harden.model.baseline import BASELINE_FORMAT, FAMILIES_FORMAT, Baseline, Families
from harden.model.capability import Capability
from harden.model.document import encode_json, parse_toml
from harden.model.path_text import to_text
from harden.model.profile import Profile
from harden.model.recording import (
    ArgumentsSeen,
    CapabilityNamespace,
    CapabilitySeen,
    ExecutableSeen,
    FileOperation,
    FileSeen,
    Host,
    Phase,
    Recording,
    Resolution,
    Run,
    RunStatus,
    SocketOperation,
    SocketSeen,
    SyscallSeen,
)
from harden.model.resource_limit import PeakName
from harden.model.syscall import name_of, number_of, numbers
from harden.model.syscall_argument import ARGUMENT_ROWS
from harden.model.workload import Workload
from harden.recording_merge import merge_files

PROGRAM = "/usr/bin/app"


def baseline() -> Baseline:
    text = shipped.text("profiles/baseline.toml").encode()
    return parse_toml(text, Baseline, format=BASELINE_FORMAT, file="baseline.toml")


def families() -> Families:
    text = shipped.text("profiles/families.toml").encode()
    return parse_toml(text, Families, format=FAMILIES_FORMAT, file="families.toml")


def syscall(name: str, *, arch: Arch = Arch.X86_64, count: int = 1, **more: Any) -> SyscallSeen:
    number = number_of(arch, name)
    assert number is not None
    return SyscallSeen(executable=PROGRAM, arch=arch, nr=number, name=name, count=count, **more)


def arguments(name: str, values: tuple[int, ...] | None, *, count: int = 1, **more: Any) -> ArgumentsSeen:
    return ArgumentsSeen(executable=PROGRAM, arch=Arch.X86_64, name=name, values=values, count=count, **more)


def capability(name: str, *, granted: bool = True, call: str = "openat", count: int = 1, **more: Any) -> CapabilitySeen:
    more.setdefault("namespace", CapabilityNamespace.SANDBOX)
    return CapabilitySeen(executable=PROGRAM, capability=name, granted=granted, syscall=call, count=count, **more)


def file(path: str, *operations: str, result: str = "ok", call: str = "openat", **more: Any) -> tuple[FileSeen, ...]:
    return tuple(
        FileSeen(
            executable=PROGRAM,
            path=path,
            operation=FileOperation(operation),
            result=result,
            resolution=Resolution.OBJECT,
            syscall=call,
            count=1,
            **more,
        )
        for operation in operations
    )


def socket(operation: str, family: str, type_: str = "", **more: Any) -> SocketSeen:
    return SocketSeen(
        executable=PROGRAM, operation=SocketOperation(operation), family=family, type=type_, count=1, **more
    )


def run(**parts: Any) -> Run:
    """A run of /usr/bin/app in /srv/app; every part can be given, tuples of tuples are flattened."""
    workload = {"program": PROGRAM, "argv": ("app",), "cwd": "/srv/app"} | parts.pop("workload", {})
    files = tuple(
        seen for group in parts.pop("files", ()) for seen in (group if isinstance(group, tuple) else (group,))
    )
    return Run(
        workload=Workload(**workload),
        host=Host(kernel="6.18.0", arch=Arch.X86_64, recorder="by hand"),
        harden="0.1.0",
        status=RunStatus(exit_status=0, signal=None),
        files=files,
        **parts,
    )


def merged_by_files(runs: Iterable[Run]) -> bytes:
    """What is left when each run is a file of its own and the files are merged."""
    with tempfile.TemporaryDirectory() as name:
        paths = []
        for number, each in enumerate(runs):
            paths.append(Path(name, f"{number}.recording.json"))
            paths[-1].write_bytes(encode_json(Recording.of([each])))
        merge_files(paths, Path(name, "all.recording.json"))
        return Path(name, "all.recording.json").read_bytes()


def profile_of(*runs: Run, name: str = "app", **more: Any) -> Profile:
    return generate_profile(Recording.of(runs), name=name, baseline=baseline(), version="0.1.0", **more)


def small_run() -> Run:
    """A little server: reads its configuration, writes a log, keeps data, listens."""
    return run(
        executables=(
            ExecutableSeen(
                path=PROGRAM,
                interpreter="/lib64/ld-linux-x86-64.so.2",
                libraries=("/usr/lib/x86_64-linux-gnu/libc.so.6",),
            ),
        ),
        syscalls=(
            syscall("mmap", count=8),
            syscall("openat", count=12),
            syscall("socket"),
            syscall("bind"),
            syscall("clone3"),
            syscall("ioctl"),
        ),
        arguments=(
            arguments("mmap", (0,)),
            arguments("mmap", (4,)),
            arguments("socket", (2, 1, 0)),
            arguments("ioctl", (0x5401,)),
        ),
        capabilities=(capability("CAP_NET_BIND_SERVICE", call="bind"), capability("CAP_SYS_ADMIN", probing=True)),
        files=(
            file("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "map"),
            file("/etc/app/app.conf", "read"),
            file("/etc/app/local.conf", "read", result="ENOENT"),
            file("/var/log/app/app.log", "append"),
            file("/srv/app/data", "create", "read", "write"),
            file("/srv/app/temp-17.db", "create", "write", "unlink"),
            file("/proc/2/status", "read"),
        ),
        sockets=(socket("bind", "AF_INET", "SOCK_STREAM", address="0.0.0.0", port=80),),
    )


def small_recording() -> Recording:
    return Recording.of([small_run()])


def small_profile() -> Profile:
    return profile_of(small_run())


_names = (
    st.binary(min_size=1, max_size=8)
    .filter(lambda name: b"\0" not in name and b"/" not in name)
    .filter(lambda name: name not in (b".", b".."))
)
_folders = st.sampled_from([b"/srv/app", b"/etc", b"/tmp", b"/proc/12", b"/home/u/.ssh", b"/var/lib/x", b""])
path_bytes = st.builds(
    lambda folder, names: folder + b"".join(b"/" + name for name in names),
    _folders,
    st.lists(
        _names | st.sampled_from([b"tmpaB3xY9z", b"temp-12.rdb", b"a*b", b"@{pid}", b"x y", b'"', b"\n#"]),
        min_size=1,
        max_size=3,
    ),
)
paths = path_bytes.map(to_text)

phases = st.sampled_from([(Phase.INIT,), (Phase.SERVING,), (Phase.INIT, Phase.SERVING)])
firsts = st.fixed_dictionaries({}, optional={"first_us": st.integers(0, 1 << 40), "process": st.integers(2, 1 << 22)})
syscalls = st.builds(
    lambda arch, name, phases, first: syscall(name, arch=arch, phases=phases, **first),
    st.sampled_from([Arch.X86_64, Arch.X86_64, Arch.I386]),
    st.sampled_from(sorted(set(numbers(Arch.X86_64)) & set(numbers(Arch.I386)))),
    phases,
    firsts,
) | st.integers(900, 999).map(
    lambda nr: SyscallSeen(executable=PROGRAM, arch=Arch.X86_64, nr=nr, name=name_of(Arch.X86_64, nr), count=1)
)


@st.composite
def _arguments(draw: st.DrawFn) -> ArgumentsSeen:
    row = ARGUMENT_ROWS[draw(st.sampled_from(sorted(ARGUMENT_ROWS)))]
    values = tuple(draw(st.integers(0, 0xFFFFFFFF)) & argument.mask for argument in row.arguments)
    return arguments(row.syscall, draw(st.sampled_from([values, values, values, None])))


capabilities = st.builds(
    capability,
    st.sampled_from([each.name for each in Capability] + ["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"] * 10),
    granted=st.booleans(),
    call=st.sampled_from(["openat", "bind"]),
    count=st.integers(1, 3),
    probing=st.sampled_from([False, False, True]),
    namespace=st.sampled_from([*CapabilityNamespace]),
)
files = st.builds(
    lambda path, operation, result, folder, phases, first: file(
        path, operation, result=result, folder=folder, phases=phases, **first
    )[0],
    paths,
    st.sampled_from([*FileOperation]),
    st.sampled_from(["ok", "ok", "ok", "ENOENT", "EEXIST"]),
    st.booleans(),
    phases,
    firsts,
)
sockets = st.builds(
    lambda operation, where: socket(operation, *where[:2], address=where[2], port=where[3]),
    st.sampled_from([*SocketOperation]),
    st.sampled_from(
        [
            ("AF_INET", "SOCK_STREAM", "127.0.0.1", 80),
            ("AF_INET6", "SOCK_DGRAM", "::1", 0),
            ("AF_INET", "SOCK_STREAM", "", None),
            ("AF_UNIX", "SOCK_STREAM", "@a b ", None),
            ("AF_UNIX", "SOCK_DGRAM", "", None),
            ("AF_NETLINK", "SOCK_RAW", "", None),
            ("AF_UNSPEC", "", "", None),
        ]
    )
    | paths.map(lambda path: ("AF_UNIX", "SOCK_STREAM", path, None)),
)


peaks = st.dictionaries(st.sampled_from(PeakName).map(str), st.integers(1, 1 << 20).map(float), max_size=5)


@st.composite
def _run(draw: st.DrawFn) -> Run:
    seen = draw(st.lists(_arguments(), max_size=5))
    calls = [*draw(st.lists(syscalls, max_size=8)), *(syscall(each.name) for each in seen)]
    return run(
        workload={"argv": ("app", draw(paths))},
        syscalls=tuple(calls),
        arguments=tuple(seen),
        capabilities=tuple(draw(st.lists(capabilities, max_size=5))),
        files=tuple(draw(st.lists(files, max_size=12))),
        sockets=tuple(draw(st.lists(sockets, max_size=4))),
        peaks=draw(peaks),
    )


runs = _run()
recordings = st.lists(runs, min_size=1, max_size=3).map(Recording.of)
