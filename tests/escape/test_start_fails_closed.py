"""Calls that an outer filter answers with a lie, closed descriptors, starts that fail: nothing runs, nothing stays."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harden.kernel.executable import open_harden_exec, sealed_memfd
from harden.launch.encode import Header, encode
from harden.launch.ops import Code
from harden.launch.process import spawn
from harden.launch.spawn import start
from harden.model.sandbox import FileRule, LandlockRules, View
from tests.launch.hidden import Hidden, run_hidden
from tests.sandboxes import NOBODY, ROOT, features, harden_run, plan_of, python, run, shell

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "landlock", "nobody", "x86_64")

PRLIMIT64, LANDLOCK_RESTRICT_SELF, SIGNALFD4, SOCKETPAIR, CLOSE_RANGE, MOUNT_SETATTR = 302, 446, 289, 53, 436, 442
READ_ONLY = LandlockRules(
    handled_files=(1 << 15) - 1,
    handled_network=3,
    scoped=0,
    files=(FileRule(path=b"/", access=1 | 4 | 8),),
    bind_tcp=(),
    connect_tcp=(),
)


@pytest.fixture
def core_files() -> Iterator[None]:
    """What `ulimit -c` lets a program write."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    assert before[1] != 0, "raise the hard limit for core files"
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.mark.parametrize("uid", [None, NOBODY])
def test_a_limit_that_was_not_set_is_found_before_the_program_runs(uid, core_files):
    """Without a cgroup, as for an ordinary user, the program has to be killed one process at a time: it ran."""
    for _ in range(8):
        ended = harden_run(shell("echo the program ran"), uid=uid, refuse_after=(PRLIMIT64,), errno=0)
        assert (ended.returncode, ended.stdout) == (125, "")
        assert ended.stderr.startswith("harden: rlimits: the kernel says")
    assert harden_run(shell("ulimit -c; ulimit -Hc"), uid=uid).stdout == "0\n0\n"


@pytest.mark.proves("read back from the kernel")
@pytest.mark.parametrize("uid", [None, NOBODY])
def test_landlock_that_was_not_enforced_is_found_before_the_program_runs(uid):
    spec = shell("echo the program ran", landlock=READ_ONLY)
    ended = harden_run(spec, uid=uid, refuse_after=(LANDLOCK_RESTRICT_SELF,), errno=0)
    assert (ended.returncode, ended.stdout) == (125, "")
    assert "landlock: the kernel says" in ended.stderr
    assert "not refused" in ended.stderr
    assert harden_run(spec, uid=uid).stdout == "the program ran\n"


@pytest.mark.proves("read back from the kernel")
@pytest.mark.parametrize("view", View)
@pytest.mark.parametrize("uid", [None, NOBODY])
def test_mount_flags_that_were_not_set_are_found_before_the_program_runs(uid, view):
    """Everything would be writable that is shown read-only."""
    spec = shell("echo the program ran", view=view)
    lies, twin = run_hidden(spec, [Hidden(MOUNT_SETATTR, 0), Hidden(MOUNT_SETATTR, 0, option=(1, 12345))], uid)
    assert (lies.status, lies.output) == (125, "")
    assert "mount_setattr" in lies.message
    assert (twin.status, twin.output) == (0, "the program ran\n")


_EARLY = """
import sys
from pathlib import Path
from tests.sandboxes import harden_run, shell
own = Path(sys.argv[1])
# In a cgroup of its own: other tests make theirs beside it.
(own / "cgroup.procs").write_text("0")
ended = harden_run(shell("echo the program ran"), refuse_after=tuple(map(int, sys.argv[2:])), errno=24)
print(ended.returncode, ended.stdout, ended.stderr, [path.name for path in own.iterdir() if path.is_dir()], sep="|")
"""


@pytest.mark.requires("cgroup2")
@pytest.mark.parametrize("call", [PRLIMIT64, SIGNALFD4, SOCKETPAIR, CLOSE_RANGE, None])
def test_an_early_failure_says_so_and_leaves_no_cgroup(call):
    base = features().cgroup
    assert base is not None
    own = Path(os.fsdecode(base), f"early-{os.getpid()}-{call}")
    own.mkdir()
    try:
        ended = python(_EARLY, str(own), *([] if call is None else [str(call)]))
        code, output, message, left = ended.stdout.strip().split("|")
    finally:
        for folder in (*own.glob("*/*/"), *own.glob("*/"), own):
            folder.rmdir()
    if call is None:
        assert (code, output, message) == ("0", "the program ran\n", "")
    else:
        assert (code, output) == ("125", "")
        assert message.startswith("harden: ")
        assert "EMFILE" in message
    assert left == "[]"


_CLOSED = """
import os, sys
for number in map(int, sys.argv[1]):
    os.close(number)
from harden.launch.process import fill_standard_streams
fill_standard_streams()
from harden.kernel.probe import probe
from harden.launch.plan import plan
from harden.launch.spawn import exec_plan
from tests.sandboxes import spec_of
script = "for n in 0 1 2 3 4 5; do readlink /proc/self/fd/$n; done > /tmp/seen; cat /tmp/seen >&$0; true"
exec_plan(plan(spec_of("/bin/sh", "-c", script, sys.argv[2]), probe()))
"""


@pytest.mark.parametrize(("closed", "kept"), [("0", "1"), ("01", "2"), ("02", "1"), ("12", "0")])
def test_closed_standard_streams_do_not_become_descriptors_of_harden(closed, kept):
    reader, writer = os.pipe()
    ended = subprocess.run(
        [sys.executable, "-c", _CLOSED, closed, kept],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}/sandbox:{ROOT}"},
        stdin=writer,
        stdout=writer,
        stderr=writer,
        check=False,
        timeout=60,
    )
    os.close(writer)
    with open(reader) as output:
        seen = output.read().splitlines()
    assert ended.returncode == 0, seen
    # readlink is run with its standard output in the file.
    expected = {str(n): "/dev/null" if str(n) in closed else "pipe:[" for n in range(3)}
    assert len(seen) == 3, seen
    assert seen[0].startswith(expected["0"])
    assert seen[2].startswith(expected["2"])
    assert not any("harden" in line or "ids" in line for line in seen)


def test_messages_do_not_reach_the_terminal_raw():
    plan = plan_of(shell("true"))
    ops = tuple(
        msgspec.structs.replace(step, sentence="cannot \x1b]0;owned\x07 \x9b1m\x7f f\udcffg \u00e4 \u2192")
        if step.code is Code.CWD
        else step
        for step in plan.ops
    )
    ops = tuple(
        msgspec.structs.replace(step, strings=(b"/no/such/folder",)) if step.code is Code.CWD else step for step in ops
    )
    reader, writer = os.pipe2(os.O_CLOEXEC)
    program = open_harden_exec()
    encoded = sealed_memfd("plan", encode(ops, Header(), first_id=1879048192))
    pid = spawn(program, encoded, [encoded], (None, None, writer))
    for descriptor in (program, encoded, writer):
        os.close(descriptor)
    with open(reader, "rb") as output:
        message = output.read().decode()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 125
    assert "cannot \\x1b]0;owned\\x07 \\xc2\\x9b1m\\x7f f\\xffg \u00e4 \u2192" in message


def test_a_link_that_the_program_left_behind_gives_no_rights(tmp_path):
    """An earlier run replaced a folder of its own, to which a rule gives rights, by a link to /."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "out").mkdir()
    rules = msgspec.structs.replace(
        READ_ONLY,
        files=(
            FileRule(path=b"/usr", access=1 | 4 | 8),
            FileRule(path=b"/bin/sh", access=1 | 4),
            FileRule(path=os.fsencode(folder / "out"), access=4 | 8),
        ),
    )
    spec = shell(
        f"ls {folder}/out && echo twin; ls / && echo stolen",
        landlock=rules,
        view=View.MINIMAL,
        writable=(os.fsencode(folder),),
    )
    assert "twin\n" in run(spec).text
    (folder / "out").rmdir()
    (folder / "out").symlink_to("/")
    assert "stolen" not in run(spec).text.split()
    with start(plan_of(spec), gate=False) as sandbox:
        enforced = sandbox.wait(10).enforced
    assert enforced is not None
    assert "1 grant nothing" in next(c.value for c in enforced.controls if c.control == "landlock")
