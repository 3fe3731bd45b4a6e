"""README's table of what each backend of `harden trace` sees, and cannot: `python -m tests.backends` writes it.

Each row is proven by tests that carry its name in `@pytest.mark.sees` and run over both backends.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from tests.markers import Marked, marked
from tests.page_section import with_section

__all__ = ["COMMAND", "FILE", "ROWS", "Row", "page", "runs_over_both", "table"]

FILE: Final = Path(__file__).resolve().parent.parent / "README.md"
COMMAND: Final = "python -m tests.backends"
_OVER_BOTH: Final = re.compile(r"^def \w+\(.*\b(recorded|recorded_by_all|names|backend|trace)\b.*\):$", re.MULTILINE)
"""Fixtures and parameters that stand for each backend in turn."""


class Row(NamedTuple):
    """What the backends make of one thing."""

    bpf: str
    notify: str


ROWS: Final[dict[str, Row]] = {
    "system calls and how often, by program, of all threads and children": Row("yes", "yes"),
    "arguments that matter": Row("yes", "yes"),
    "20,000 processes, 5,000 threads at once, fork bombs, vfork, daemons": Row("each call", "each call"),
    "100,000 different paths": Row("each; what goes beyond a limit is counted", "each; the limit is 114,688"),
    "names of 4,095 bytes, without encoding, with newlines": Row("whole", "whole"),
    "files that are opened": Row(
        "the object that the kernel opened", "the name, and where it led when the recorder looked: `looked-up`"
    ),
    "files that are named (unlink, rename, stat, …)": Row("the name and its folder", "the name and its folder"),
    "results and errnos": Row(
        "yes",
        "**no**: `unknown`; `absent` where nothing was there, `present` where a call that makes a name found it taken, "
        "or one that opens a file met a link that it does not follow. What is unknown is granted as asked, what was "
        "absent is not",
    ),
    "capabilities": Row(
        "each check and its verdict", "**no**. The program holds none but those of `--cap-add`, and none is granted"
    ),
    "phases": Row("yes", "**no**: all is `init`"),
    "whom signals go to": Row("yes", "**no**: the calls alone"),
    "the most tasks that lived at once": Row("yes", "**no**, but where the sandbox has a cgroup with `pids`"),
    "the highest descriptor of any process": Row("yes", "**no**"),
    "names that are looked up": Row("yes, in answers of DNS", "**no**: the server's address"),
    "user stacks of what is new": Row("yes, on x86-64 from Linux 6.1 on", "**no**"),
    "when, and by which process, something was first done": Row("yes", "yes"),
    "types of mounts, namespaces that clone3 asks for": Row("yes", "yes"),
    "operations of io_uring": Row("their names; opaque", "**no**; opaque"),
    "32-bit calls": Row(
        "with their own names, not what they open; opaque", "with their own names, not what they open; opaque"
    ),
    "what `open_by_handle_at` opens": Row("yes", "**no**: the call alone"),
    "calls that a seccomp filter refuses": Row("yes", "**no**"),
    "a program that ends before its first call": Row("yes", "that it was executed, not that it ran"),
    "a seccomp listener of the program's own": Row("works", "EBUSY; opaque"),
    "a program that is traced by ptrace": Row("opaque", "opaque"),
    "a recorder that is killed": Row("ends the program", "ends the program"),
    "two traces at once": Row("neither sees the other", "neither sees the other"),
}
"""What a row is called → what each backend sees of it."""


def runs_over_both(test: Marked) -> bool:
    """Whether the test has a parameter that stands for each backend in turn."""
    return _OVER_BOTH.search(test.source) is not None


def table() -> str:
    """The rows in the order of ROWS, each with the files of its tests; KeyError for one that has no test."""
    tests = marked("sees")
    rows = ["| what | by BPF | by user notification | proven in |", "|---|---|---|---|"]
    for name, row in ROWS.items():
        files = sorted({f"[{Path(test.file).stem.removeprefix('test_')}]({test.file})" for test in tests[name]})
        rows.append(f"| {name} | {row.bpf} | {row.notify} | {', '.join(files)} |")
    return "\n".join(rows) + "\n"


def page(text: str) -> str:
    """`text` with the table in its place."""
    return with_section(text, "backends", table())


if __name__ == "__main__":
    FILE.write_text(page(FILE.read_text()))
