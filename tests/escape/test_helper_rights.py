"""What a workload gains by replacing the program that a helper command executes: nothing."""

from __future__ import annotations

import os
import pty
import select
import sys
import time

import pytest

from harden.errors import UsageError
from harden.launch.spawn import start
from tests.sandboxes import ROOT, plan_of, python, run_script, shell

pytestmark = pytest.mark.requires("root", "cgroup2", "overlay", "idmap", "userns", "seccomp", "x86_64")

CAPABILITIES = frozenset({0, 1})
READ_STATUS = "grep -E '^(Cap|NoNewPrivs|Seccomp:|Seccomp_filters)' /proc/self/status; ulimit -c; ulimit -Hc"


def ask(sandbox, *argv: str) -> str:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    helper = sandbox.enter(argv, stdout=writer, stderr=writer)
    os.close(writer)
    with open(reader) as output:
        text = output.read()
    helper.wait(10)
    return text


def test_a_helper_has_the_rights_of_the_program_and_no_more():
    spec = shell(READ_STATUS, capabilities=CAPABILITIES)
    program = run_script(spec)
    with start(plan_of(shell("exec sleep 60", capabilities=CAPABILITIES))) as sandbox:
        sandbox.ready(10)
        sandbox.open_gate()
        helper = ask(sandbox, "/bin/sh", "-c", READ_STATUS)
    assert helper == program
    assert "CapBnd:\t0000000000000003\n" in helper
    assert "Seccomp:\t2\n" in helper
    assert helper.endswith("\n0\n0\n")


_KEYS = """
import ctypes
from pathlib import Path
from harden.launch.spawn import start
from tests.escape.test_helper_rights import ask
from tests.sandboxes import plan_of, shell
libc = ctypes.CDLL(None, use_errno=True)
KEYCTL_JOIN_SESSION_KEYRING, KEY_SPEC_SESSION_KEYRING = 1, -3
assert libc.syscall(250, KEYCTL_JOIN_SESSION_KEYRING, None) > 0
assert libc.syscall(248, b"user", b"harden-test-secret", b"value", 5, KEY_SPEC_SESSION_KEYRING) > 0
assert "harden-test-secret" in Path("/proc/keys").read_text()
# The mask over it is not what is tested here: a session keyring is searched by every request_key(2).
finder = '''
import ctypes
print("found" if ctypes.CDLL(None).syscall(249, b"user", b"harden-test-secret", None, 0) > 0 else "nothing")
'''
with start(plan_of(shell("exec sleep 60"))) as sandbox:
    sandbox.ready(10)
    sandbox.open_gate()
    print(ask(sandbox, "/usr/bin/env", "python3", "-c", finder).strip())
exec(finder)
"""


def test_the_keys_of_the_host_are_not_in_a_helpers_keyring():
    ended = python(_KEYS)
    assert (ended.stdout, ended.stderr) == ("nothing\nfound\n", "")


_ON_TERMINAL = """
import os, sys
from harden.launch.spawn import start
from tests.sandboxes import plan_of, shell
null = os.open("/dev/null", os.O_RDWR)
with start(plan_of(shell("exec sleep 60")), stdin=null, stdout=null, stderr=null) as sandbox:
    sandbox.ready(10)
    sandbox.open_gate()
    assert all(map(os.isatty, range(3)))
    script = "for n in 0 1 2; do test -t $n && echo terminal $n; done; echo error >&2; "
    script += "(: < /dev/tty) 2>/dev/null && echo controlling; kill -USR1 0; echo not reached"
    status = sandbox.enter(["/bin/sh", "-c", script]).wait(10)
    print(f"status {status} still here")
"""


def test_a_helper_never_has_the_callers_terminal():
    text = on_terminal(_ON_TERMINAL)
    assert text.split("\r\n")[:-1] == ["error", "status 138 still here"], text


def on_terminal(code: str) -> str:
    """Run Python code as the leader of a session on a new terminal; what it wrote there."""
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}/sandbox:{ROOT}"}
        os.execve(sys.executable, [sys.executable, "-c", code], environment)
    output = b""
    deadline = time.monotonic() + 60
    while select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            # EIO: the last process has closed its side
            break
        output += data
    os.close(terminal)
    os.waitpid(pid, 0)
    return output.decode(errors="replace")


def test_a_terminal_as_standard_input_of_a_helper_is_refused():
    outer, inner = pty.openpty()
    try:
        with start(plan_of(shell("exec sleep 60"))) as sandbox:
            sandbox.ready(10)
            with pytest.raises(UsageError, match="terminal"):
                sandbox.enter(["true"], stdin=inner)
            assert sandbox.enter(["true"]).wait(10) == 0
    finally:
        os.close(outer)
        os.close(inner)
