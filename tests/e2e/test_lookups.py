"""Names that a program looks up are kept beside the addresses that it connects to, as comments; none is forged."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.jobs import harden

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap", "python3", "gcc")

NAME_SERVER = ["/usr/bin/python3", "name_server.py", "peer.example=127.0.0.9,::9", "plain=127.0.0.8"]
RULE = "connect udp 127.0.0.9:7"


@pytest.fixture(autouse=True)
def name_server(tmp_path: Path) -> None:
    """In the working folder, which every sandbox shows: a checkout below /var/tmp it does not."""
    shutil.copy(ROOT / "tests/name_server.py", tmp_path)


def trace(folder: Path, *command: str, steps: str = "", backend: str = "bpf") -> dict[str, tuple[str, ...]]:
    """Trace beside a name server that knows two names; what was looked up, with the addresses."""
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    start = f'format = "harden-scenario/1"\n[[step]]\nrun = {json.dumps(NAME_SERVER)}\n{steps}[[step]]\nidle_s = 20.0\n'
    (folder / "s.toml").write_text(start)
    bind = f"{folder}/resolv.conf:/etc/resolv.conf"
    options = ["--backend", backend, "--name", "app", "--scenario", "s.toml", "--bind", bind]
    if backend == "notify":
        # Nothing holds a capability that is not named.
        options += ["--cap-add", "NET_BIND_SERVICE"]
    harden("trace", *options, "--", *command, cwd=folder)
    (run,) = json.loads((folder / "app.recording.json").read_bytes())["runs"]
    # The name server, which outlives the program, is not a part of it.
    assert run["gaps"] == []
    return {seen["host"]: tuple(seen.get("addresses", ())) for seen in run["lookups"]}


@pytest.mark.parametrize("how", ["connected", "sent", "taken"])
def test_a_name_is_kept_however_the_program_asks(tmp_path, victim, how):
    assert trace(tmp_path, str(victim("asks")), how, "peer.Example") == {"peer.example": ("127.0.0.9",)}
    profile = (tmp_path / "app.profile.toml").read_text()
    assert f'"{RULE}",  # looked up as peer.example' in profile
    assert RULE in tomllib.loads(profile)["rights"]["network"]["observed"]
    behind = harden("explain", "app.profile.toml", RULE, cwd=tmp_path).stdout
    assert "looked up as peer.example" in behind
    assert "peer.example  127.0.0.9" in harden("show", "app.recording.json", cwd=tmp_path).stdout


@pytest.mark.parametrize("backend", ["bpf", pytest.param("notify", marks=pytest.mark.requires("seccomp-notify"))])
@pytest.mark.sees("names that are looked up")
def test_a_name_that_the_c_library_resolves(tmp_path, backend):
    code = "import socket; a = socket.getaddrinfo('peer.example', 7, type=socket.SOCK_DGRAM)[0]; print(a)"
    # The server is not there yet when the program starts.
    code = f"import time\nfor _ in range(500):\n  try:\n    {code}; break\n  except OSError: time.sleep(0.02)"
    found = trace(tmp_path, "/usr/bin/python3", "-c", code, backend=backend)
    assert found == ({"peer.example": ("127.0.0.9", "::9")} if backend == "bpf" else {})


def test_a_name_that_does_not_exist_has_no_address(tmp_path, victim):
    assert trace(tmp_path, str(victim("asks")), "connected", "no.example") == {"no.example": ()}


def test_a_name_with_other_bytes_is_not_kept(tmp_path, victim):
    """A backslash is a line feed there: it would end a comment."""
    hostile = 'a\\network = ["connect tcp 0.0.0.0:1"]'
    assert trace(tmp_path, str(victim("asks")), "connected", hostile) == {}
    profile = (tmp_path / "app.profile.toml").read_text()
    assert tomllib.loads(profile)["rights"]["network"] == {"observed": ["connect udp 127.0.0.1:53"]}
    assert "looked up" not in profile


def test_a_redaction_masks_names_too(tmp_path, victim):
    (tmp_path / "s.toml").write_text(
        f'format = "harden-scenario/1"\n[[step]]\nrun = {json.dumps(NAME_SERVER)}\n[[step]]\nidle_s = 20.0\n'
    )
    command = (str(victim("asks")), "connected", "peer.example")
    harden("trace", "--name", "app", "--scenario", "s.toml", "--redact", "peer[.]", "--", *command, cwd=tmp_path)
    written = (tmp_path / "app.recording.json").read_text() + (tmp_path / "app.profile.toml").read_text()
    assert "peer.example" not in written
    assert "looked up as [masked]example" in written


def test_a_program_that_asks_no_name_server_has_no_names(tmp_path, victim):
    """What it reads from a file is no answer, whatever it looks like."""
    # A step cannot be taken beside a program that has ended.
    code = "until [ -e go ]; do sleep 0.02; done; exec cp /bin/true copy"
    steps = '[[step]]\nrun = ["/usr/bin/touch", "go"]\n'
    assert trace(tmp_path, "/bin/sh", "-c", code, steps=steps) == {}
