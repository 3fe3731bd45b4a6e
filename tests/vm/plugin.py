"""`pytest -p tests.vm.plugin --guest=6.1`: tests run in a virtual machine, and their reports become this run's.

Collection happens here, on the host: which tests exist and which of them are for a guest needs no guest. Then one
machine per kernel is started, all at the same time, which runs all of them in one pytest; each of its reports is passed
to this session's hooks as if the test had run here, with the guest in its name.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conftest import compile_victim
from tests.vm.follow import Follower
from tests.vm.initramfs import write_initramfs
from tests.vm.kernel import KERNELS, fetch_kernel
from tests.vm.machine import Machine, emulator_command, kvm_boots
from tests.vm.portable import PORTABLE, trace_portable
from tests.vm.root_image import write_root_image
from tests.vm.selection import GUEST_FEATURES, is_for_after, is_for_guests

ROOT: Final = Path(__file__).resolve().parent.parent.parent
BUILD: Final = ROOT / "build/vm"
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
    if there:
        _run_guests([Guest(series, session, there, root) for series in session.config.getoption("guest") or KERNELS])
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


def _run_guests(guests: list[Guest]) -> None:
    """All at once: an emulated machine keeps no more than one processor busy."""
    with ExitStack() as stack:
        for guest in guests:
            stack.callback(guest.stop)
            guest.start()
        running = guests
        while running := [guest for guest in running if not guest.is_done()]:
            time.sleep(_POLL_S)


class Guest:
    """One kernel's run of all the tests."""

    def __init__(self, series: str, session: pytest.Session, items: list[pytest.Item], root: Path) -> None:
        self.series = series
        self.session = session
        self.root = root
        self.missing = dict.fromkeys(item.nodeid for item in items)
        self._share = share_of(series)
        self._boots = 0
        self._follower: Follower | None = None

    def start(self) -> None:
        """Prepare the machine and boot it."""
        self._share.mkdir(parents=True)
        self._write_request(self._share)
        folder = self._share.parent
        self._kernel = fetch_kernel(self.series)
        initramfs = write_initramfs(self._kernel, folder)
        self._parts = {"initramfs": initramfs, "root": self.root, "share": self._share}
        self._kvm = kvm_boots(self._kernel, **self._parts, log=folder / "trial.log")
        self._started = time.monotonic()
        self._boot()

    def _boot(self) -> None:
        log = self._share.parent / f"console.{self._boots}.log"
        self._boots += 1
        machine = Machine(emulator_command(self._kernel, **self._parts, log=log, kvm=self._kvm), log=log)
        machine.__enter__()
        self._follower = Follower(machine, self._share / "reports.jsonl")

    def stop(self) -> None:
        """End the machine, wherever it is."""
        if self._follower is not None:
            self._follower.close()
            self._follower.machine.__exit__(None, None, None)
            self._follower = None

    def is_done(self) -> bool:
        """Pass new reports on; at the end, fail what was never reported."""
        if self._follower is None:
            return True
        for line in self._follower.new_lines():
            self._handle(line)
        problem, machine = self._follower.problem, self._follower.machine
        if not problem:
            return False
        tail, ready = machine.log_tail(), machine.was_ready()
        self.stop()
        if not ready and self._boots < _BOOTS:
            self._boot()
            return False
        self._finish(problem, tail)
        return True

    def _finish(self, problem: str, tail: str) -> None:
        took = f"{'KVM' if self._kvm else 'emulated'}, {time.monotonic() - self._started:.0f} s"
        self.session.config.get_terminal_writer().line(f"\nLinux {self._kernel.release}, {took}")
        if self.missing:
            output = self._share / "output.txt"
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

    def _handle(self, line: dict[str, Any]) -> None:
        hook = self.session.config.hook
        if "start" in line:
            hook.pytest_runtest_logstart(nodeid=self._name(line["start"]), location=("", None, line["start"]))
            return
        report = hook.pytest_report_from_serializable(config=self.session.config, data=line["report"])
        if isinstance(report.longrepr, list):
            report.longrepr = tuple(report.longrepr)  # of a skip: JSON has no tuples
        nodeid = report.nodeid
        if report.when == "teardown":
            self.missing.pop(nodeid, None)
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
