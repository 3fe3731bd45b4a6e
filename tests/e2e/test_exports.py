"""The exported files hold a real program in the launchers that they are for, and let it do its work there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker_engine import docker_engine
from tests.e2e.jobs import HARDEN, environment
from tests.feature_probes import is_available

STATEMENTS = "create table note(t); insert into note values('hello'); select t from note;"
"""What sqlite3 does in every run; `.shell` starts a process, which the profile does not grant."""

pytestmark = [
    pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap", "sqlite3"),
    pytest.mark.xdist_group("exports"),
]


@pytest.fixture(scope="module")
def exported() -> Iterator[Path]:
    """A folder with the profile of a recorded sqlite3 and every export of it."""
    # /srv, because the view of bwrap and of the bundle has a /tmp of its own.
    folder = Path("/srv") / f"harden-test-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        harden(folder, "trace", "--name", "notes", "--", "sqlite3", "notes.db", STATEMENTS)
        harden(folder, "export", "notes.profile.toml", "--all", "out")
        yield folder
    finally:
        shutil.rmtree(folder)


def harden(folder: Path, *words: str) -> None:
    done = subprocess.run([HARDEN, *words], cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def started(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command in a mount namespace whose only cgroup mount is v2: crun refuses hybrid ones, runc would use v1."""
    (folder / "notes.db").unlink(missing_ok=True)
    script = 'umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *command],
        cwd=folder,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        stdin=subprocess.DEVNULL,
    )


def bundle(folder: Path, name: str, *statements: str, runtime: str = "", without: str = "", free: bool = False) -> str:
    """A bundle whose sqlite3 executes other statements; `without` takes one call away, `free` the whole filter."""

    place = folder / name
    (place / "rootfs").mkdir(parents=True, exist_ok=True)
    more = ["--runtime", runtime] if runtime else []
    harden(folder, "export", "notes.profile.toml", "--format", "oci-bundle", *more, "-o", str(place / "config.json"))
    config = json.loads((place / "config.json").read_text())
    config["process"]["args"][2:] = statements or [STATEMENTS]
    for entry in config["linux"]["seccomp"]["syscalls"] if without else ():
        if entry["action"] == "SCMP_ACT_ALLOW":
            entry["names"] = [each for each in entry["names"] if each != without]
    if free:
        del config["linux"]["seccomp"]
    for name in [each for each in ("memory", "pids") if not is_available(f"cgroup2-{each}")]:
        # A runtime refuses to start what this host cannot hold to its limits.
        del config["linux"]["resources"][name]
    (place / "config.json").write_text(json.dumps(config))
    return str(place)


RUNTIMES = {
    "crun": ("crun", "--cgroup-manager=disabled"),
    "runc": ("runc",),
}


def run_bundle(folder: Path, runtime: str, place: str) -> subprocess.CompletedProcess[str]:
    state = str(folder / f"state-{runtime}")
    return started(
        *RUNTIMES[runtime], "--root", state, "run", "--bundle", place, f"harden-{os.getpid()}", folder=folder
    )


@pytest.mark.parametrize("runtime", [pytest.param(name, marks=pytest.mark.requires(name)) for name in RUNTIMES])
def test_a_runtime_starts_the_bundle_and_holds_it(exported, runtime):
    done = run_bundle(exported, runtime, bundle(exported, f"good-{runtime}", runtime=runtime))
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    assert (exported / "notes.db").exists(), "what the profile lets it write reaches the host"
    refused = run_bundle(exported, runtime, bundle(exported, f"bad-{runtime}", ".shell id", runtime=runtime))
    assert "uid=" not in refused.stdout + refused.stderr
    free = run_bundle(exported, runtime, bundle(exported, f"free-{runtime}", ".shell id", free=True))
    assert "uid=0" in free.stdout, "it is the filter that refuses"
    hidden = run_bundle(exported, runtime, bundle(exported, f"etc-{runtime}", ".import /etc/shadow x", runtime=runtime))
    assert "cannot open" in hidden.stderr


@pytest.mark.requires("runc")
@pytest.mark.parametrize("call", ["fstatfs", "openat"])
def test_runc_does_not_start_without_a_call_of_its_set(exported, call):
    """The set is needed: runc closes its descriptors under the filter."""
    if call == "fstatfs":
        done = run_bundle(exported, "runc", bundle(exported, "plain", runtime=""))
    else:
        done = run_bundle(exported, "runc", bundle(exported, f"no-{call}", runtime="runc", without=call))
    assert done.returncode != 0
    assert "hello" not in done.stdout


@pytest.mark.requires("bwrap")
def test_bwrap_runs_the_script_and_holds_it(exported):
    done = started("sh", "out/notes.bwrap.sh", folder=exported)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    script = (exported / "out/notes.bwrap.sh").read_text()
    quoted = f"'{STATEMENTS.replace(chr(39), chr(39) + chr(34) + chr(39) + chr(34) + chr(39))}'"
    assert quoted in script
    for statements, sign in (("'.shell id'", "uid="), ("'.import /etc/shadow x'", "root:")):
        (exported / "out/other.sh").write_text(script.replace(quoted, statements))
        refused = started("sh", "out/other.sh", folder=exported)
        assert sign not in refused.stdout + refused.stderr


@pytest.mark.requires("podman", "crun")
def test_podman_starts_a_container_with_the_exported_filter(exported):
    """Without what this host cannot give: AppArmor in its kernel, v2 controllers, higher limits."""
    root = image(exported)
    script = (exported / "out/notes.podman.sh").read_text()
    host = "--rootfs --cgroups=disabled --log-driver=none --ulimit=nproc=256:256"
    words = script.replace("podman run --rm", f"podman --runtime crun run --rm {host}")
    words = words.replace("  --security-opt apparmor=harden.notes \\\n", "")
    words, count = re.subn(r"  --(memory|pids-limit)=\d+ \\\n", "", words)
    assert count == 2
    assert "--ulimit=nofile=1024:1024" in words
    seccomp = ("--format", "seccomp", "--runtime", "crun", "-o", "notes.seccomp.json")
    harden(exported, "export", "notes.profile.toml", *seccomp)
    (exported / "podman.sh").write_text(words)
    done = started("sh", "podman.sh", str(root), folder=exported)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    shell = words.rsplit("'create table", 1)[0] + "'.shell id'\n"
    (exported / "podman-shell.sh").write_text(shell)
    refused = started("sh", "podman-shell.sh", str(root), folder=exported)
    assert "uid=" not in refused.stdout + refused.stderr


@pytest.mark.requires("docker")
def test_docker_starts_a_container_with_the_exported_command(exported):
    """A real engine runs the script; AppArmor alone is left out, which this kernel does not have."""
    folder = Path(tempfile.mkdtemp(prefix="harden-docker-", dir="/var/tmp"))
    try:
        with docker_engine(folder, {"notes": image(exported)}) as environment:
            script = (exported / "out/notes.docker.sh").read_text()
            words = script.replace("  --security-opt apparmor=harden.notes \\\n", "")
            runtime = ("--format", "seccomp", "--runtime", "runc", "-o", "out/notes.seccomp.json")
            harden(exported, "export", "notes.profile.toml", *runtime)
            done = docker(words, exported / "out", environment)
            assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
            shell = words.rsplit("'create table", 1)[0] + "'.shell id'\n"
            assert "uid=" not in docker(shell, exported / "out", environment).stdout
            free = shell.replace("seccomp=notes.seccomp.json", "seccomp=unconfined")
            assert "uid=" in docker(free, exported / "out", environment).stdout, "it is the filter that refuses"
    finally:
        shutil.rmtree(folder)


def docker(script: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What the script's container writes."""
    (folder / "docker.sh").write_text(script)
    return subprocess.run(
        ["sh", "docker.sh", "notes"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        stdin=subprocess.DEVNULL,
    )


def image(exported: Path) -> Path:
    """A root file system that holds sqlite3 and a shell, and little else."""
    root = exported / "image"
    for folder in ("usr/bin", "lib64", "lib", "tmp", "run", "var/tmp", "proc", "sys", "dev", "etc", str(exported)[1:]):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for program in (Path("/usr/bin/sqlite3"), Path("/usr/bin/dash"), Path("/usr/bin/id")):
        copy_program(root, program)
    if not (root / "bin").exists():
        (root / "bin").symlink_to("usr/bin")
    shutil.copy(root / "usr/bin/dash", root / "usr/bin/sh")
    return root


def copy_program(root: Path, program: Path) -> None:
    """The program and what it is linked with."""
    shutil.copy(program, root / str(program)[1:])
    listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    for word in listed.split():
        if word.startswith("/"):
            target = root / word[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(word, target)
