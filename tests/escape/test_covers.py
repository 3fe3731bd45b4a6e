"""Attacks on what covers the kernel's files: masks, read-only mounts, the sandbox's own /proc, /sys and cgroups."""

from __future__ import annotations

import glob
import os

import pytest

from harden.launch.kernel_folders import MASKED, READ_ONLY
from harden.launch.ops import Code
from harden.model.sandbox import View
from tests.escape.attempts import EVERY_CAPABILITY, USERS, VIEWS, attack, attack_bare, done
from tests.sandboxes import plan_of, python, run_script, shell

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "nobody", "gcc")

OWN_RIGHTS = ("tmpfs", "pivot", "mount:binfmt_misc", "fsmount:binfmt_misc")
"""What CAP_SYS_ADMIN over an own mount namespace is for. binfmt_misc is the user namespace's own since Linux 6.7."""
NESTED_RIGHTS = ("unshare", "mount:cgroup2", "fsmount:cgroup2")
"""Who owns a cgroup namespace may mount what lies below its root; "cgroup-write" says that it cannot change it."""
NO_EFFECT = tuple(f"{how}:/proc/keys" for how in ("remount", "setattr", "setattr-all"))
"""The mask is the null device: there are no flags on it that would keep anything in. "keys" says that it is empty."""
NEW_NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--net", "--cgroup")
HAZARDS = (
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/hotplug",
    "/proc/sys/vm/drop_caches",
    "/proc/sys/fs/binfmt_misc/register",
    "/proc/kcore",
    "/proc/kmsg",
    "/proc/kallsyms",
    "/proc/mtrr",
    "/proc/irq/default_smp_affinity",
    "/proc/bus/pci/00/00.0",
    "/sys/kernel/uevent_helper",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/power/state",
    "/sys/class/net/lo/mtu",
    "/sys/module/kernel/parameters/panic",
)


@pytest.mark.attack(13, 16, 18)
@pytest.mark.proves("locked mounts", "own /proc and /sys")
@pytest.mark.parametrize("nested", [(), ("nested",)], ids=["plain", "nested"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("uid", USERS)
def test_nothing_is_uncovered_with_every_capability(victim, uid, view, nested):
    program = victim("attack_mounts", static=True)
    attempts = attack(program, "/tmp", *nested, uid=uid, view=view, capabilities=EVERY_CAPABILITY)
    allowed = (*OWN_RIGHTS, *NO_EFFECT, *(NESTED_RIGHTS if nested else ()))
    assert done(attempts, but=allowed) == set()
    assert attempts["tmpfs"] == "done"
    assert len(attempts) > 60


@pytest.mark.attack(13, 16)
def test_the_twin_mounts_the_same_where_nothing_is_covered(victim):
    attempts = attack_bare(victim("attack_mounts", static=True), "/tmp", prefix=NEW_NAMESPACES)
    assert {"mount:proc", "mount:sysfs", "fsmount:proc", "copy:/proc", "tmpfs"} <= done(attempts)


@pytest.mark.attack(16)
@pytest.mark.parametrize("view", VIEWS)
def test_the_root_is_always_pivoted(view):
    """There is no option to leave the old root below, where its procfs could be mounted again."""
    codes = [step.code for step in plan_of(shell("true", view=view)).ops]
    assert codes.count(Code.PIVOT) == 1
    assert codes.index(Code.PIVOT) < codes.index(Code.LOCK_DOWN) < codes.index(Code.EXEC)


@pytest.mark.attack(17)
@pytest.mark.proves("masked and read-only kernel files")
@pytest.mark.parametrize("capabilities", [frozenset(), EVERY_CAPABILITY], ids=["none", "all"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("uid", USERS)
def test_no_hazard_can_be_opened_for_writing(victim, uid, view, capabilities):
    covered = tuple(os.fsdecode(path) for path in (*MASKED, *READ_ONLY))
    paths = [path for path in (*HAZARDS, *covered) if os.path.exists(path)]
    attempts = attack(
        victim("attack_open", static=True), *paths, "/dev/null", uid=uid, view=view, capabilities=capabilities
    )
    masks = {name for name in attempts if os.fsencode(name.removeprefix("by-name:")) in MASKED}
    # A mask of a file is the null device: what is written to it is gone.
    assert done(attempts) - masks == {"/dev/null", "by-name:/dev/null"}
    assert len(attempts) > 12


@pytest.mark.attack(17)
def test_the_twin_opens_them(victim):
    attempts = attack_bare(victim("attack_open", static=True), *HAZARDS)
    assert {"/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches"} <= done(attempts)


@pytest.mark.attack(18)
@pytest.mark.proves("own cgroup namespace")
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("uid", USERS)
def test_no_file_of_a_cgroup_is_within_reach(victim, uid, view):
    folders = ["/sys/fs/cgroup", *glob.glob("/sys/fs/cgroup/*/"), *glob.glob("/sys/fs/cgroup/*/*/")][:40]
    files = [
        f"{folder.rstrip('/')}/{name}" for folder in folders for name in ("cgroup.procs", "release_agent", "tasks")
    ]
    assert done(attack(victim("attack_open", static=True), *files, uid=uid, view=view)) == set()
    # The twin: what these names are on the host, root may write to.
    assert any(os.access(name, os.W_OK) for name in files)


_DISGUISED = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0 and libc.mount(b"none", b"/", None, 1 << 18 | 1 << 14, None) == 0
source, target = (os.fsencode(word) for word in sys.argv[1:3])
assert libc.mount(source, target, None, 0x1000, None) == 0
from tests.sandboxes import harden_run, shell
from harden.model.sandbox import View
ended = harden_run(shell(sys.argv[3], view=View(sys.argv[4])))
print(ended.returncode, ended.stdout, ended.stderr, sep="|")
"""


@pytest.mark.attack(11)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
def test_what_masks_are_made_of_is_verified(tmp_path, view, device):
    """A host, such as a container, in which the null device has been replaced by a way to something else."""
    canary = tmp_path / "canary"
    canary.write_text("alive")
    ended = python(_DISGUISED, str(canary), device, "echo started; echo x >/dev/null; cat /proc/keys", view.value)
    assert ended.stdout.startswith("125||harden: filesystem-view: cannot clone the device"), ended
    assert f"{device}: fstat: it is another file" in ended.stdout
    assert canary.read_text() == "alive"
    twin = python(_DISGUISED, str(canary), "/etc/hostname", "echo started; cat /proc/keys", view.value)
    assert twin.stdout.startswith("0|started\n|"), twin


@pytest.mark.attack(13)
@pytest.mark.parametrize("view", VIEWS)
def test_a_false_proc_of_the_caller_is_not_believed(tmp_path, view):
    """Something lies over a part of the caller's /proc: inside there is a new one, or nothing starts."""
    (tmp_path / "ostype").write_text("False")
    ended = python(_DISGUISED, str(tmp_path), "/proc/sys/kernel", "cat /proc/sys/kernel/ostype", view.value)
    code, output, message = ended.stdout.split("|")
    assert (code, output) in (("0", "Linux\n"), ("125", ""))
    assert code == "0" or "procfs" in message or "proc" in message


_SUBMOUNT = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0 and libc.mount(b"none", b"/", None, 1 << 18 | 1 << 14, None) == 0
folder, writable, uid = os.fsencode(sys.argv[1]), sys.argv[2] == "rw", int(sys.argv[3]) or None
os.mkdir(folder + b"/inner")
assert libc.mount(b"inner", folder + b"/inner", b"tmpfs", 0, b"mode=777") == 0
from harden.model.sandbox import Bind, View
from tests.sandboxes import harden_run, shell
bind = Bind(source=folder, target=b"/opt/tree", writable=writable)
script = "for d in /opt/tree /opt/tree/inner /sys; do touch $d/x 2>/dev/null && echo wrote $d; done; true"
ended = harden_run(shell(script, view=View(sys.argv[4]), binds=(bind,)), uid=uid)
print(ended.returncode, ended.stdout.split("\\n")[:-1], ended.stderr)
"""


@pytest.mark.attack(15)
@pytest.mark.proves("recursive read-only mounts")
@pytest.mark.parametrize(("uid", "view"), [(0, View.HOST), (0, View.MINIMAL), (65534, View.MINIMAL)])
def test_read_only_holds_for_what_is_mounted_below(place, uid, view):
    refused = python(_SUBMOUNT, str(place), "ro", str(uid), view.value)
    assert refused.stdout == "0 [] \n", refused
    (place / "inner").rmdir()
    twin = python(_SUBMOUNT, str(place), "rw", str(uid), view.value)
    assert twin.stdout == "0 ['wrote /opt/tree', 'wrote /opt/tree/inner'] \n", twin


@pytest.mark.attack(15)
@pytest.mark.parametrize("view", VIEWS)
def test_sysfs_is_a_read_only_mount_after_all(view):
    options = run_script(
        shell("while read a b c d point flags rest; do echo $point $flags; done < /proc/self/mountinfo", view=view)
    )
    last = dict(line.split() for line in options.splitlines())
    assert last["/sys"].split(",")[:4] == ["ro", "nosuid", "nodev", "noexec"]
