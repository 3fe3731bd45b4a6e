"""`pytest -p tests.vm.plugin --guest=6.1`: tests run in a virtual machine, and their reports become this run's.

Collection happens here, on the host: which tests exist and which of them are for a guest needs no guest. Then one
machine per kernel is started, which runs all of them in one pytest; each of its reports is passed to this session's
hooks as if the test had run here, with the guest in its name.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conftest import compile_victim
from tests.vm.initramfs import write_initramfs
from tests.vm.kernel import KERNELS, fetch_kernel
from tests.vm.machine import Machine, kvm_boots
from tests.vm.portable import PORTABLE, trace_portable
from tests.vm.root_image import write_root_image
from tests.vm.selection import GUEST_FEATURES, is_for_after, is_for_guests

ROOT: Final = Path(__file__).resolve().parent.parent.parent
BUILD: Final = ROOT / "build/vm"
_SILENCE_S: Final = 240.0
"""No report for so long means that the guest hangs: the slowest test takes a quarter of it."""
_TEST_TIMEOUT_S: Final = 200
_POLL_S: Final = 0.2
_BOOTS: Final = 3
"""A guest that dies before it runs a test is started again: that is the emulator's failure and not a test's."""
_COMPILED_HERE: Final = (
    ("gate", False),
    ("caps", False),
    ("caps", True),
    ("static_files", True),
    ("try_syscall", True),
)
"""Programs that many tests need: an emulated gcc is slow."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--guest", action="append", choices=tuple(KERNELS), help="run the tests in a guest with this kernel"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    every = not config.getoption("guest")
    chosen = [item for item in items if is_for_guests(item) or (every and is_for_after(item))]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    if session.config.option.collectonly:
        return None
    if session.testsfailed:
        raise session.Interrupted("a test file could not be read")
    here = [item for item in session.items if is_for_after(item)]
    there = [item for item in session.items if is_for_guests(item)]
    root = _prepare() if there else Path()
    for series in session.config.getoption("guest") or KERNELS:
        if there:
            Guest(series, session, there, root).run()
    os.environ["HARDEN_GUESTS_DONE"] = "1"
    for item, after in itertools.pairwise((*here, None)):
        assert item is not None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
    return True


def share_of(series: str) -> Path:
    """The folder that a guest shares with the host, as the host sees it; it outlives the guest."""
    return BUILD / series / "share"


def _prepare() -> Path:
    """What all guests are given: the root image, and profiles of the host."""
    for name, static in _COMPILED_HERE:
        compile_victim(name, static=static)
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    for name in PORTABLE:
        trace_portable(name, BUILD / "from-host")
    return write_root_image(BUILD)


class Guest:
    """One kernel's run of all the tests."""

    def __init__(self, series: str, session: pytest.Session, items: list[pytest.Item], root: Path) -> None:
        self.series = series
        self.session = session
        self.root = root
        self.missing = dict.fromkeys(item.nodeid for item in items)
        self.under_way = ""

    def run(self) -> None:
        """Start the machine, pass its reports on as they come, and fail what it never reported."""
        share = share_of(self.series)
        folder = share.parent
        share.mkdir(parents=True)
        self._write_request(share)
        kernel = fetch_kernel(self.series)
        initramfs = write_initramfs(kernel, folder)
        parts = {"initramfs": initramfs, "root": self.root, "share": share}
        kvm = kvm_boots(kernel, **parts, log=folder / "trial.log")
        started = time.monotonic()
        problem = tail = ""
        for attempt in range(_BOOTS):
            with Machine(kernel, **parts, log=folder / f"console.{attempt}.log", kvm=kvm) as machine:
                problem, tail = self._follow(machine, share), machine.log_tail()
            if machine.was_ready():
                break
        took = f"{'KVM' if kvm else 'emulated'}, {time.monotonic() - started:.0f} s"
        self.session.config.get_terminal_writer().line(f"\nLinux {kernel.release}, {took}")
        if self.missing:
            output = share / "output.txt"
            said = output.read_text(errors="replace")[-8000:] if output.exists() else ""
            self._fail_missing(f"{problem}\n\n--- pytest of the guest\n{said}\n--- console of the guest\n{tail}")

    def _write_request(self, share: Path) -> None:
        (share / "arguments").write_text("\n".join(["-q", "-ra", f"--timeout={_TEST_TIMEOUT_S}", *self.missing]) + "\n")
        (share / "reports.jsonl").touch()
        shutil.copytree(BUILD / "from-host", share / "from-host")
        variables = {
            "HARDEN_MUST_RUN": ",".join(GUEST_FEATURES),
            "HARDEN_GUEST": self.series,
            "CI": os.environ.get("CI", ""),
            "PYTHON": sys.executable,
            "CHECKOUT": str(ROOT),
        }
        lines = [f"export {name}='{value}'\n" for name, value in variables.items()]
        (share / "environment").write_text("".join(lines))

    def _follow(self, machine: Machine, share: Path) -> str:
        """Until the machine is over, or silent for too long; what was wrong, if a test is missing then."""
        last = time.monotonic()
        with open(share / "reports.jsonl") as reports:
            while True:
                over = machine.is_over()
                for line in _whole_lines(reports):
                    self._handle(json.loads(line))
                    last = time.monotonic()
                if over:
                    return f"the guest ended{' while ' + self.under_way + ' ran' if self.under_way else ''}"
                if time.monotonic() - last > _SILENCE_S:
                    return f"the guest hung: {self.under_way or 'no test'} was under way for {_SILENCE_S:.0f} s"
                time.sleep(_POLL_S)

    def _handle(self, line: dict[str, Any]) -> None:
        hook = self.session.config.hook
        if "start" in line:
            self.under_way = line["start"]
            hook.pytest_runtest_logstart(nodeid=self._name(line["start"]), location=("", None, line["start"]))
            return
        report = hook.pytest_report_from_serializable(config=self.session.config, data=line["report"])
        if isinstance(report.longrepr, list):
            report.longrepr = tuple(report.longrepr)  # of a skip: JSON has no tuples
        nodeid = report.nodeid
        if report.when == "teardown":
            self.missing.pop(nodeid, None)
            self.under_way = ""
        report.nodeid = self._name(nodeid)
        hook.pytest_runtest_logreport(report=report)
        if report.when == "teardown":
            hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)

    def _name(self, nodeid: str) -> str:
        return f"{nodeid}@{self.series}"

    def _fail_missing(self, problem: str) -> None:
        for number, nodeid in enumerate(self.missing):
            text = problem if number == 0 else "not run: see the first test that this guest did not report"
            report = pytest.TestReport(
                nodeid=self._name(nodeid),
                location=(nodeid.split("::")[0], None, nodeid),
                keywords={},
                outcome="failed",
                longrepr=text,
                when="call",
            )
            self.session.config.hook.pytest_runtest_logreport(report=report)


def _whole_lines(file: Any) -> Iterator[str]:
    """Lines that end with a newline; half of one is left for the next time."""
    yield from iter(functools.partial(_next_line, file), "")


def _next_line(file: Any) -> str:
    position = file.tell()
    line: str = file.readline()
    if not line.endswith("\n"):
        file.seek(position)
        return ""
    return line
