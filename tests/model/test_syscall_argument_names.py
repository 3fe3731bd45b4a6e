"""Names of argument values against the headers they come from."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping

import pytest

from harden.model import syscall_argument_names as table
from harden.model.syscall_argument import ARGUMENT_ROWS, parse_values, render_values

NEWER = {
    *("MFD_NOEXEC_SEAL", "MFD_EXEC", "SCHED_EXT"),
    *(name for number, name in table.IO_URING_REGISTRATIONS.items() if number > 25),
}
"""Than the headers of the oldest distribution that is built on."""


@pytest.mark.requires("gcc")
@pytest.mark.parametrize(
    ("names", "headers"),
    [
        (table.PTRACE_REQUESTS, ("linux/ptrace.h", "asm/ptrace-abi.h")),
        (table.MOUNT_FLAGS, ("linux/mount.h",)),
        (table.UNMOUNT_FLAGS, ("sys/mount.h",)),
        (table.MEMFD_FLAGS, ("linux/memfd.h",)),
        (table.SHMAT_FLAGS, ("linux/shm.h",)),
        (table.SHM_COMMANDS, ("linux/ipc.h", "linux/shm.h")),
        (table.SEMAPHORE_COMMANDS, ("linux/ipc.h", "linux/sem.h")),
        (table.MESSAGE_COMMANDS, ("linux/ipc.h", "linux/msg.h")),
        (table.SCHEDULING_POLICIES, ("linux/sched.h",)),
        (table.IO_URING_REGISTRATIONS, ("linux/io_uring.h",)),
        (table.PERF_FLAGS, ("linux/perf_event.h",)),
        (table.RESOURCES, ("linux/resource.h",)),
        (table.USERFAULTFD_FLAGS, ("linux/userfaultfd.h", "fcntl.h")),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_names_have_the_values_of_the_headers(names: Mapping[int, str], headers: tuple[str, ...], tmp_path) -> None:
    known = {number: name for number, name in names.items() if name not in NEWER}
    source = "".join(f"#include <{header}>\n" for header in headers) + "#include <stdio.h>\nint main(void) {\n"
    # Some are enumerators and some macros: the compiler knows both.
    source += "".join(f'printf("%ld {name}\\n", (long){name});\n' for name in known.values()) + "return 0; }\n"
    program = tmp_path / "values"
    subprocess.run(["gcc", "-x", "c", "-", "-o", program], input=source, text=True, check=True)
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    values = {name: int(number) & 0xFFFFFFFF for number, name in re.findall(r"^(-?\d+) (\w+)$", printed, re.MULTILINE)}
    assert {name: number for number, name in known.items()} == values


@pytest.mark.parametrize(
    ("call", "values", "texts"),
    [
        ("ptrace", (16,), ("PTRACE_ATTACH",)),
        ("ptrace", (0x4206,), ("PTRACE_SEIZE",)),
        ("mount", (0x5000,), ("MS_BIND|MS_REC",)),
        ("mount", (0,), ("0",)),
        ("umount2", (2,), ("MNT_DETACH",)),
        ("memfd_create", (3,), ("MFD_CLOEXEC|MFD_ALLOW_SEALING",)),
        ("shmat", (0o100000,), ("SHM_EXEC",)),
        ("semctl", (16,), ("SETVAL",)),
        ("sched_setscheduler", (1,), ("SCHED_FIFO",)),
        ("getsockopt", (1, 4), ("SOL_SOCKET", "SO_ERROR")),
        ("io_uring_register", (2,), ("IORING_REGISTER_FILES",)),
        ("perf_event_open", (8,), ("PERF_FLAG_FD_CLOEXEC",)),
        ("prlimit64", (7,), ("RLIMIT_NOFILE",)),
        ("setrlimit", (4,), ("RLIMIT_CORE",)),
        ("quotactl", (0x80000700,), ("Q_GETQUOTA",)),
        ("quotactl_fd", (0x80000100,), ("Q_SYNC",)),
        ("sysfs", (3,), ("3",)),
        ("userfaultfd", (0x80001,), ("UFFD_USER_MODE_ONLY|O_CLOEXEC",)),
    ],
)
def test_values_are_written_by_name_and_read_back(call, values, texts):
    row = ARGUMENT_ROWS[call]
    assert render_values(row, values) == texts
    assert parse_values(row, texts) == values


@pytest.mark.requires("gcc")
def test_commands_of_quotactl_are_those_that_qcmd_makes(tmp_path) -> None:
    names = table.QUOTA_COMMANDS
    source = "#include <linux/quota.h>\n#include <stdio.h>\nint main(void) {\n"
    source += "".join(f'printf("%u\\n", (unsigned)QCMD({name}, 0));\n' for name in names.values()) + "return 0; }\n"
    program = tmp_path / "values"
    subprocess.run(["gcc", "-x", "c", "-", "-o", program], input=source, text=True, check=True)
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    assert [int(line) for line in printed.split()] == list(names)
