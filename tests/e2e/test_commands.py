"""The commands around a profile: help, JSON, plan, generate, export."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from harden.cli import COMMANDS
from tests.e2e.jobs import harden

privileged = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap")


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traced")
    harden("trace", "--name", "app", "--", "/bin/ls", "/etc/hostname", cwd=folder)
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example(name: str, tmp_path: Path) -> None:
    text = harden(name, "--help", cwd=tmp_path).stdout
    assert "Example:" in text
    assert f"harden {name}" in text


@privileged
def test_show_json_is_the_whole_value(traced: Path) -> None:
    recording = json.loads(harden("show", "app.recording.json", "--json", cwd=traced).stdout)
    assert recording["format"] == "harden-recording/1"
    assert recording["runs"][0]["workload"]["argv"] == ["/bin/ls", "/etc/hostname"]
    profile = json.loads(harden("show", "app.profile.toml", "--json", cwd=traced).stdout)
    assert profile["name"] == "app"
    assert "getdents64" not in profile["rights"]["syscalls"]["observed"]


@privileged
def test_show_is_readable(traced: Path) -> None:
    assert "/etc/hostname" in harden("show", "app.recording.json", cwd=traced).stdout
    assert "/etc/hostname" in harden("show", "app.profile.toml", cwd=traced).stdout


@privileged
def test_generate_does_not_depend_on_the_order(traced: Path) -> None:
    harden("trace", "--name", "other", "--", "/bin/cat", "/etc/hostname", cwd=traced)
    harden("generate", "app.recording.json", "other.recording.json", "-o", "one.profile.toml", cwd=traced)
    harden("generate", "other.recording.json", "app.recording.json", "-o", "two.profile.toml", cwd=traced)
    one, two = ((traced / f"{name}.profile.toml").read_text() for name in ("one", "two"))
    assert (
        one.replace('"one"', '"two"').replace("what one did", "what two did").replace("one.local", "two.local") == two
    )
    for name in ("one", "two", "other"):
        (traced / f"{name}.profile.toml").unlink()


@privileged
def test_same_program_twice_gives_the_same_rights(traced: Path, tmp_path: Path) -> None:
    harden("trace", "--name", "app", "--", "/bin/ls", "/etc/hostname", cwd=tmp_path)
    first, second = (
        json.loads(harden("show", str(folder / "app.profile.toml"), "--json", cwd=folder).stdout)["rights"]
        for folder in (traced, tmp_path)
    )
    for folder, rights in ((traced, first), (tmp_path, second)):
        rights["files"]["observed"] = {
            path: granted for path, granted in rights["files"]["observed"].items() if not path.startswith(str(folder))
        }
    assert first == second


@privileged
@pytest.mark.parametrize("name", ["seccomp", "capabilities", "landlock"])
def test_json_exports_parse(traced: Path, name: str) -> None:
    assert json.loads(harden("export", "app.profile.toml", "--format", name, cwd=traced).stdout)


@privileged
@pytest.mark.requires("apparmor-parser")
def test_apparmor_export_compiles(traced: Path) -> None:
    harden("export", "app.profile.toml", "--format", "apparmor", "-o", "app.apparmor", cwd=traced)
    subprocess.run(
        [
            "apparmor_parser",
            "-Q",
            "-K",
            "--warn=all",
            "--Werror",
            "--kernel-features=/etc/apparmor.d/abi/3.0",
            "app.apparmor",
        ],
        cwd=traced,
        check=True,
        capture_output=True,
    )


@privileged
def test_bpf_export_is_whole_instructions(traced: Path) -> None:
    harden("export", "app.profile.toml", "--format", "bpf", "-o", "app.bpf", cwd=traced)
    size = (traced / "app.bpf").stat().st_size
    assert size > 0
    assert size % 8 == 0


def test_unknown_format(tmp_path: Path) -> None:
    done = harden("export", "x.profile.toml", "--format", "magic", cwd=tmp_path, check=False)
    assert done.returncode == 125
    assert "seccomp" in done.stderr


STEPS = (
    "make a cgroup",
    "clone init (pid 1)",
    "map the ids of init",
    "clone the mount of /usr",
    "make /usr read-only",
    "clone the payload (pid 2)",
    "new root",
    "attach /usr",
    "own sysfs",
    "mask /proc/kcore",
    "host name",
    "keyring",
    "bounding set",
    "become uid",
    "ambient capabilities",
    "change to",
    "no_new_privs",
    "enforce the landlock ruleset",
    "close every descriptor",
    "profile's seccomp filter",
    "execute /bin/ls",
    "verify seccomp",
)
"""What `harden run --plan` must name, in this order."""


@privileged
def test_plan_reads_in_the_order_of_the_steps(traced: Path) -> None:
    lines = harden("run", "-p", "app.profile.toml", "--plan", cwd=traced).stdout.lower().splitlines()
    assert len(lines) > len(STEPS)
    position = 0
    for step in STEPS:
        found = next((number for number, line in enumerate(lines) if number >= position and step in line), None)
        assert found is not None, (step, lines[position:])
        position = found


@privileged
def test_local_file_adds_and_removes(traced: Path) -> None:
    local = traced / "app.local.toml"
    local.write_text('format = "harden-local/1"\n[remove]\nsyscalls = ["write"]\n')
    try:
        done = harden("run", "-p", "app.profile.toml", cwd=traced, check=False)
        assert done.returncode != 0
        local.write_text('format = "harden-local/1"\n[remove]\nsyscalls = ["wriet"]\n')
        done = harden("run", "-p", "app.profile.toml", cwd=traced, check=False)
        assert done.returncode == 125
        assert "wriet" in done.stderr
    finally:
        local.unlink()
    assert harden("run", "-p", "app.profile.toml", cwd=traced).stdout == "/etc/hostname\n"


@privileged
def test_doctor_finds_everything_required_here(tmp_path: Path) -> None:
    findings = json.loads(harden("doctor", "--json", cwd=tmp_path).stdout)
    assert len(findings) > 10
    for finding in findings:
        assert finding["works"] or finding["fix"], finding
    assert "works" in harden("doctor", cwd=tmp_path).stdout


@privileged
@pytest.mark.parametrize(
    "option",
    [("--net", "host"), ("--net", "none"), ("--userns", "identity"), ("--userns", "host"), ("--view", "minimal")],
)
def test_choices_of_trace_are_taken_as_they_are_written(option: tuple[str, str], tmp_path: Path) -> None:
    harden("trace", "--name", "app", *option, "--", "/bin/true", cwd=tmp_path)
    assert harden("run", cwd=tmp_path).returncode == 0
