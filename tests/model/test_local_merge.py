"""NAME.local.toml applied to a generated profile."""

from __future__ import annotations

import pytest

from harden.errors import DocumentError
from harden.model.control import Control, Requirement
from harden.model.document import parse_toml
from harden.model.local_merge import merge_local
from harden.model.origin import Origin
from harden.model.path_pattern import PathPattern
from harden.model.profile import LOCAL_FORMAT, Local, Profile
from harden.model.recording import FileOperation
from harden.model.resource_limit import LimitName
from tests.recordings import profile_of, run, small_profile


def local(text: str) -> Local:
    data = f'format = "harden-local/1"\n{text}'.encode()
    return parse_toml(data, Local, format=LOCAL_FORMAT, file="app.local.toml")


def merged(text: str) -> Profile:
    return merge_local(small_profile(), local(text), file="app.local.toml")


def test_nothing_changes_nothing():
    assert merged("") == small_profile()


def test_additions_are_manual():
    rights = merged(
        """
        [add]
        syscalls = ["ptrace", "openat", "prctl"]
        capabilities = ["CAP_SYS_PTRACE"]
        network = ["connect tcp 10.0.0.1:443"]
        [add.arguments]
        prctl = [["PR_SET_NAME"]]
        ioctl = [["TIOCGWINSZ"], ["TCGETS"]]
        [add.files]
        "/etc/app/app.conf" = "write"
        "/srv/more/**" = "read"
        """
    ).rights
    assert rights.syscalls[Origin.MANUAL] == ("prctl", "ptrace")
    assert rights.capabilities[Origin.MANUAL] == ("CAP_SYS_PTRACE",)
    assert rights.network[Origin.MANUAL] == ("connect tcp 10.0.0.1:443",)
    assert rights.arguments["prctl"] == {Origin.MANUAL: (("PR_SET_NAME",),)}
    assert rights.arguments["ioctl"][Origin.MANUAL] == (("TIOCGWINSZ",),)
    assert dict(rights.all_files())[PathPattern.parse("/etc/app/app.conf")] == {FileOperation.READ, FileOperation.WRITE}


def test_clone3_is_manual_as_soon_as_a_person_adds_it():
    """The filter lets it through only then, and it may have been observed already."""
    assert "clone3" in small_profile().rights.syscalls[Origin.OBSERVED]
    rights = merged('[add]\nsyscalls = ["clone3"]').rights
    assert rights.syscalls[Origin.MANUAL] == ("clone3",)
    assert "clone3" not in rights.syscalls[Origin.OBSERVED]


def test_removals_reach_every_origin():
    rights = merged(
        """
        [remove]
        syscalls = ["mmap", "brk"]
        capabilities = ["CAP_NET_BIND_SERVICE"]
        network = ["bind tcp 0.0.0.0:80"]
        [remove.arguments]
        mprotect = [["PROT_WRITE"]]
        [remove.files]
        "/srv/app/data" = "create write"
        "/dev/null" = "read write"
        """
    ).rights
    assert not {"mmap", "brk"} & rights.all_syscalls()
    assert "mmap" not in rights.arguments
    assert rights.argument_values("mprotect") == ((0,),)
    assert rights.capabilities == {}
    assert rights.network == {}
    assert rights.files[Origin.OBSERVED]["/srv/app/data"] == "read"
    assert Origin.BASELINE not in rights.files


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ('[remove]\nsyscalls = ["ptrace"]', "$.remove.syscalls", "'ptrace' is not in the profile"),
        ('[remove]\ncapabilities = ["CAP_CHOWN"]', "$.remove.capabilities", "not in the profile"),
        ('[remove.files]\n"/etc/app/app.conf" = "write"', "$.remove.files", "'write' is not granted"),
        ('[remove.files]\n"/nowhere" = "read"', "$.remove.files", "'read' is not granted"),
        ('[remove.files]\n"/etc/app/app.conf" = "raed"', "$.remove.files", "'raed'"),
        ('[remove.arguments]\nioctl = [["TCGETS"]]', "$.remove.arguments.ioctl", "nothing is left"),
        ('[remove.arguments]\nprctl = [["PR_SET_NAME"]]', "$.remove.arguments.prctl", "no argument rule"),
        ('[add]\nsyscalls = ["opneat"]', "$.add", "unknown system call 'opneat'"),
        ('[add]\ncapabilities = ["CAP_ALL"]', "$.add", "unknown capability"),
        ('[add]\nnetwork = ["bind tcp x"]', "$.add", "IP address"),
        ('[add.files]\n"relative" = "read"', "$.add", "absolute"),
        ('[add.files]\n"/a" = "everything"', "$.add", "everything"),
        ('[add.arguments]\nprctl = [["PR_SET_NAME"]]', "$.add.arguments.prctl", "itself is not granted"),
        ('[add.arguments]\nopenat = [["x"]]', "$.add.arguments.openat", "cannot be ruled on"),
        ('[add.arguments]\nioctl = [["NOTHING"]]', "$.add", "NOTHING"),
    ],
)
def test_what_means_nothing_is_refused(text, where, problem):
    with pytest.raises(DocumentError, match=r"^app\.local\.toml: ") as caught:
        merged(text)
    assert caught.value.where is not None
    assert caught.value.where.startswith(where)
    assert problem in caught.value.message


def test_an_addition_never_makes_a_right_smaller():
    from tests.recordings import profile_of, run, syscall

    profile = profile_of(run(syscalls=(syscall("ioctl"),)))
    local = parse_toml(
        b'format = "harden-local/1"\n[add]\nsyscalls = ["ioctl"]\n[add.arguments]\nioctl = [["TCGETS"]]',
        Local,
        format=LOCAL_FORMAT,
        file="app.local.toml",
    )
    with pytest.raises(DocumentError, match="granted with any arguments"):
        merge_local(profile, local)


def test_controls_are_the_users():
    profile = merged('[controls]\napparmor = "required"\nlandlock = "off"')
    assert profile.controls == {Control.APPARMOR: Requirement.REQUIRED, Control.LANDLOCK: Requirement.OFF}


def test_what_refine_wrote_is_refined():
    rights = merged(
        """
        [refined]
        syscalls = ["ptrace", "openat"]
        capabilities = ["CAP_SYS_PTRACE"]
        arguments.ioctl = [["TIOCGWINSZ"]]
        files."/etc/app/app.conf" = "write"
        """
    ).rights
    assert rights.syscalls[Origin.REFINED] == ("ptrace",)
    assert rights.capabilities[Origin.REFINED] == ("CAP_SYS_PTRACE",)
    assert rights.arguments["ioctl"][Origin.REFINED] == (("TIOCGWINSZ",),)
    assert rights.files[Origin.REFINED] == {"/etc/app/app.conf": "write"}
    assert Origin.MANUAL not in rights.syscalls


def test_a_person_comes_before_refine():
    rights = merged('[add]\nsyscalls = ["ptrace"]\n[refined]\nsyscalls = ["ptrace"]\n').rights
    assert rights.syscalls[Origin.MANUAL] == ("ptrace",)
    assert Origin.REFINED not in rights.syscalls


def test_refine_does_not_grant_clone3_for_good():
    assert "clone3" in merged('[add]\nsyscalls = ["clone3"]\n').rights.syscalls[Origin.MANUAL]
    assert "clone3" in merged('[refined]\nsyscalls = ["clone3"]\n').rights.syscalls[Origin.OBSERVED]


def test_a_wrong_refined_rule_names_its_table():
    with pytest.raises(DocumentError, match=r"refined\.arguments"):
        merged('[refined]\narguments.prctl = [["PR_SET_NAME"]]\n')


LEARNED = profile_of(run(peaks={"pids": 3.0, "open_files": 9.0, "memory_cgroup_bytes": 1.0}))


def test_a_persons_limits_replace_what_was_learned():
    changed = merge_local(LEARNED, local('[add.limits]\nmemory = "1G"\npids = 4\n'))
    assert changed.rights.limits == {
        Origin.OBSERVED: {LimitName.NOFILE: 1024},
        Origin.MANUAL: {LimitName.MEMORY: "1G", LimitName.PIDS: 4},
    }
    assert changed.rights.all_limits() == {LimitName.MEMORY: 1 << 30, LimitName.NOFILE: 1024, LimitName.PIDS: 4}


def test_limits_are_lifted_by_name():
    changed = merge_local(LEARNED, local('[remove]\nlimits = ["memory", "pids"]\n'))
    assert changed.rights.limits == {Origin.OBSERVED: {LimitName.NOFILE: 1024}}
    with pytest.raises(DocumentError, match="'pids' is not limited"):
        merge_local(changed, local('[remove]\nlimits = ["pids"]\n'))


def test_refine_only_raises_limits():
    changed = merge_local(LEARNED, local("[refined.limits]\nnofile = 2048\npids = 8\n"))
    assert changed.rights.limits == {
        Origin.OBSERVED: {LimitName.MEMORY: "64M", LimitName.PIDS: 64},
        Origin.REFINED: {LimitName.NOFILE: 2048},
    }
    lifted = merge_local(LEARNED, local('[remove]\nlimits = ["nofile"]\n[refined.limits]\nnofile = 2048\n'))
    assert LimitName.NOFILE not in lifted.rights.all_limits()


@pytest.mark.parametrize("text", ["pids = 0", 'pids = "16M"', 'memory = "64"', "memory = 5", "nofile = -1", "cpu = 1"])
def test_what_is_no_limit_is_refused(text):
    with pytest.raises(DocumentError):
        local(f"[add.limits]\n{text}\n")
