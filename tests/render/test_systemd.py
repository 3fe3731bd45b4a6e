"""The systemd drop-in: systemd takes every line, and a reader of its filters finds what the profile decides."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from harden.bpf.action import ALLOW, ENOSYS
from harden.bpf.decision import Decision
from harden.model.arch import Arch
from harden.model.local_merge import merge_local
from harden.model.profile import Local, LocalRights, Profile
from harden.model.syscall import numbers
from harden.render.formats import FORMATS
from tests.recordings import arguments, capability, file, profile_of, run, small_profile, socket, syscall
from tests.render.readers import unit_settings

UNIT = "[Service]\nExecStart=/bin/true\n"


def settings(profile: Profile) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in unit_settings(FORMATS["systemd"].render(profile).content):
        found.setdefault(key, []).append(value)
    return found


def unit(profile: Profile, folder: Path) -> Path:
    path = folder / "app.service"
    path.write_bytes(UNIT.encode() + FORMATS["systemd"].render(profile).content)
    return path


def exposure(path: Path) -> float:
    """What systemd makes of the unit: 0 is nothing exposed, 10 everything."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"Overall exposure level for app\.service: ([0-9.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])


@pytest.mark.requires("systemd-analyze")
def test_systemd_takes_every_line(tmp_path):
    odd = profile_of(
        run(
            files=(
                file('/srv/app/a b"c\\x5cd%e$f;#é', "write"),
                file("/home/u/app/data", "create", "write"),
                file("/run/app/pid", "create", "write"),
                file("/dev/fuse", "read", "write"),
                file("/dev/sd @{x}", "read"),
            ),
            sockets=(
                socket("bind", "AF_INET6", "SOCK_DGRAM", address="::1", port=53),
                socket("connect", "AF_INET", "SOCK_STREAM", address="10.0.0.1", port=443),
                socket("connect", "AF_UNIX", "SOCK_STREAM", address="/run/db/sock"),
            ),
        )
    )
    for profile in (small_profile(), odd):
        path = unit(profile, tmp_path)
        done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
        complaints = [line for line in done.stderr.splitlines() if "Failed to parse system call" not in line]
        assert done.returncode == 0, done.stderr
        assert complaints == []
    unknown = UNIT + "ReadWritePaths=relative\n"
    (tmp_path / "bad.service").write_text(unknown)
    bad = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "bad.service")], capture_output=True, text=True, check=False
    )
    assert "not absolute" in bad.stderr, "the complaint that is looked for is one that systemd makes"


@pytest.mark.requires("systemd-analyze")
def test_systemd_finds_little_exposed(tmp_path):
    (tmp_path / "app.service").write_text(UNIT)
    bare = exposure(tmp_path / "app.service")
    hardened = exposure(unit(small_profile(), tmp_path))
    assert bare > 9
    assert hardened < 2
    assert exposure(unit(profile_of(run()), tmp_path)) < hardened


def test_every_call_is_decided_by_name():
    profile = small_profile()
    table = Decision.of(profile.rights).tables[Arch.X86_64]
    found = settings(profile)
    lists = found["SystemCallFilter"]
    allowed = {name for value in lists if not value.startswith("~") for name in value.split()}
    removed = {name for value in lists if value.startswith("~") for name in value[1:].split()}
    assert not any(name.startswith("@") for name in allowed | removed)
    assert allowed & removed == set()
    for name, number in numbers(Arch.X86_64).items():
        granted = table.actions.get(number) == ALLOW or number in table.conditions
        assert (name in allowed) == (granted or name == "execve"), name
    assert found["SystemCallErrorNumber"] == ["ENOSYS"]
    assert table.unknown == ENOSYS
    assert found["SystemCallArchitectures"] == ["x86-64"]


OPTIONS: tuple[tuple[str, LocalRights], ...] = (
    ("MemoryDenyWriteExecute", LocalRights(syscalls=("mprotect",), arguments={"mprotect": (("PROT_EXEC",),)})),
    ("MemoryDenyWriteExecute", LocalRights(syscalls=("shmat",))),
    ("LockPersonality", LocalRights(syscalls=("personality",))),
    ("RestrictRealtime", LocalRights(syscalls=("sched_setscheduler",))),
    ("RestrictSUIDSGID", LocalRights(syscalls=("openat2",))),
    ("RestrictNamespaces", LocalRights(syscalls=("unshare",))),
    ("PrivateUsers", LocalRights(capabilities=("CAP_CHOWN",))),
    ("ProtectHostname", LocalRights(syscalls=("sethostname",))),
    ("ProtectClock", LocalRights(syscalls=("clock_settime",))),
    ("ProtectClock", LocalRights(capabilities=("CAP_SYS_TIME",))),
    ("ProtectKernelTunables", LocalRights(files={"/proc/sys/net/x": "write"})),
    ("ProtectKernelTunables", LocalRights(files={"/sys/**": "write"})),
    ("ProtectKernelModules", LocalRights(syscalls=("finit_module",))),
    ("ProtectKernelModules", LocalRights(files={"/usr/lib/modules/x": "read"})),
    ("ProtectKernelLogs", LocalRights(syscalls=("syslog",))),
    ("ProtectKernelLogs", LocalRights(files={"/dev/kmsg": "read"})),
    ("ProtectControlGroups", LocalRights(files={"/sys/fs/cgroup/x": "write"})),
    ("ProtectProc", LocalRights(syscalls=("ptrace",))),
    ("ProcSubset", LocalRights(files={"/proc/meminfo": "read"})),
    ("PrivateDevices", LocalRights(files={"/dev/fuse": "read"})),
    ("PrivateDevices", LocalRights(capabilities=("CAP_MKNOD",))),
    ("PrivateNetwork", LocalRights(syscalls=("socket",), arguments={"socket": (("AF_INET", "SOCK_STREAM", "0"),)})),
    ("RestrictAddressFamilies", LocalRights(syscalls=("socket",))),
)


@pytest.mark.parametrize(("option", "added"), OPTIONS, ids=lambda each: each if isinstance(each, str) else "")
def test_an_option_is_there_only_while_the_profile_permits_it(option, added):
    plain = profile_of(run(syscalls=(syscall("mmap"),), arguments=(arguments("mmap", (0,)),)))
    wider = merge_local(plain, Local(format="harden-local/1", add=added))
    assert option in settings(plain)
    assert option not in settings(wider)


def test_files_follow_the_profile():
    found = settings(
        profile_of(
            run(
                files=(
                    file("/srv/app/data", "create", "write"),
                    file("/home/u/conf", "read"),
                    file("/etc/shadow", "read"),
                    file("/dev/fuse", "read", "write"),
                ),
            )
        )
    )
    assert found["ProtectSystem"] == ["strict"]
    assert found["ReadWritePaths"] == ['"-/srv/app"']
    assert found["ProtectHome"] == ["tmpfs"]
    assert '"-/home/u/conf"' in found["BindReadOnlyPaths"]
    assert '"-/etc/shadow"' not in found["InaccessiblePaths"]
    assert '"-/etc/gshadow"' in found["InaccessiblePaths"]
    assert found["DeviceAllow"] == ['"/dev/fuse" rw']
    assert found["NoExecPaths"] == ["/"]
    assert '"-/usr/bin/app"' in found["ExecPaths"]


def test_network_follows_the_profile():
    client = profile_of(run(sockets=(socket("connect", "AF_INET", "SOCK_STREAM", address="10.0.0.1", port=443),)))
    assert settings(client)["IPAddressAllow"] == ["10.0.0.1"]
    assert settings(client)["IPAddressDeny"] == ["any"]
    assert "SocketBindAllow" not in settings(client)
    server = settings(small_profile())
    assert server["SocketBindDeny"] == ["any"]
    assert server["SocketBindAllow"] == ["ipv4:tcp:80"]
    assert "IPAddressDeny" not in server
    warnings = FORMATS["systemd"].render(small_profile()).warnings
    assert any("IPAddressAllow=" in warning for warning in warnings)


def test_capabilities_and_namespaces_by_name():
    found = settings(
        profile_of(
            run(
                syscalls=(syscall("unshare"),),
                arguments=(arguments("unshare", (0x10000000 | 0x00020000,)),),
                capabilities=(capability("CAP_SYS_CHROOT"),),
            )
        )
    )
    assert found["CapabilityBoundingSet"] == found["AmbientCapabilities"] == ["CAP_SYS_CHROOT"]
    assert found["RestrictNamespaces"] == ["mnt user"]
    assert settings(profile_of(run()))["CapabilityBoundingSet"] == [""]
