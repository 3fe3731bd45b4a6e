"""Every check: one subject that it finds fault with, one that it passes."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
import pytest

from harden.check.case import ExportState
from harden.check.foreign import read_foreign
from harden.check.registry import CHECKS
from harden.check.subject import Subject
from harden.model.policy import Counts, Demand
from harden.model.profile import Profile
from harden.model.recording import Completeness
from tests.check.cases import TODAY, calls, caps, covered, demanded, deny, files, hits, limited, network, profile

ENGINE = {"expired-waiver", "unused-waiver"}
"""Tested in test_waivers."""


OPEN = profile()
TWO = profile(generated={"runs": ["a" * 12, "b" * 12]})
NOT_SERVING = Demand(forbidden_while_serving=("execve", "CAP_SETUID"))
PARTLY_READ = read_foreign(b"profile web {\n  include <abstractions/base>\n}\n", "usr.bin.web")

FAILING: dict[str, list[tuple[Subject | Profile, dict[str, Any], str]]] = {
    "permissive-default": [(deny(), {}, "")],
    "unchecked-arch": [(deny(), {}, "x32")],
    "foreign-arch": [(profile(rights={"architectures": ["i386", "x86_64"]}), {}, "i386")],
    "sibling-gap": [(calls("execveat"), {}, "execveat"), (deny("open", "openat", "creat"), {}, "openat2")],
    "unruled-argument": [(calls("ioctl"), {}, "ioctl")],
    "dangerous-call": [(calls("mount"), {}, "mount"), (calls("userfaultfd"), {}, "userfaultfd")],
    "io-uring": [(calls("io_uring_enter"), {}, "io_uring_enter")],
    "bpf": [(calls("bpf", arguments={"bpf": [["BPF_MAP_CREATE"]]}), {}, "bpf")],
    "ptrace": [(calls("process_vm_writev"), {}, "process_vm_writev")],
    "user-namespace": [
        (calls("unshare", arguments={"unshare": [["CLONE_NEWUSER|CLONE_NEWNS"]]}), {}, "unshare"),
        (calls("clone"), {}, "clone"),
        (profile(rights={"syscalls": {"manual": ["clone3"]}}), {}, "clone3"),
        (deny("clone", "clone3"), {}, "unshare"),
    ],
    "writable-executable": [
        (calls("mmap", arguments={"mmap": [["PROT_WRITE|PROT_EXEC"]]}), {}, "mmap"),
        (deny("mmap", "pkey_mprotect"), {}, "mprotect"),
    ],
    "raw-socket": [
        (calls("socket", arguments={"socket": [["AF_INET", "SOCK_RAW", "*"]]}), {}, "socket"),
        (calls("socket", arguments={"socket": [["AF_PACKET", "SOCK_DGRAM", "768"]]}), {}, "socket"),
        (network("bind raw 0.0.0.0:0"), {}, "bind raw 0.0.0.0:0"),
    ],
    "cap-sys-admin": [(caps("CAP_SYS_ADMIN"), {}, "CAP_SYS_ADMIN")],
    "broad-capability": [(caps("CAP_DAC_OVERRIDE"), {}, "CAP_DAC_OVERRIDE")],
    "unused-capability": [(caps("CAP_CHOWN", origin="manual"), {}, "CAP_CHOWN")],
    "guarded-path-read": [
        (files(read="/etc/shadow"), {}, "/etc/shadow"),
        (files(read="/etc/**"), {}, "/etc/**"),
        (files(list="/root"), {}, "/root"),
        (files(read="/etc/s*"), {}, "/etc/s*"),
    ],
    "guarded-path-write": [
        (files(write="/etc/app.conf"), {}, "/etc/app.conf"),
        (files(unlink="/**"), {}, "/**"),
        (files(write="/proc/sys/kernel/core_pattern"), {}, "/proc/sys/kernel/core_pattern"),
    ],
    "secret-path": [(files(read="/srv/tls/server.key"), {}, "/srv/tls/server.key")],
    "writable-program": [
        (files(write="/usr/bin/app"), {}, "/usr/bin/app"),
        (files(create="/srv/plugins/*", map="/srv/plugins/x.so"), {}, "/srv/plugins/*"),
    ],
    "shell-exec": [(files(exec="/usr/bin/bash"), {}, "/usr/bin/bash"), (files(exec="/usr/bin/*"), {}, "/usr/bin/*")],
    "wide-glob": [(files(read="/usr/share/**"), {}, "/usr/share/**"), (files(write="/var/*"), {}, "/var/*")],
    "wide-network": [
        (network("connect tcp 10.0.0.1:443", origin="manual"), {}, "connect tcp 10.0.0.1:443"),
        (calls("socket", arguments={"socket": [["*", "SOCK_STREAM", "0"]]}), {}, "socket"),
    ],
    "weak-control": [
        (profile(controls={"seccomp": "preferred"}), {}, "seccomp"),
        (profile(workload={"user_namespace": "identity"}), {}, "user_namespace"),
    ],
    "incomplete-recording": [(profile(generated={"completeness": "opaque"}), {}, "")],
    "not-checked": [(PARTLY_READ, {}, "")],
    "program-changed": [(OPEN, {"digest": "sha256:" + "1" * 64}, "/usr/bin/app")],
    "rule-without-origin": [
        (calls("read", "ptrace"), {"regenerated": calls("read")}, "ptrace"),
        (profile(rights={"syscalls": {"manual": ["ptrace"]}}), {}, "ptrace"),
        (calls("read", "ptrace"), {"regenerated": profile(generated={"harden": "1"})}, "ptrace"),
    ],
    "unverified-profile": [(OPEN, {}, "")],
    "stale-profile": [
        (OPEN, {"demand": Demand(max_age_days=30), "committed": TODAY - datetime.timedelta(days=31)}, ""),
        (OPEN, {"demand": Demand(max_age_days=30), "age_problem": "the clone is shallow"}, ""),
        (OPEN, {"regenerated": TWO}, ""),
    ],
    "stale-export": [
        (OPEN, {"exports": (ExportState(file="a.json", format="seccomp", problem="is missing"),)}, "a.json")
    ],
    "growth": [(calls("read", "ptrace"), {"baseline": calls("read"), "baseline_name": "git:main"}, "ptrace")],
    "new-profile": [(OPEN, {"baseline_name": "git:main"}, "")],
    "forbidden-syscall": [(calls("getppid"), {"demand": Demand(forbidden_syscalls=("getppid",))}, "getppid")],
    "missing-syscall": [(calls("read"), {"demand": Demand(required_syscalls=("getppid",))}, "getppid")],
    "low-coverage": [
        (TWO, {"demand": Demand(min_coverage=0.9), "coverage": covered(0.8)}, "files"),
        (TWO, {"demand": Demand(min_coverage=0.9)}, ""),
        (OPEN, {"demand": Demand(min_coverage=0.9), "coverage": ()}, ""),
    ],
    "serving-right": [
        (OPEN, {"demand": NOT_SERVING, "serving": frozenset({"read", "execve"})}, "execve"),
        (OPEN, {"demand": NOT_SERVING, "serving": frozenset({"CAP_SETUID"})}, "CAP_SETUID"),
        (OPEN, {"demand": NOT_SERVING}, ""),
    ],
    "forbidden-argument": [
        (
            calls("unshare", arguments={"unshare": [["CLONE_NEWNS|CLONE_NEWUSER"]]}),
            {"demand": Demand(forbidden_arguments={"unshare": (("CLONE_NEWUSER",),)})},
            "unshare",
        ),
        (
            calls("socket", arguments={"socket": [["AF_INET", "SOCK_STREAM", "0"]]}),
            {"demand": Demand(forbidden_arguments={"socket": (("AF_INET", "*", "*"),)})},
            "socket",
        ),
        (
            calls("socket", arguments={"socket": [["AF_INET", "SOCK_STREAM", "0"]]}),
            {"demand": Demand(allowed_arguments={"socket": (("AF_UNIX", "*", "*"),)})},
            "socket",
        ),
        (deny(), {"demand": Demand(allowed_arguments={"socket": (("AF_UNIX", "*", "*"),)})}, "socket"),
    ],
    "forbidden-capability": [
        (caps("CAP_CHOWN"), {"demand": Demand(forbidden_capabilities=("CAP_CHOWN",))}, "CAP_CHOWN"),
        (caps("CAP_CHOWN"), {"demand": Demand(allowed_capabilities=())}, "CAP_CHOWN"),
    ],
    "forbidden-file": [
        (files(read="/home/*/mail"), {"demand": Demand(forbidden_files={"/home/**": "read"})}, "/home/*/mail")
    ],
    "forbidden-program": [
        (files(exec="/usr/bin/git"), {"demand": Demand(allowed_programs=("/usr/lib/**",))}, "/usr/bin/git")
    ],
    "forbidden-network": [
        (
            network("connect tcp 169.254.169.254:80"),
            {"demand": Demand(forbidden_network=("connect * 169.254.0.0/16:*",))},
            "connect tcp 169.254.169.254:80",
        ),
        (
            network("bind tcp 0.0.0.0:80"),
            {"demand": Demand(forbidden_network=("bind tcp 127.0.0.1/32:80",))},
            "bind tcp 0.0.0.0:80",
        ),
        (
            network("connect unix /run/x"),
            {"demand": Demand(allowed_network=("connect tcp *:443",))},
            "connect unix /run/x",
        ),
        (
            calls("socket", arguments={"socket": [["AF_NETLINK", "SOCK_RAW", "0"]]}),
            {"demand": Demand(allowed_families=("AF_UNIX",))},
            "AF_NETLINK",
        ),
    ],
    "missing-control": [(OPEN, {"demand": msgspec.convert({"controls": {"memory": "required"}}, Demand)}, "memory")],
    "missing-limit": [
        (OPEN, demanded(required_limits=["pids"]), "pids"),
        (OPEN, demanded(max_limits={"memory": "64M"}), "memory"),
        (limited(controls={"memory": "off"}), demanded(required_limits=["memory"]), "memory"),
    ],
    "high-limit": [
        (limited(), demanded(max_limits={"memory": "32M"}), "memory"),
        (limited(), demanded(max_limits={"pids": 15, "memory": "64M"}), "pids"),
    ],
    "too-many-rights": [(OPEN, {"demand": Demand(most=Counts(syscalls=2))}, "system calls")],
    "too-few-runs": [(OPEN, {"demand": Demand(min_runs=2)}, "")],
}
"""By id: subject, what is around it, and the rule that must be named."""

PASSING: dict[str, list[tuple[Subject | Profile, dict[str, Any]]]] = {
    "permissive-default": [(OPEN, {})],
    "unchecked-arch": [(OPEN, {})],
    "foreign-arch": [(OPEN, {})],
    "sibling-gap": [(calls("execve", "openat"), {})],
    "unruled-argument": [(calls("ioctl", arguments={"ioctl": [["TCGETS"]]}), {})],
    "dangerous-call": [(OPEN, {})],
    "io-uring": [(OPEN, {}), (deny("io_uring_setup", "io_uring_enter", "io_uring_register"), {})],
    "bpf": [(OPEN, {})],
    "ptrace": [(OPEN, {})],
    "user-namespace": [(calls("clone", arguments={"clone": [["0"]]}), {}), (deny("clone", "clone3", "unshare"), {})],
    "writable-executable": [(calls("mmap", arguments={"mmap": [["PROT_EXEC"], ["PROT_WRITE"]]}), {})],
    "raw-socket": [
        (calls("socket", arguments={"socket": [["AF_NETLINK", "SOCK_RAW", "0"], ["AF_INET", "SOCK_STREAM", "6"]]}), {})
    ],
    "cap-sys-admin": [(caps("CAP_CHOWN"), {})],
    "broad-capability": [(caps("CAP_NET_BIND_SERVICE"), {})],
    "unused-capability": [(caps("CAP_CHOWN"), {})],
    "guarded-path-read": [(files(read="/etc/passwd /proc/self/maps /var/lib/app/**", stat="/etc/shadow"), {})],
    "guarded-path-write": [(files(read="/etc/passwd", write="/dev/null /var/lib/app/** /tmp/@{temp}"), {})],
    "secret-path": [
        (files(read="/etc/passwd /usr/lib/python3/secrets.py /srv/www/index.html", stat="/srv/server.key"), {})
    ],
    "writable-program": [(files(write="/srv/data/*", exec="/srv/bin/app", map="/usr/lib/x.so"), {})],
    "shell-exec": [(files(exec="/usr/bin/app /usr/bin/git", read="/bin/sh"), {})],
    "wide-glob": [(files(read="/var/lib/app/** /proc/@{pid}/stat", stat="/usr/**"), {})],
    "wide-network": [(network("connect tcp 10.0.0.1:443"), {})],
    "weak-control": [(profile(controls={"apparmor": "required", "memory": "required"}), {})],
    "incomplete-recording": [
        (OPEN, {}),
        (profile(generated={"completeness": "opaque"}), {"demand": Demand(completeness=Completeness.OPAQUE)}),
    ],
    "not-checked": [(OPEN, {}), (deny(), {})],
    "program-changed": [(OPEN, {"digest": "sha256:" + "0" * 64}), (OPEN, {})],
    "rule-without-origin": [
        (calls("read"), {"regenerated": calls("read", "write")}),
        (OPEN, {}),
        (
            profile(
                rights={
                    "syscalls": {"observed": ["read"], "baseline": ["mmap", "ptrace"]},
                    "arguments": {"mmap": {"baseline": [["0"]]}},
                }
            ),
            {"regenerated": profile(generated={"harden": "1"})},
        ),
        (profile(generated={"runs": ["c" * 12]}, rights={"syscalls": {"observed": ["ptrace"]}}), {"regenerated": OPEN}),
    ],
    "unverified-profile": [(OPEN, {"verified": True})],
    "stale-profile": [
        (OPEN, {"demand": Demand(max_age_days=30), "committed": TODAY - datetime.timedelta(days=30)}),
        (TWO, {"regenerated": OPEN}),
    ],
    "stale-export": [(OPEN, {"exports": (ExportState(file="a.json", format="seccomp"),)})],
    "growth": [(calls("read"), {"baseline": calls("read", "ptrace"), "baseline_name": "x"})],
    "new-profile": [(OPEN, {}), (OPEN, {"baseline": OPEN, "baseline_name": "x"})],
    "forbidden-syscall": [(OPEN, {"demand": Demand(forbidden_syscalls=("getppid",))})],
    "missing-syscall": [(calls("getppid"), {"demand": Demand(required_syscalls=("getppid",))})],
    "low-coverage": [(TWO, {"demand": Demand(min_coverage=0.9), "coverage": covered(0.9)}), (OPEN, {})],
    "serving-right": [(OPEN, {"demand": NOT_SERVING, "serving": frozenset({"read"})}), (OPEN, {})],
    "forbidden-argument": [
        (
            calls("socket", arguments={"socket": [["AF_UNIX", "SOCK_STREAM", "0"]]}),
            {
                "demand": Demand(
                    forbidden_arguments={"socket": (("AF_INET", "*", "*"),)},
                    allowed_arguments={"socket": (("AF_UNIX", "*", "*"),), "ioctl": ()},
                )
            },
        )
    ],
    "forbidden-capability": [(caps("CAP_CHOWN"), {"demand": Demand(allowed_capabilities=("CAP_CHOWN",))})],
    "forbidden-file": [
        (files(write="/home/x", read="/srv/x"), {"demand": Demand(forbidden_files={"/home/**": "read"})})
    ],
    "forbidden-program": [
        (files(exec="/usr/bin/app /usr/lib/ld.so"), {"demand": Demand(allowed_programs=("/usr/lib/**",))})
    ],
    "forbidden-network": [
        (
            network("bind tcp 0.0.0.0:80", "connect unix /run/app/a"),
            {
                "demand": Demand(
                    allowed_network=("bind tcp *:80", "* unix /run/app/**"),
                    forbidden_network=("bind tcp *:443", "* raw *"),
                    allowed_families=("AF_UNIX",),
                )
            },
        )
    ],
    "missing-control": [
        (
            profile(controls={"memory": "required"}),
            {"demand": msgspec.convert({"controls": {"memory": "preferred"}}, Demand)},
        ),
        (limited(), demanded(controls={"memory": "preferred"})),
    ],
    "missing-limit": [(limited(), demanded(required_limits=["pids"], max_limits={"memory": "1M"})), (OPEN, {})],
    "high-limit": [(limited(), demanded(max_limits={"memory": "64M", "nofile": 64})), (OPEN, {})],
    "too-many-rights": [(OPEN, {"demand": Demand(most=Counts(syscalls=3, files=0, programs=0))})],
    "too-few-runs": [(TWO, {"demand": Demand(min_runs=2)})],
}

FAIL_ROWS = [pytest.param(name, *row, id=f"{name}-{i}") for name, rows in FAILING.items() for i, row in enumerate(rows)]
PASS_ROWS = [pytest.param(name, *row, id=f"{name}-{i}") for name, rows in PASSING.items() for i, row in enumerate(rows)]


@pytest.mark.parametrize(("name", "subject", "around", "rule"), FAIL_ROWS)
def test_finds_fault(name, subject, around, rule):
    found = hits(
        name, subject, around.get("demand"), **{key: value for key, value in around.items() if key != "demand"}
    )
    assert rule in {hit.subject for hit in found}
    assert all(hit.message and "\n" not in hit.message for hit in found)


@pytest.mark.parametrize(("name", "subject", "around"), PASS_ROWS)
def test_passes(name, subject, around):
    found = hits(
        name, subject, around.get("demand"), **{key: value for key, value in around.items() if key != "demand"}
    )
    assert found == []


def test_every_check_has_a_failing_and_a_passing_subject():
    assert FAILING.keys() == PASSING.keys() == CHECKS.keys() - ENGINE


def test_every_check_explains_itself():
    for check in CHECKS.values():
        assert check.title
        assert check.why.endswith(".")
        assert check.fix.endswith(".")
    assert len({check.title for check in CHECKS.values()}) == len(CHECKS)
