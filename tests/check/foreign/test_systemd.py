"""systemd units as subjects."""

from __future__ import annotations

import pytest

from harden.check.foreign import read_foreign
from harden.check.foreign.systemd_syscalls import parse_syscall_groups
from harden.check.passage import lets_through
from harden.check.subject import Reach, Section, SubjectKind
from harden.errors import DocumentError
from harden.model.arch import Arch
from harden.model.capability import Capability

X86_64, I386 = Arch.X86_64, Arch.I386


def read(*lines: str, **assumed):
    text = "\n".join(("[Unit]", "Description=x", "[Service]", *lines, ""))
    return read_foreign(text.encode(), "web.service", **assumed)


def seccomp(*lines: str, **assumed):
    found = read(*lines, **assumed).seccomp
    assert found is not None
    return found


def through(found, name: str, *arguments: int, arch: Arch = X86_64) -> bool:
    return lets_through(found.action(arch, name, (*arguments, *(0,) * (6 - len(arguments)))))


def test_a_unit_without_settings_grants_everything():
    subject = read("ExecStart=/usr/bin/web")
    assert subject.kind is SubjectKind.SYSTEMD_UNIT
    assert subject.name == "web.service"
    assert subject.seccomp is not None
    assert subject.seccomp.reach(X86_64, "ptrace") is Reach.ALWAYS
    assert subject.seccomp.unchecked == (Arch.I386, Arch.X32)
    assert subject.capabilities == frozenset(Capability)
    assert subject.network is not None
    assert subject.network.families is None
    assert [grant.text for grant in subject.files or ()] == ["/**"]


def test_an_allow_list():
    found = seccomp("SystemCallFilter=read write", "SystemCallFilter=openat", "SystemCallFilter=~write")
    for name in ("read", "openat", "execve", "clock_gettime"):
        assert found.reach(X86_64, name) is Reach.ALWAYS
    for name in ("write", "ptrace"):
        assert found.reach(X86_64, name) is Reach.NEVER
    assert found.unknown == 0x80000000
    assert found.architectures == (Arch.I386, Arch.X32, Arch.X86_64)


def test_a_deny_list():
    found = seccomp("SystemCallFilter=~ptrace bpf:ENOSYS", "SystemCallErrorNumber=EPERM", "SystemCallFilter=ptrace")
    assert found.reach(X86_64, "ptrace") is Reach.ALWAYS
    assert found.action(X86_64, "bpf", (0,) * 6) == 0x00050000 | 38
    assert found.unknown == 0x7FFF0000


def test_an_empty_assignment_resets():
    assert (
        seccomp("SystemCallFilter=read", "SystemCallFilter=", "SystemCallFilter=~bpf").reach(X86_64, "ptrace")
        is Reach.ALWAYS
    )


def test_an_unknown_group_counts_as_everything_and_is_noted():
    subject = read("SystemCallFilter=@system-service", "SystemCallFilter=~@mount ptrace")
    assert subject.seccomp is not None
    assert subject.seccomp.reach(X86_64, "bpf") is Reach.ALWAYS
    assert subject.seccomp.reach(X86_64, "mount") is Reach.ALWAYS
    assert subject.seccomp.reach(X86_64, "ptrace") is Reach.NEVER
    assert [(each.location.line, each.text.split()[2]) for each in subject.not_checked] == [
        (4, "@system-service"),
        (5, "@mount"),
    ]


GROUPS = """@default
    # System calls that are always permitted
    brk
    @sync

@sync
    # Synchronize files
    fsync
    @default

# Ungrouped System Calls (known but not included in any of the groups above):
#   other
    not_in_a_group
"""


def test_groups_are_read_from_the_tool():
    groups = parse_syscall_groups(GROUPS)
    assert groups == {"@default": {"brk", "fsync"}, "@sync": {"fsync", "brk"}}
    found = seccomp("SystemCallFilter=@sync", syscall_groups=groups)
    assert found.reach(X86_64, "fsync") is Reach.ALWAYS
    assert found.reach(X86_64, "ptrace") is Reach.NEVER
    assert read("SystemCallFilter=@sync", syscall_groups=groups).not_checked == ()


def test_architectures():
    found = seccomp("SystemCallArchitectures=native")
    assert found.architectures == (X86_64,)
    assert found.unchecked == ()
    assert found.reach(I386, "read") is Reach.NEVER
    assert seccomp("SystemCallArchitectures=native x86").architectures == (I386, X86_64)


def test_address_families():
    found = seccomp("RestrictAddressFamilies=AF_INET AF_UNIX")
    assert through(found, "socket", 2)
    assert not through(found, "socket", 38)
    # i386 programs make sockets through socketcall, where the filter cannot look.
    assert through(found, "socket", 38, arch=I386)
    found = seccomp("RestrictAddressFamilies=~AF_PACKET")
    assert through(found, "socket", 2)
    assert not through(found, "socket", 17)
    assert not through(seccomp("RestrictAddressFamilies=none"), "socket", 2)
    network = read("RestrictAddressFamilies=AF_INET AF_UNIX", "RestrictAddressFamilies=~AF_UNIX").network
    assert network is not None
    assert network.families == {"AF_INET"}


def test_memory_that_is_written_is_not_executed():
    found = seccomp("MemoryDenyWriteExecute=yes")
    assert through(found, "mmap", 0, 0, 2)
    assert through(found, "mmap", 0, 0, 4)
    assert not through(found, "mmap", 0, 0, 6)
    assert not through(found, "mprotect", 0, 0, 4)
    assert not through(found, "shmat", 0, 0, 0x8000)
    assert through(found, "mmap2", 0, 0, 4, arch=I386)
    assert not through(found, "mmap", arch=I386)


def test_namespaces():
    found = seccomp("RestrictNamespaces=yes")
    assert through(found, "clone", 17)
    assert not through(found, "clone", 0x10000011)
    assert not through(found, "unshare", 0x10000000)
    assert not through(found, "clone3")
    found = seccomp("RestrictNamespaces=net")
    assert through(found, "unshare", 0x40000000)
    assert not through(found, "unshare", 0x50000000)
    found = seccomp("RestrictNamespaces=~user")
    assert through(found, "unshare", 0x40000000)
    assert not through(found, "unshare", 0x10000000)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("CapabilityBoundingSet=CAP_KILL CAP_CHOWN",), {"CAP_KILL", "CAP_CHOWN"}),
        (("CapabilityBoundingSet=",), set()),
        (("CapabilityBoundingSet=CAP_KILL", "CapabilityBoundingSet=~CAP_KILL"), set()),
        (("CapabilityBoundingSet=CAP_KILL", "User=web"), {"CAP_KILL"}),
        (("User=web", "NoNewPrivileges=yes"), set()),
        (("User=web", "NoNewPrivileges=yes", "AmbientCapabilities=CAP_NET_BIND_SERVICE"), {"CAP_NET_BIND_SERVICE"}),
        (("DynamicUser=yes",), set()),
        (("User=root", "NoNewPrivileges=yes", "CapabilityBoundingSet=CAP_KILL"), {"CAP_KILL"}),
        (("CapabilityBoundingSet=CAP_SYS_TIME CAP_KILL", "ProtectClock=on"), {"CAP_KILL"}),
    ],
)
def test_capabilities(lines, expected):
    assert {capability.name for capability in read(*lines).capabilities or ()} == expected


def test_an_inverted_bounding_set_starts_from_everything():
    found = read("CapabilityBoundingSet=~CAP_SYS_ADMIN CAP_BPF").capabilities
    assert found == frozenset(Capability) - {Capability.CAP_SYS_ADMIN, Capability.CAP_BPF}


def test_a_strict_view_is_writable_where_it_says():
    subject = read("ProtectSystem=strict", "ReadWritePaths=-/srv/web /var/x", "StateDirectory=web", "PrivateTmp=1")
    writable = {grant.text for grant in subject.files or () if "write" in grant.operations}
    assert writable == {
        *("/dev/**", "/proc/**", "/sys/**", "/tmp/**", "/var/tmp/**", "/srv/web", "/srv/web/**", "/var/x", "/var/x/**"),
        *("/var/lib/web", "/var/lib/web/**"),
    }
    assert subject.locator.find(Section.FILE, "/srv/web/**").line == 5


def test_what_may_widen_is_noted():
    subject = read("BindPaths=/home", "ExecStartPre=+/bin/setup", "ExecStart=!!/bin/web", "ExecStop=-/bin/true")
    assert [each.location.line for each in subject.not_checked] == [4, 5]


def test_lines_are_continued_past_comments():
    subject = read("SystemCallFilter=read \\", "# a comment", "  ptrace", "NoNewPrivileges=yes")
    assert subject.seccomp is not None
    assert subject.seccomp.reach(X86_64, "ptrace") is Reach.ALWAYS
    assert subject.locator.find(Section.SYSCALL, "ptrace").line == 4


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", r"web\.service:4:1: 'nonsense' is no `Key=value`"),
        ("NoNewPrivileges=maybe\nUser=x", r"web\.service:4:1: NoNewPrivileges is 'maybe'"),
        ("CapabilityBoundingSet=CAP_NONE", r"web\.service:4:1: CapabilityBoundingSet: unknown capability"),
        ("RestrictAddressFamilies=INET", r"web\.service:4:1: .*no address family"),
        ("SystemCallArchitectures=nativ", r"web\.service:4:1: .*'nativ' is no architecture"),
        ('SystemCallFilter=~"ptrace bpf"', r"web\.service:4:1: .*without quotes"),
        ("RestrictNamespaces=foo", r"web\.service:4:1: .*no kind of namespace"),
        ("SystemCallFilter=~bpf:ENOWHERE", r"web\.service:4:1: .*no errno"),
        ("SystemCallErrorNumber=0\nSystemCallFilter=read", r"web\.service:4:1: .*no errno"),
    ],
)
def test_bad_input_names_its_line(line, message):
    with pytest.raises(DocumentError, match=message):
        read(line)


def test_a_comment_ends_where_systemd_ends_it():
    assert read("# \u2028SystemCallFilter=read").seccomp == read().seccomp


def test_an_assignment_before_a_section_is_refused():
    with pytest.raises(DocumentError, match=r"a\.service:1:1: .*before the first section"):
        read_foreign(b"User=x\n[Service]\n", "a.service")
