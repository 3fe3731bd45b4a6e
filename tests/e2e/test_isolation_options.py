"""The options that isolate a program beyond its profile, given to `harden trace` and `harden run`."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.e2e.jobs import HARDEN, IN_PYTHON
from tests.sandboxes import NOBODY, features

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap")


ANY = -1


def harden(*arguments: str, cwd: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the installed command in `cwd`, with a secret in its environment, and expect `status`, or ANY."""
    done = subprocess.run(
        [str(HARDEN), *arguments],
        cwd=cwd,
        env={**os.environ, "SECRET": "leaked"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert status in (done.returncode, ANY), f"harden {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done


SCRIPT = """
hostname; id -G; ulimit -Sn; echo "env:$SECRET"; ls -A /scratch; echo x > /scratch/x; ls -A /copy | head -1
readlink /proc/self/ns/net; pwd; echo done; exit 0
"""


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile of a program that uses what the options give."""
    folder = tmp_path_factory.mktemp("traced")
    ended = harden(
        "trace", "--name", "app", "--tmpfs", "/scratch:1M", "--overlay", "/etc:/copy", "--groups", "5", "--rlimit",
        "nofile=64", "--hostname", "box", "--clear-env", "--env", "PATH=/usr/bin:/bin", "--cwd", "/", "--",
        "/bin/sh", "-c", SCRIPT, cwd=folder,
    )  # fmt: skip
    lines = ended.stdout.split("\n")
    assert lines[:4] == ["box", "0 5", "64", "env:"], ended.stderr
    assert "what the program writes to /copy is gone when it ends (--overlay)" in ended.stderr
    assert lines[-2] == "done"
    return folder


OPTIONS = ("--tmpfs", "/scratch:1M", "--overlay", "/etc:/copy", "--groups", "5,7", "--rlimit", "nofile=80")


def test_a_run_has_what_its_command_line_adds(traced: Path) -> None:
    ended = harden("run", *OPTIONS, "--hostname", "other", "--enforced-json", "enforced.json", cwd=traced)
    assert ended.stdout.split("\n")[:4] == ["other", "0 5 7", "80", "env:"], ended.stderr
    enforced = json.loads((traced / "enforced.json").read_text())
    values = {each["control"]: each["value"] for each in enforced["controls"]}
    assert values["rlimits"] == "core 0 of 0, nofile 80 of 80"
    assert enforced["result"] == "FULLY_ENFORCED" or values["apparmor"] == ""


def test_a_run_may_differ_from_its_workload(traced: Path, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    binds = ("--bind", f"{tmp_path}/scratch:/scratch:rw", "--bind", "/etc:/copy")
    given = ("--net", "host", "--userns", "identity", "--view", "host", "--cwd", "/usr", "--user", "33:33")
    os.chown(tmp_path / "scratch", 33, 33)
    lines = harden("run", *given, *binds, "--groups", "33", cwd=traced).stdout.split()
    assert lines[1] == "33"
    assert os.readlink("/proc/self/ns/net") in lines
    assert "/usr" in lines
    assert (tmp_path / "scratch/x").read_text() == "x\n"
    assert (tmp_path / "scratch/x").stat().st_uid == 33


def test_a_user_who_is_named_has_the_numbers_of_the_machine(tmp_path: Path) -> None:
    """The profile of another machine, where packages were installed in another order."""
    here = pwd.getpwnam("games")
    assert here.pw_uid != here.pw_gid
    who = ("--", "/bin/sh", "-c", "id -u; id -g")
    harden("trace", "--name", "app", "--user", "games", *who, cwd=tmp_path)
    profile = tmp_path / "app.profile.toml"
    text = profile.read_text()
    assert f'user = "games"\nuid = {here.pw_uid}\ngid = {here.pw_gid}\n' in text
    profile.write_text(text.replace(f"uid = {here.pw_uid}\ngid = {here.pw_gid}\n", "uid = 4321\ngid = 4322\n"))
    assert harden("run", cwd=tmp_path).stdout.split() == [str(here.pw_uid), str(here.pw_gid)]
    assert harden("run", "--user", "33:44", cwd=tmp_path).stdout.split() == ["33", "44"]
    verified = json.loads(harden("verify", "--json", cwd=tmp_path, status=ANY).stdout)
    assert (verified["denials"], verified["failure"]) == ([], "")
    profile.write_text(text.replace('user = "games"', 'user = "no-such-user"'))
    said = harden("run", cwd=tmp_path, status=125).stderr
    assert "the profile runs as no-such-user: no user 'no-such-user' on this host" in said
    assert harden("run", "--user", "33", cwd=tmp_path).stdout.split() == ["33", "33"]
    harden("trace", "--name", "number", "--user", "33", *who, cwd=tmp_path)
    assert "\nuser =" not in (tmp_path / "number.profile.toml").read_text()


def test_a_run_has_what_its_trace_was_given(traced: Path, tmp_path: Path) -> None:
    lines = harden("run", cwd=traced).stdout.split("\n")
    assert lines[:4] == ["box", "0 5", "64", "env:"]
    assert lines[-2] == "done"
    assert "--tmpfs /scratch:1048576" in harden("show", "app.profile.toml", cwd=traced).stdout
    verified = json.loads(harden("verify", "--json", cwd=traced, status=ANY).stdout)
    assert (verified["denials"], verified["failure"]) == ([], "")
    exported = harden("export", "app.profile.toml", "--format", "podman", cwd=traced)
    assert "left out, give the consumer's own: --overlay /etc:/copy\n" in exported.stderr
    for option in ("--hostname=box", "--ulimit=nofile=64:64", "type=tmpfs,target=/scratch,tmpfs-size=1048576"):
        assert option in exported.stdout
    (tmp_path / "old.profile.toml").write_text(
        (traced / "app.profile.toml").read_text().replace("groups = [5]\n", "").replace("soft = 64", "soft = 63")
    )
    grown = harden("diff", str(tmp_path / "old.profile.toml"), "app.profile.toml", cwd=traced, status=1).stdout
    assert "group 5" in grown
    assert "rlimit nofile 64" in grown
    gate = ("check", "app.profile.toml", "--baseline", str(tmp_path / "old.profile.toml"), "--policy", "minimal")
    found = harden(*gate, "--format", "json", cwd=traced, status=ANY).stdout
    assert "group 5 is new since" in found


def test_each_of_them_shows_its_effect_again(tmp_path: Path) -> None:
    """As root: a device, another user, a bind of the host and a folder to work in."""
    (tmp_path / "both").mkdir()
    os.chown(tmp_path / "both", 33, 44)
    device = ("--device", "/dev/kmsg:r")
    script = (
        "id -u; id -g; id -G; pwd; stat -c %t:%T:%u /dev/kmsg; echo here > /both/file; cat /both/file; "
        "hostname; echo $GREETING"
    )
    given = (
        *device, "--bind", "both:/both:rw", "--user", "33:44", "--groups", "7", "--cwd", "/usr",
        "--env", "GREETING=hi", "--hostname", "box",
    )  # fmt: skip
    expected = ["33", "44", "44 7", "/usr", "1:b:33", "here", "box", "hi"]
    first = harden("trace", "--name", "app", "--out", "out", *given, "--", "/bin/sh", "-c", script, cwd=tmp_path)
    assert first.stdout.splitlines() == expected
    (tmp_path / "both/file").unlink()
    again = harden("run", "-p", "out/app.profile.toml", cwd=tmp_path)
    assert again.stdout.splitlines() == expected
    assert (tmp_path / "both/file").read_text() == "here\n"
    report = json.loads(harden("probe", "-p", "out/app.profile.toml", "--json", cwd=tmp_path).stdout)
    assert all(action["result"] == "allowed" for action in report["actions"] if action["id"].startswith("twin-"))


@pytest.mark.requires("nobody")
def test_an_ordinary_users_options_are_kept_too() -> None:
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", str(IN_PYTHON)]
    script = "hostname; ulimit -Sn; echo x > /srv/x; cat /srv/x"
    options = ["--tmpfs", "/srv:1M", "--hostname", "box", "--rlimit", "nofile=64"]
    with tempfile.TemporaryDirectory(prefix="harden-options-", dir="/var/tmp") as folder:
        os.chown(folder, NOBODY, NOBODY)
        for command in (["trace", "--name", "app", *options, "--", "/bin/sh", "-c", script], ["run"]):
            ended = subprocess.run([*become, *command], cwd=folder, capture_output=True, text=True, check=False)
            assert ended.stdout == "box\n64\nx\n", ended.stderr


def test_the_plan_says_all_of_it(traced: Path) -> None:
    device = ("--device", "/dev/kmsg:r", "--pass-fd", "7")
    command = ["bash", "-c", 'exec 7</dev/null; exec "$@"', "-", str(HARDEN), "run", *OPTIONS, *device, "--plan"]
    text = subprocess.run(command, cwd=traced, capture_output=True, text=True, check=True).stdout
    for words in (
        "supervisor: attach a BPF program to the cgroup that allows 16 kinds of device",
        "supervisor: make a node of the device /dev/kmsg for the program",
        "supervisor: put a copy-on-write overlay over /etc",
        "init: make a memory file system of 1 MiB for /scratch",
        "init: attach /scratch",
        "init: attach /copy",
        "payload: set the supplementary groups 5, 7",
        "payload: keep descriptor 7 for the program",
        "payload: close every descriptor but 0, 1, 2, 7",
        "payload: limit nofile to 80, at most 80",
        "read-back: verify devices",
        "read-back: verify rlimits",
    ):
        assert f"{words}\n" in text


def test_a_limit_that_the_host_cannot_give_is_refused_by_name_and_can_be_waived(traced: Path) -> None:
    """On a host whose memory controller is on cgroup v2 the same command limits."""
    state = next(each for name, each in features().controllers.items() if name == "memory")
    limited = ("--memory", "256M", *OPTIONS)
    ended = harden("run", *limited, cwd=traced, status=0 if state.works else 125)
    if not state.works:
        assert ended.stderr.splitlines() == [
            f"harden: memory: cannot be enforced: {state.reason}",
            f"hint: {state.fix}; or waive it: --allow-degraded=memory",
        ]
    waived = harden("run", *limited, "--allow-degraded", "memory", cwd=traced)
    assert "\ndone\n" in waived.stdout
    assert (f"harden: memory is not limited: {state.reason}\n" in waived.stderr) == (not state.works)


def test_a_trace_names_a_limit_that_it_cannot_give_and_writes_nothing(tmp_path: Path) -> None:
    if features().controllers["cpu"].works:  # type: ignore[index]
        return
    ended = harden("trace", "--cpus", "0.5", "--", "/bin/true", cwd=tmp_path, status=125)
    assert ended.stderr.startswith("harden: cpu: cannot be enforced: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["run", "trace"])
@pytest.mark.parametrize(
    "wrong",
    [
        ("--memory", "lots"),
        ("--cpus", "0"),
        ("--pids", "0"),
        ("--io", "/dev/sda"),
        ("--cpuset", "x"),
        ("--device", "/etc/passwd"),
        ("--tmpfs", "here"),
        ("--overlay", "/etc"),
        ("--rootfs", "/"),
        ("--rlimit", "files=3"),
        ("--groups", "no-such-group"),
        ("--pass-fd", "900"),
    ],
)
def test_a_wrong_value_is_one_line_and_nothing_starts(traced: Path, command: str, wrong: tuple[str, str]) -> None:
    ended = harden(command, *wrong, "--", "/bin/echo", "started", cwd=traced, status=125)
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"harden: {wrong[0]}")
    assert "Traceback" not in ended.stderr


@pytest.mark.requires("busybox")
def test_users_and_groups_by_name_are_those_of_the_root(tmp_path: Path) -> None:
    """The host has a `daemon`, uid 1, and no `app`; the root has it the other way round."""
    root = tmp_path / "root"
    for folder in ("bin", "etc", "proc", "sys", "dev", "tmp"):
        (root / folder).mkdir(parents=True)
    subprocess.run(["cp", "/bin/busybox", root / "bin/busybox"], check=True)
    (root / "etc/passwd").write_text("app:x:1234:2345::/:/bin/sh\n")
    (root / "etc/group").write_text("web:x:77:\n")
    who, ids = ("--user", "app", "--groups", "web"), "1234 2345 2345 77\n"
    command = ("--", "/bin/busybox", "sh", "-c", "busybox echo $(busybox id -u) $(busybox id -g) $(busybox id -G)")
    assert harden("trace", "--name", "app", "--rootfs", "root", *who, *command, cwd=tmp_path).stdout == ids
    assert harden("run", cwd=tmp_path).stdout == ids
    (root / "etc/passwd").write_text("app:x:4321:2345::/:/bin/sh\nother:x:5:6::/:/bin/sh\n")
    assert harden("run", cwd=tmp_path).stdout == "4321 2345 2345 77\n", "a start asks the root that it shows"
    assert harden("run", "--user", "other", cwd=tmp_path).stdout == "5 6 6 77\n"
    refused = harden("run", "--user", "daemon", cwd=tmp_path, status=125).stderr
    assert f"--user 'daemon': /etc/passwd of {root} has no 'daemon'" in refused
    refused = harden("run", "--groups", "mail", cwd=tmp_path, status=125).stderr
    assert f"--groups 'mail': /etc/group of {root} has no 'mail'" in refused


@pytest.mark.requires("busybox")
def test_another_root_file_system_is_traced_and_run(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for folder in ("bin", "proc", "sys", "dev", "tmp", "srv", "data"):
        (root / folder).mkdir(parents=True)
    subprocess.run(["cp", "/bin/busybox", root / "bin/busybox"], check=True)
    (root / "bin/sh").symlink_to("/bin/busybox")
    (root / "srv/name").write_text("inside\n")
    command = ("--", "sh", "-c", "read name < /srv/name; echo $name; echo y > /data/new")
    ended = harden("trace", "--name", "app", "--rootfs", "root", *command, cwd=tmp_path)
    assert ended.stdout == "inside\n"
    assert f"changed only in the program's copy of the files: {root}/data/new (created)" in ended.stderr
    profile = (tmp_path / "app.profile.toml").read_text()
    assert '"/srv/name" = ' in profile
    assert harden("run", cwd=tmp_path).stdout == "inside\n"
    assert (root / "data/new").read_text() == "y\n"
    (root / "data/new").unlink()
    assert harden("run", "--rootfs", "root", cwd=tmp_path).stdout == "inside\n"
    verified = json.loads(harden("verify", "--json", cwd=tmp_path, status=ANY).stdout)
    assert (verified["denials"], verified["failure"]) == ([], "")
    assert json.loads(harden("probe", "--json", cwd=tmp_path).stdout)["actions"]
    inner = harden("trace", "--name", "app", "--rootfs", "..", "--out", "root", *command, cwd=tmp_path, status=127)
    assert inner.stdout == ""
    (root / "app.profile.toml").write_text(profile)
    refused = harden("run", "-p", "root/app.profile.toml", "--rootfs", "root", cwd=tmp_path, status=125)
    assert "where the program could change it" in refused.stderr
