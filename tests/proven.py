"""README's table of isolation, written from the tests that prove each row, and held against a run of them.

python -m tests.proven                      write the table into README.md
python -m tests.proven build/junit.xml      list the rows that no passed test of that run proves; status 1 if any
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Final

from tests.markers import marked

__all__ = ["FEATURES", "render_table", "unproven"]

README: Final = Path(__file__).resolve().parent.parent / "README.md"
BEGIN: Final = "<!-- isolation: written by `python -m tests.proven` -->\n"
END: Final = "<!-- end of isolation -->\n"
FEATURES: Final[dict[str, str]] = {
    "eight namespaces": "user, mount, pid, network, IPC, UTS, cgroup and time namespaces are the sandbox's own",
    "own root": "no name, link or mount leads past the new root; the old one is gone",
    "mounts by descriptor": "a path that is exchanged while a sandbox starts never leads to what it was not",
    "locked mounts": "with every capability nothing is uncovered, moved or made writable",
    "recursive read-only mounts": "what is read-only is so in all that is mounted below it",
    "own /proc and /sys": "new ones of the sandbox's namespaces; nothing can be bound over them",
    "masked and read-only kernel files": "no hazard of /proc or /sys can be opened for writing",
    "host sockets and FIFOs": "those in folders that are shown are covered, unless named or in one that `--bind` shows",
    "set-id bits and devices": "none can be made in what is writable for real",
    "own cgroup namespace": "no file of a cgroup can be written",
    "own network namespace": "neither abstract sockets nor the loopback of the host are reached",
    "Landlock scopes": "with the host's network Landlock keeps abstract sockets and ports away",
    "own keyrings": "no key of the caller is found",
    "shifted ids": "root inside is nobody outside; ids end where the range ends, groups cannot be shed",
    "capability sets": "all five hold what is granted, whatever the caller lets its children inherit",
    "no_new_privs": "a set-user-id program gains nothing",
    "nested user namespaces": "no call makes or joins one under a profile that does not grant it",
    "system calls of other ABIs": "int 0x80 and x32 kill",
    "system calls by argument": "the high half of an argument hides nothing",
    "io_uring": "it does not exist under a profile that does not grant it",
    "userfaultfd and FUSE": "nothing makes the kernel wait for the program",
    "other processes": "no call reaches into another process",
    "sealed launcher": "the launcher's program cannot be overwritten from inside",
    "closed descriptors": "of what the caller leaves open only 0, 1 and 2 get in",
    "own profile out of reach": "a program cannot change, replace or remove the files of its profile",
    "no core files": "the limit is 0 and cannot be raised",
    "bounded memory file systems": "each has a size",
    "no survivors": "no process outlives the program: daemons, stopped and vfork children",
    "nothing left behind": "mounts, cgroups, descriptors and children of the host are as before",
    "fails closed": "every call that the launcher makes, hidden in turn, stops the start and is named",
    "read back from the kernel": "a control that is not in force is found before the program's first instruction",
}
"""What a row is called → what holds."""


def render_table() -> str:
    """The rows in the order of FEATURES, each with the files of its tests; KeyError for one that has no test."""
    tests = marked("proves")
    rows = ["| isolation | what holds | proven in |", "|---|---|---|"]
    for feature, holds in FEATURES.items():
        files = sorted({f"[{Path(test.file).stem.removeprefix('test_')}]({test.file})" for test in tests[feature]})
        rows.append(f"| {feature} | {holds} | {', '.join(files)} |")
    return "\n".join(rows) + "\n"


def unproven(results: Path) -> list[str]:
    """The rows for which no test of the JUnit file passed, or one failed."""
    passed: set[str] = set()
    failed: set[str] = set()
    for case in ElementTree.parse(results).iter("testcase"):
        names = {each.get("value", "") for each in case.iter("property") if each.get("name") == "proves"}
        if case.find("failure") is not None or case.find("error") is not None:
            failed |= names
        elif case.find("skipped") is None:
            passed |= names
    return [feature for feature in FEATURES if feature not in passed - failed]


def _main(arguments: list[str]) -> int:
    if arguments:
        missing = unproven(Path(arguments[0]))
        sys.stdout.write(f"harden: {len(FEATURES) - len(missing)} of {len(FEATURES)} rows of isolation are proven\n")
        sys.stdout.writelines(f"harden: not proven by this run: {feature}\n" for feature in missing)
        return 1 if missing else 0
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}{render_table()}{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
