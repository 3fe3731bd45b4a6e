"""Perturbations that change what the program finds: no room, no name server, its own files from an earlier start.

Each is run on a victim whose extra needs are known by hand (tests/programs).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harden.model.scenario import Perturbation
from tests.conftest import ROOT
from tests.e2e.disturbed import runs_of, server_scenario
from tests.e2e.jobs import HARDEN, IN_PYTHON, harden

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap", "python3", "gcc")

CLIENT = "import socket; c = socket.create_connection(('127.0.0.1', 9000), 2); print(c.recv(2).decode())"
SERVER = server_scenario(CLIENT)
TOOL = 'format = "harden-scenario/1"\nperturb = ["PERTURBATION"]\n'


def calls(run: Any) -> set[str]:
    """Which of the calls that tell the victims' ways apart a run has."""
    return {seen["name"] for seen in run["syscalls"]} & {"getpgid", "sysinfo", "unlink", "mkdir", "chmod"}


def trace(
    folder: Path,
    perturbation: str,
    *command: str,
    scenario: str = SERVER,
    options: tuple[str, ...] = (),
    before: tuple[str, ...] = (),
) -> str:
    """Trace with the perturbation, by the command `before`; what the scenario's commands and harden printed."""
    (folder / "s.toml").write_text(scenario.replace("PERTURBATION", perturbation))
    words = ("trace", "--name", "app", "--scenario", "s.toml", *options, "--", *command)
    return harden(*words, cwd=folder, before=before).stderr


@pytest.mark.parametrize("where", [".", "/tmp", "/dev/shm", "/data"])
def test_no_room_is_seen_by_the_program_wherever_it_writes_and_ends_again(tmp_path, victim, where):
    options = ("--tmpfs", "/data") if where == "/data" else ()
    heard = trace(tmp_path, "enospc", str(victim("spool")), where, "9000", options=options)
    runs = runs_of(tmp_path)
    assert (calls(runs[""]), calls(runs["enospc"])) == ({"getpgid"}, {"getpgid", "unlink", "sysinfo"})
    assert runs["enospc"]["status"]["exit_status"] == 0
    failed = {seen["name"]: seen["errors"] for seen in runs["enospc"]["syscalls"] if seen.get("errors")}
    assert failed["write"].keys() == {"ENOSPC"}
    # Undisturbed; undisturbed, then without room, then with room again.
    assert [line for line in heard.splitlines() if line in ("ok", "no")] == ["ok", "ok", "no", "ok"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.profile.toml", "app.recording.json", "s.toml"]
    assert [run["gaps"] for run in runs.values()] == [[], []]


def test_a_program_without_commands_has_no_room_from_its_start_to_its_end(tmp_path, victim):
    trace(tmp_path, "enospc", str(victim("spool")), ".", scenario=TOOL)
    runs = runs_of(tmp_path)
    assert {name: run["status"]["exit_status"] for name, run in runs.items()} == {"": 0, "enospc": 4}
    assert calls(runs["enospc"]) == {"getpgid", "unlink", "sysinfo"}


def test_a_folder_of_the_host_that_is_bound_writable_keeps_its_room(tmp_path, victim):
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o777)
    shared.chmod(0o777)
    before = os.statvfs(shared).f_blocks
    trace(tmp_path, "enospc", str(victim("spool")), str(shared), scenario=TOOL, options=("--bind", f"{shared}:rw"))
    runs = runs_of(tmp_path)
    assert {name: run["status"]["exit_status"] for name, run in runs.items()} == {"": 0, "enospc": 0}
    assert (shared / "spool.0").stat().st_size == 256 << 10
    assert os.statvfs(shared).f_blocks == before


def test_a_memory_file_system_of_the_host_is_never_limited(tmp_path):
    """Not even where it is mounted over a folder of the sandbox's own. Nobody else sees this one."""
    shared = tmp_path / "shared"
    shared.mkdir()
    mounted = 'mount -t tmpfs -o size=8m,mode=1777 none "$0" && "$@" && stat -f -c "%b of %S" "$0" >&2'
    options = ("--bind", f"{shared}:/var/tmp:rw")
    # A new file each time: what is truncated first would make room for itself.
    write = "head -c 300000 /dev/zero > $(mktemp /var/tmp/XXXXXX)"
    before = ("unshare", "--mount", "sh", "-c", mounted, str(shared))
    heard = trace(tmp_path, "enospc", "/bin/sh", "-c", write, scenario=TOOL, options=options, before=before)
    assert runs_of(tmp_path)["enospc"]["status"]["exit_status"] == 0
    blocks, size = heard.splitlines()[-1].split(" of ")
    assert int(blocks) * int(size) == 8 << 20


@contextmanager
def folder_of_nobody() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="harden-perturb-", dir="/var/tmp") as name:
        os.chown(name, 65534, 65534)
        yield Path(name)


def trace_as_nobody(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
    return subprocess.run(
        [*become, str(IN_PYTHON), "trace", "--name", "app", "--scenario", "s.toml", "--", program],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.requires("nobody", "seccomp-notify")
def test_an_ordinary_user_is_told_that_he_cannot_take_the_room_away():
    with folder_of_nobody() as folder:
        (folder / "s.toml").write_text(TOOL.replace("PERTURBATION", "enospc"))
        done = trace_as_nobody(folder, "/bin/true")
        assert done.returncode == 125
        assert "perturbation enospc: an ordinary user cannot" in done.stderr
        assert [path.name for path in folder.iterdir()] == ["s.toml"]


@pytest.mark.requires("nobody", "seccomp-notify")
def test_an_ordinary_user_has_the_others(victim):
    with folder_of_nobody() as folder:
        (folder / "s.toml").write_text(TOOL.replace("PERTURBATION", 'restart", "no-dns'))
        done = trace_as_nobody(folder, shutil.copy(str(victim("stateful")), str(folder)))
        assert done.returncode == 0, done.stderr
        runs = runs_of(folder)
        assert calls(runs["restart"]) == {"sysinfo"}
        assert calls(runs["no-dns"]) == calls(runs[""]) == {"getpgid", "mkdir", "chmod"}


NAME_SERVER = ROOT / "tests/name_server.py"
KNOWN = "peer.example=127.0.0.9"
IN_A_NETWORK = f"""
ip link set lo up && server=$(/usr/bin/python3 {NAME_SERVER} {KNOWN}) || exit 99
"$@"
status=$?
kill $server
exit $status
"""
"""Its own loopback, with a name server on it as the host would have one."""


@pytest.mark.parametrize("network", ["none", "host"])
def test_without_a_name_server_no_name_is_found_on_any_network(tmp_path, victim, network):
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    scenario = SERVER.replace("PERTURBATION", "no-dns")
    if network == "none":
        shutil.copy(NAME_SERVER, tmp_path)
        command = json.dumps(["/usr/bin/python3", f"{tmp_path}/name_server.py", KNOWN])
        scenario = scenario.replace("[[step]]", f"[[step]]\nrun = {command}\n[[step]]", 1)
    (tmp_path / "s.toml").write_text(scenario)
    bind = f"{tmp_path}/resolv.conf:/etc/resolv.conf"
    options = ("--name", "app", "--scenario", "s.toml", "--bind", bind, "--net", network)
    traced = (str(HARDEN), "trace", *options, "--", str(victim("resolves")), "9000", "peer.example")
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", IN_A_NETWORK, "sh", *traced] if network == "host" else traced,
        cwd=tmp_path,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    runs = runs_of(tmp_path)
    assert {name: calls(run) for name, run in runs.items()} == {"": {"getpgid"}, "no-dns": {"sysinfo"}}
    assert [line for line in done.stderr.splitlines() if line in ("ok", "no", "??")] == ["ok", "no"]
    asked = {(seen["address"], seen["result"]) for seen in runs["no-dns"]["sockets"] if seen.get("port") == 53}
    assert asked <= {("255.255.255.255", "EACCES"), ("255.255.255.255", "ENETUNREACH")}
    assert asked
    assert all(not run["workload"]["binds"][1:] for run in runs.values())


def test_a_program_that_ends_without_names_is_recorded_to_its_end(tmp_path):
    scenario = 'format = "harden-scenario/1"\nready = { port = 9000, within_s = 20 }\nperturb = ["no-dns"]\n'
    (tmp_path / "s.toml").write_text(scenario + '[[step]]\nrun = ["true"]\n[[step]]\nstop = { expect_status = 0 }\n')
    # As a program that has to resolve a name to start: it looks at what it would ask.
    code = (
        "import signal, socket, sys\n"
        "'nameserver 127' in open('/etc/resolv.conf').read() or sys.exit(7)\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "listener = socket.create_server(('127.0.0.1', 9000)); signal.pause()"
    )
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    bind = f"{tmp_path}/resolv.conf:/etc/resolv.conf"
    options = ("--name", "app", "--scenario", "s.toml", "--bind", bind)
    done = harden("trace", *options, "--", "/usr/bin/python3", "-c", code, cwd=tmp_path)
    assert {name: run["status"]["exit_status"] for name, run in runs_of(tmp_path).items()} == {"": 0, "no-dns": 7}
    assert "while disturbed: the program ended before it was ready" in done.stderr


@pytest.mark.parametrize("command", [("9000",), ()], ids=["server", "tool"])
def test_a_second_start_finds_the_files_of_the_first(tmp_path, victim, command):
    scenario = SERVER.replace("import socket; c", "import socket; raise SystemExit; c") if command else TOOL
    # The child that is left running is killed each time; left from the first start it would hold the port.
    options = ("--allow-incomplete",)
    told = trace(tmp_path, "restart", str(victim("stateful")), *command, scenario=scenario, options=options)
    runs = runs_of(tmp_path)
    assert {name: calls(run) for name, run in runs.items()} == {
        "": {"getpgid", "mkdir", "chmod"},
        "restart": {"sysinfo"},
    }
    assert {run["status"]["exit_status"] for run in runs.values()} == {0}
    data = str(tmp_path / "state/data")
    read = {(seen["path"], seen["operation"]) for seen in runs["restart"]["files"] if seen.get("result", "ok") == "ok"}
    assert (data, "read") in read
    assert (data, "create") not in read
    assert not (tmp_path / "state").exists()
    assert ("the first start, which is not recorded" in told, "the second start, recorded" in told) == (True, True)


def test_a_first_start_that_fails_its_scenario_fails_the_trace(tmp_path, victim):
    (tmp_path / "s.toml").write_text(
        TOOL.replace("PERTURBATION", "restart") + "[[step]]\nstop = { expect_status = 9 }\n"
    )
    done = harden("trace", "--scenario", "s.toml", "--", "/bin/sleep", "60", cwd=tmp_path, check=False)
    assert done.returncode == 125
    assert "step 1 (stop): status 143, not 9" in done.stderr


def test_every_perturbation_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    assert [each for each in Perturbation if f"`{each}`" not in readme] == []
