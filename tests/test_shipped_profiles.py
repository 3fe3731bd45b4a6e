"""The profiles that come with harden: nothing of the machine that made them, and what a policy and the prober say."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import msgspec
import pytest

from harden.folder import ProfileFiles
from harden.model.arch import Arch
from harden.model.local_merge import merge_local
from harden.model.origin import Origin
from harden.model.recording import Completeness
from harden.model.syscall import number_of
from harden.model.workload import Workload
from harden.render.profile_toml import render_profile
from tests.conftest import compile_victim
from tests.shipped import FOLDER, PROGRAMS, Program, harden, surroundings

FORBIDDEN = (
    "exec-memory", "write-passwd", "read-shadow", "list-root-home", "create-usr-bin", "write-init-memory",
    "write-core-pattern", "connect-out", "socket-netlink", "socket-packet", "socket-alg", "socket-vsock",
    "ptrace-traceme", "ptrace-init", "write-init-process", "unshare-user", "clone3-user", "io-uring", "bpf-map",
    "keyring-find", "keyring-add", "mount", "fsopen", "umount", "pivot-root", "setns", "chroot", "tiocsti",
    "tiocsti-high-bits", "mmap-write-exec", "mprotect-write-exec", "personality", "perf-event", "userfaultfd", "kexec",
    "load-module", "reboot", "set-time", "set-hostname", "kernel-log",
)  # fmt: skip
"""Of the prober's actions, those that none of these programs has any business with."""
GRANTED = {
    "git": {"exec-shell": ("execve", "exec /usr/bin/dash")},
    "nginx": {"change-user": ("setuid", "CAP_SETUID")},
}
"""What a program does itself: the attacks that its profile lets through, and the rights that do."""
NEEDS_A_CHILD = {"abi-i386", "abi-x32"}
STRICT = {
    "git": {"shell-exec"},
    "nginx": {"broad-capability", "forbidden-capability"},
    "postgres": {"too-many-rights"},
}
"""What the strict preset has to say of each, beside that no rerun is noted: the README beside them says why."""

ELSEWHERE = {"program-changed", "unverified-profile"}
"""What depends on the machine: which security updates it has, and what was run on it."""

each_program = pytest.mark.parametrize(
    "program",
    [
        pytest.param(
            each,
            id=each.name,
            marks=(pytest.mark.requires(*each.features), pytest.mark.xdist_group(f"shipped-{each.name}")),
        )
        for each in PROGRAMS
    ],
)
"""Those of one program take turns: they work in the same folder."""
live = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap", "checkout")


def findings(policy: str) -> dict[str, set[str]]:
    text = harden(
        PROGRAMS[0], "check", "--policy", policy, "--format", "json", str(FOLDER), cwd=FOLDER, statuses=(0, 1)
    )
    found: dict[str, set[str]] = {}
    for each in json.loads(text)["findings"]:
        if each["id"] not in ELSEWHERE and each["severity"] not in ("info", "low"):
            found.setdefault(each["profile"], set()).add(each["id"])
    return found


def test_every_folder_is_in_the_table():
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == {program.name for program in PROGRAMS}
    for program in PROGRAMS:
        scenarios = {path.name.removesuffix(".scenario.toml") for path in program.folder.glob("*.scenario.toml")}
        assert scenarios == set(program.scenarios)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_profile_is_whole_and_says_nothing_of_its_maker(program: Program):
    files = ProfileFiles.of_profile(program.folder / f"{program.name}.profile.toml")
    profile = files.load_profile(trust=True)
    local = files.load_local(trust=True)
    merged = merge_local(profile, local, file=str(files.local)) if local else profile
    assert merged.generated.completeness is Completeness.COMPLETE
    files_of_scenarios = [program.folder / f"{name}.scenario.toml" for name in program.scenarios]
    disturbed = sum(len(tomllib.loads(path.read_text()).get("perturb", ())) for path in files_of_scenarios)
    assert len(program.scenarios) <= len(merged.generated.runs) <= len(program.scenarios) + disturbed
    assert set(merged.workload.environment) <= {"PATH", "LANG", "HOME"}
    assert merged.rights.architectures


def test_presets_and_the_policy_beside_them():
    assert findings("policy.toml") == {}
    assert findings("minimal") == findings("baseline") == {"nginx": {"broad-capability"}}
    assert findings("strict") == STRICT
    waivers = tomllib.loads((FOLDER / "policy.toml").read_text())["waiver"]
    assert [waiver["profile"] for waiver in waivers] == ["nginx"]


@live
@each_program
def test_prober_is_refused_what_the_program_never_did(program: Program):
    with surroundings(program):
        report = json.loads(harden(program, "probe", "--json", cwd=program.folder))
    actions = {action["id"]: action for action in report["actions"]}
    answers = {name: action["result"] for name, action in actions.items()}
    assert [name for name in FORBIDDEN if answers[name] not in ("refused", "killed")] == []
    attacks = {name for name in answers if not name.startswith("twin-")}
    let_through = {name: tuple(actions[name]["granted_by"]) for name in attacks if answers[name] == "allowed"}
    assert let_through == GRANTED.get(program.name, {})
    assert {name for name in attacks if answers[name] == "not-tried"} <= NEEDS_A_CHILD
    assert answers["twin-memory"] == "allowed"


@live
@each_program
def test_every_scenario_verifies_without_a_denial(program: Program, tmp_path: Path):
    folder = shutil.copytree(program.folder, tmp_path / program.name)
    own_data = Path(program.stand_in[0]) if program.stand_in else folder
    before = {path: path.lstat().st_mtime_ns for path in own_data.rglob("*")} if program.stand_in else {}
    for scenario in program.scenarios:
        with surroundings(program):
            arguments = ("verify", "-p", f"{program.name}.profile.toml", "--scenario", f"{scenario}.scenario.toml")
            found = json.loads(harden(program, *arguments, "--json", cwd=folder, statuses=(0, 1, 3)))
        assert (found["denials"], found["failure"], found["lost"]) == ([], "", []), scenario
    if program.stand_in:
        assert {path: path.lstat().st_mtime_ns for path in own_data.rglob("*")} == before, "the machine's own data"


TRIED = {
    "call 59": "execve",
    "call 322": "execveat",
    "read /etc/shadow": "openat",
    "read /root": "openat",
    "write /etc/passwd": "openat",
    "write /usr/bin/harden-test": "openat",
    "write /proc/sys/kernel/core_pattern": "openat",
    "socket 16 3": "socket",
    "socket 17 3": "socket",
    "socket 38 5": "socket",
    "socket 40 1": "socket",
    "protect": "mprotect",
    "type": "ioctl",
    **{
        f"call {number_of(Arch.X86_64, name)}": name
        for name in (
            "ptrace", "process_vm_writev", "unshare", "setns", "io_uring_setup", "bpf", "keyctl", "add_key", "mount",
            "fsopen", "umount2", "pivot_root", "chroot", "personality", "perf_event_open", "userfaultfd", "init_module",
            "open_by_handle_at", "syslog", "kexec_load", "reboot", "settimeofday", "sethostname",
        )
    },
    f"call {number_of(Arch.X86_64, 'setuid')}": "setuid",
}  # fmt: skip
"""What a program of ours tries in place of the profile's, as tests/programs/wish.c reads it, and the call it makes."""
GRANTED_CALLS = {"git": {"execve"}, "nginx": {"setuid"}}


@live
@pytest.mark.requires("x86_64")
@each_program
def test_program_that_tries_more_is_listed_by_verify(program: Program, tmp_path: Path):
    """The same rights, but for another program's: it may start itself and read what it is to do."""
    granted = GRANTED_CALLS.get(program.name, set())
    victim = str(compile_victim("wish", static=True))
    (tmp_path / "wishes").write_text("".join(f"{line}\n" for line in (*TRIED, "connect 9")))
    profile = ProfileFiles.of_profile(program.folder / f"{program.name}.profile.toml").load_profile(trust=True)
    own = {victim: "read exec map", str(tmp_path / "wishes"): "read"}
    files = {**profile.rights.files, Origin.MANUAL: own}
    other = msgspec.structs.replace(
        profile,
        workload=Workload(program=victim, argv=("wish", "wishes"), cwd=str(tmp_path)),
        rights=msgspec.structs.replace(profile.rights, files=files),
    )
    (tmp_path / "app.profile.toml").write_bytes(render_profile(other))
    with surroundings(program):
        text = harden(program, "verify", "-p", "app.profile.toml", "--json", cwd=tmp_path, statuses=(1,))
    denials = json.loads(text)["denials"]
    calls = {denial["call"] for denial in denials}
    assert set(TRIED.values()) - calls == granted
    assert granted <= profile.rights.all_syscalls()
    paths = {path for denial in denials for path in denial.get("paths", ())}
    assert paths >= {line.split()[1] for line, call in TRIED.items() if call == "openat"}
    # Connecting out ends where the profile first says no: at another kind of socket, at the call, or at the port.
    assert any(denial["call"] == "connect" or "AF_INET" in denial.get("arguments", ()) for denial in denials)
