"""Growth: everything that a profile allows more, and nothing else."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given

from harden.model.capability import Capability
from harden.model.diff import RightKind, added_rights, diff_profiles
from harden.model.profile import Profile
from harden.model.risk import CAPABILITY_RISKS, SYSCALL_RISKS
from harden.model.syscall import is_known
from tests import recordings
from tests.check.cases import calls, files, profile

SOCKET = {"socket": [["AF_UNIX", "SOCK_STREAM", "0"]]}
MORE_SOCKET = {"socket": [["AF_UNIX", "SOCK_STREAM", "0"], ["AF_INET", "SOCK_STREAM", "6"]]}


def limited(controls: dict[str, str] | None = None, **limits: object) -> Profile:
    return profile(rights={"limits": {"observed": limits}}, controls=controls or {})


GROWN = [
    (calls("read"), calls("read", "ptrace"), RightKind.SYSCALL, "ptrace"),
    (profile(), profile(rights={"architectures": ["i386", "x86_64"]}), RightKind.ARCHITECTURE, "i386"),
    (
        calls("socket", arguments=SOCKET),
        calls("socket", arguments=MORE_SOCKET),
        RightKind.ARGUMENT,
        "socket(AF_INET, SOCK_STREAM, 6)",
    ),
    (calls("socket", arguments=SOCKET), calls("socket"), RightKind.ARGUMENT, "socket with any arguments"),
    (profile(), profile(rights={"capabilities": {"manual": ["CAP_CHOWN"]}}), RightKind.CAPABILITY, "CAP_CHOWN"),
    (files(read="/a"), files(read_write="/a"), RightKind.FILE, "write /a"),
    (files(read="/a"), files(read="/*"), RightKind.FILE, "read /*"),
    (files(read="/a/**"), files(write="/a/b"), RightKind.FILE, "write /a/b"),
    (
        profile(),
        profile(rights={"network": {"observed": ["bind tcp 0.0.0.0:80"]}}),
        RightKind.NETWORK,
        "bind tcp 0.0.0.0:80",
    ),
    (profile(), profile(controls={"landlock": "off"}), RightKind.CONTROL, "landlock is off, was required"),
    (profile(controls={"memory": "required"}), profile(), RightKind.CONTROL, "memory is off, was required"),
    (limited(pids=16), limited(pids=32), RightKind.LIMIT, "pids up to 32, was up to 16"),
    (limited(memory="1G"), limited(memory="1025M"), RightKind.LIMIT, "memory up to 1025M, was up to 1G"),
    (limited(nofile=64), profile(), RightKind.LIMIT, "nofile without a limit, was up to 64"),
    (limited(pids=16), limited({"pids": "off"}, pids=16), RightKind.LIMIT, "pids without a limit, was up to 16"),
    (profile(), profile(workload={"network": "host"}), RightKind.WORKLOAD, "network host"),
    (profile(), profile(workload={"user_namespace": "host"}), RightKind.WORKLOAD, "user_namespace host"),
    (
        profile(),
        profile(workload={"binds": [{"source": "/a", "target": "/b", "writable": True}]}),
        RightKind.WORKLOAD,
        "bind /a at /b writable",
    ),
    *(
        (profile(workload={"isolation": old}), profile(workload={"isolation": new}), RightKind.WORKLOAD, right)
        for old, new, right in (
            ({}, {"devices": [{"path": "/dev/kvm", "access": "rw"}]}, "device /dev/kvm rw"),
            (
                {"devices": [{"path": "/dev/kvm", "access": "r"}]},
                {"devices": [{"path": "/dev/kvm", "access": "rw"}]},
                "device /dev/kvm w",
            ),
            ({}, {"rootfs": "/srv/root"}, "rootfs /srv/root"),
            ({"rootfs": "/srv/root"}, {}, "rootfs /srv/root gone: the host's own"),
            ({}, {"overlays": [{"lower": "/etc", "target": "/copy"}]}, "overlay /etc at /copy"),
            ({"overlays": [{"lower": "/etc", "target": "/etc"}]}, {}, "nothing mounted at /etc any more"),
            ({"tmpfs": [{"target": "/etc"}]}, {}, "nothing mounted at /etc any more"),
            ({}, {"tmpfs": [{"target": "/a"}]}, "tmpfs /a"),
            ({"tmpfs": [{"target": "/a", "size": 5}]}, {"tmpfs": [{"target": "/a", "size": 6}]}, "tmpfs /a of 6 bytes"),
            ({"groups": [5]}, {"groups": [5, 6]}, "group 6"),
            ({"rlimits": [{"name": "nofile", "soft": 5, "hard": 5}]}, {}, "rlimit nofile unlimited"),
            (
                {"rlimits": [{"name": "nofile", "soft": 5, "hard": 5}]},
                {"rlimits": [{"name": "nofile", "soft": 5, "hard": 6}]},
                "rlimit nofile 5",
            ),
            ({}, {"rlimits": [{"name": "core", "soft": 1, "hard": 1}]}, "rlimit core 1"),
            ({"memory": 5}, {}, "memory without a limit, was 5"),
            ({"memory": 5}, {"memory": 6}, "memory 6, was 5"),
            ({"pids": 5}, {"pids": 6}, "pids 6, was 5"),
            ({"cpuset": "0-1"}, {"cpuset": "1-2"}, "cpuset 1-2, was 0-1"),
            (
                {"io": [{"path": "/d", "rbps": 5, "wbps": 5}]},
                {"io": [{"path": "/d", "rbps": 5}]},
                "io /d wbps without a limit, was 5",
            ),
        )
    ),
    (
        profile(workload={"binds": [{"source": "/empty", "target": "/etc"}]}),
        profile(),
        RightKind.WORKLOAD,
        "nothing mounted at /etc any more",
    ),
    (
        profile(workload={"user": "redis", "uid": 102, "gid": 105}),
        profile(workload={"user": "www-data", "uid": 102, "gid": 105}),
        RightKind.WORKLOAD,
        "user www-data",
    ),
]


@pytest.mark.parametrize(("old", "new", "kind", "right"), GROWN, ids=[row[3] for row in GROWN])
def test_growth(old, new, kind, right):
    (change,) = added_rights(old, new)
    assert (change.kind, change.right) == (kind, right)
    assert 1 <= change.weight <= 10


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (files(read="/a/**"), files(read="/a/b")),
        (calls("socket"), calls("socket", arguments=SOCKET)),
        (
            calls("socket", arguments={"socket": [["AF_INET", "*", "*"]]}),
            calls("socket", arguments={"socket": [["AF_INET", "SOCK_STREAM", "6"]]}),
        ),
        (profile(), profile(rights={"syscalls": {"baseline": ["read", "write"], "manual": ["exit_group"]}})),
        (profile(), profile(controls={"apparmor": "required"})),
        (profile(workload={"network": "host"}), profile()),
        (
            profile(workload={"user": "redis", "uid": 102, "gid": 105}),
            profile(workload={"user": "redis", "uid": 104, "gid": 111}),
        ),
        (limited(memory="1G"), limited(memory="1G")),
        (limited(memory="1G"), limited(memory="1023M", pids=16)),
        (profile(), limited(pids=1 << 20)),
        (profile(), profile(generated={"runs": ["b" * 12]})),
        (profile(), profile(workload={"isolation": {"memory": 5, "pids": 5, "cpuset": "0", "hostname": "box"}})),
        (
            profile(workload={"isolation": {"memory": 5, "cpuset": "0-3"}}),
            profile(workload={"isolation": {"memory": 4, "cpuset": "1,3"}}),
        ),
        (
            profile(workload={"isolation": {"devices": [{"path": "/dev/kvm", "access": "rw"}], "groups": [5]}}),
            profile(),
        ),
        (
            profile(workload={"isolation": {"tmpfs": [{"target": "/a", "size": 5}]}}),
            profile(workload={"isolation": {"tmpfs": [{"target": "/a", "size": 4}]}}),
        ),
    ],
)
def test_no_growth(old, new):
    assert added_rights(old, new) == ()


def test_heaviest_first():
    found = added_rights(calls("read"), calls("read", "getppid", "ptrace", "unlink", "init_module"))
    assert [change.right for change in found] == ["init_module", "ptrace", "unlink", "getppid"]


PROFILES = recordings.runs.map(recordings.profile_of)


@given(PROFILES, PROFILES)
def test_laws(one: Profile, other: Profile):
    assert added_rights(one, one) == ()
    there, back = diff_profiles(one, other), diff_profiles(other, one)
    assert (there.added, there.removed) == (back.removed, back.added)
    union = msgspec.structs.replace(
        one,
        rights=msgspec.structs.replace(
            one.rights, capabilities={**one.rights.capabilities, **other.rights.capabilities}
        ),
    )
    assert all(change.kind is RightKind.CAPABILITY for change in added_rights(one, union))


def test_risk_tables_name_what_exists():
    gone = {
        "create_module",
        "umount",
        "nfsservctl",
        "quotactl_fd",
        "set_mempolicy_home_node",
        "setxattrat",
        "open_tree_attr",
    }
    assert {name for name in SYSCALL_RISKS if not is_known(name)} <= gone
    assert set(CAPABILITY_RISKS) <= set(Capability.__members__)
