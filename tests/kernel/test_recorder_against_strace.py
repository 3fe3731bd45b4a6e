"""Real programs: the calls and opened files that strace sees of a command are those that either recorder sees of it."""

from __future__ import annotations

import contextlib
import http.server
import os
import pwd
import re
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harden.model.path_text import from_text
from harden.model.recording import Completeness, Resolution, Run
from harden.model.sandbox import NetworkMode
from tests.kernel.recorded import BACKENDS, observe, record, run_of

pytestmark = pytest.mark.requires("root", "gcc", "strace", "x86_64")

POSTGRES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), Path("/nonexistent"))
CAUSED_BY_STRACE = {"futex", "restart_syscall", "rt_sigsuspend", "sched_yield"}
"""Slow threads wait for each other where fast ones do not, and a shell for children that have not ended; attaching
interrupts calls."""
OPENING = ("open", "openat", "openat2", "creat")
SAME_TIME = "GIT_AUTHOR_DATE=2000-01-01T00:00:00Z GIT_COMMITTER_DATE=2000-01-01T00:00:00Z"

AGAIN_AND_AGAIN = "{client} && exit 1; {server} & sleep 0.1; until {client}; do sleep 0.1; done 2>/dev/null"
"""A client that once cannot connect, so that how often it tries does not matter."""

COMMANDS = {
    "nginx": (
        "PATH=/usr/sbin:$PATH; mkdir logs && echo served > index.html && "
        "echo 'daemon off; user root root; pid nginx.pid; events {} http { access_log logs/access; root .;"
        " client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;"
        " uwsgi_temp_path u; scgi_temp_path s; server { listen 127.0.0.1:FREE; } }' > conf; "
        + AGAIN_AND_AGAIN.format(
            client="curl -sf http://127.0.0.1:FREE/index.html", server="nginx -p $PWD -c conf -e logs/error"
        )
        + "; kill -QUIT $(cat nginx.pid) && wait"
    ),
    "redis": (
        AGAIN_AND_AGAIN.format(
            client="redis-cli -p FREE set a b", server="redis-server --port FREE --bind 127.0.0.1 --dir ."
        )
        + "; redis-cli -p FREE get a | grep -q b && redis-cli -p FREE shutdown save; wait"
    ),
    "sqlite3": (
        "sqlite3 notes.db 'create table n(t); insert into n values(1), (2); delete from n where t = 1;' && "
        "sqlite3 notes.db .dump | sqlite3 other.db"
    ),
    "python3": (
        "/usr/bin/python3 -c 'import json, ssl, subprocess, tempfile, threading\n"
        'open("made", "w").write(json.dumps({}))\n'
        'subprocess.run(["/bin/cat", "made"], check=True)\n'
        'thread = threading.Thread(target=lambda: open("made").close()); thread.start(); thread.join()\''
    ),
    "git": (
        f"export HOME=$PWD {SAME_TIME}; git init -q . && echo x > a && git add a && "
        "git -c user.name=n -c user.email=e commit -qm m && git log --oneline && git status --short && git diff HEAD"
    ),
    "curl": "curl -s http://127.0.0.1:PORT/ -o out && grep -q served out",
    "openssl": (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -subj /CN=x -days 1 && "
        "openssl x509 -in cert -noout -subject && openssl dgst -sha256 key"
    ),
    "gcc": 'echo "int main(void) { return 0; }" > x.c && gcc -O1 x.c -o x && ./x',
    "tar": "mkdir d && echo x > d/a && ln -s a d/b && tar czf t.tgz d && rm -r d && tar xzf t.tgz && cat d/b",
    "postgres": (
        f"{POSTGRES}/initdb --no-sync -A trust -E UTF8 --locale=C data && "
        f"echo 'create table t (n int); insert into t values (1); select n from t;' | "
        f"{POSTGRES}/postgres --single -D data postgres"
    ),
}
MADE_UP = (
    (re.compile(rb"^/proc/\d+"), b"/proc/PID"),
    (re.compile(rb"^/tmp/cc\w{6}"), b"/tmp/ccTEMP"),
    (re.compile(rb"/tmp_obj_\w{6}$"), b"/tmp_obj_TEMP"),
    (re.compile(rb"/\.git/t\w{6}$"), b"/.git/tTEMP"),
    (re.compile(rb"/temp-\d+\.rdb$"), b"/temp-PID.rdb"),
    (re.compile(rb"/xlogtemp\.\d+$"), b"/xlogtemp.PID"),
    (re.compile(rb"/(PostgreSQL\.|sem\.)\d+$"), rb"/\1NUMBER"),
    (re.compile(rb" \(deleted\)$"), b""),
)
"""Names that are others in every run."""


@pytest.fixture(scope="module")
def free_port() -> int:
    """One that nothing listens on, and that the kernel gives to nobody meanwhile: below its own (ip(7))."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for number in range(first - 1 - os.getpid() % 1000, 1024, -1):
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", number))
            return number
    raise AssertionError("no port is free")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    class Served(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"served\n")

        def log_message(self, format: str, *args: object) -> None:
            """Not into the test's output."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Served) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def work() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="harden-strace-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the sandboxes: a program with another one makes other calls."""
    for name in tuple(os.environ):
        monkeypatch.delenv(name)
    # Python's readline sets these without telling os.environ.
    os.unsetenv("COLUMNS")
    os.unsetenv("LINES")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def command_in(name: str, folder: Path, port: int, free_port: int) -> list[str]:
    """The command, to be run in `folder`, as the user that it wants."""
    script = ["/bin/sh", "-c", COMMANDS[name].replace("PORT", str(port)).replace("FREE", str(free_port))]
    if name != "postgres":
        return script
    user = pwd.getpwnam("postgres")
    subprocess.run(["chown", "postgres", folder], check=True)
    return ["/usr/bin/setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *script]


def same_in_every_run(path: bytes, folder: Path) -> bytes:
    path = path.replace(bytes(folder), b"FOLDER")
    for expression, text in MADE_UP:
        path = expression.sub(text, path)
    return path


def straced(command: list[str], folder: Path, log: Path) -> tuple[set[str], set[bytes]]:
    """Names of calls, without strace's own execve of the program, and the files that were opened."""
    null = subprocess.DEVNULL
    subprocess.run(["strace", "-f", "-y", "-o", log, *command], check=True, stdin=null, stdout=null, cwd=folder)
    text = log.read_bytes()
    calls = [name.decode() for name in re.findall(rb"^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed)", text, re.MULTILINE)]
    calls.remove("execve")
    opening = "|".join(OPENING).encode()
    ended = re.findall(rb"^\d+ +(?:<\.\.\. )?(?:%b)(?:\(| resumed).*\) += \d+<(/.*)>$" % opening, text, re.MULTILINE)
    return set(calls), {same_in_every_run(path, folder) for path in ended}


def recorded_by(backend: str, command: list[str], folder: Path) -> Run:
    """With the host's network, where what `command` asks is."""
    if backend == "bpf":
        return record(*command, cwd=folder)
    return run_of(observe(*command, cwd=folder, network=NetworkMode.HOST))


def opened(run: Run, folder: Path) -> set[bytes]:
    """By BPF what was opened; else what was there or may have been made, where it was found to be."""
    return {
        same_in_every_run(from_text(seen.path), folder)
        for seen in run.files
        if seen.syscall in OPENING
        and (seen.result, seen.resolution) in (("ok", Resolution.OBJECT), ("unknown", Resolution.LOOKED_UP))
    }


@pytest.mark.usefixtures("bare_environment")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("nginx", marks=pytest.mark.requires("nginx", "curl")),
        pytest.param("redis", marks=pytest.mark.requires("redis")),
        pytest.param("sqlite3", marks=pytest.mark.requires("sqlite3")),
        pytest.param("python3", marks=pytest.mark.requires("python3")),
        pytest.param("git", marks=pytest.mark.requires("git")),
        pytest.param("curl", marks=pytest.mark.requires("curl")),
        pytest.param("openssl", marks=pytest.mark.requires("openssl")),
        "gcc",
        "tar",
        pytest.param("postgres", marks=pytest.mark.requires("postgres")),
    ],
)
def test_calls_and_opened_files_are_those_that_strace_sees(backend, name, work, port, free_port):
    ours, theirs = work / "ours", work / "them"
    for folder in (ours, theirs):
        folder.mkdir()
    run = recorded_by(backend, command_in(name, ours, port, free_port), ours)
    calls, files = straced(command_in(name, theirs, port, free_port), theirs, work / "log")
    assert run.completeness is Completeness.COMPLETE, run.gaps
    assert calls - {call.name for call in run.syscalls} <= CAUSED_BY_STRACE
    assert {call.name for call in run.syscalls} - calls <= CAUSED_BY_STRACE
    assert opened(run, ours) ^ files == set()
    assert len(files) > 5
