"""Attacks on the host through /proc, /sys and the mounts, each beside a twin that must work."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from harden.launch.kernel_folders import MASKED
from harden.model.sandbox import NetworkMode, UserNamespaceMode, View
from tests.sandboxes import CAP_NET_BIND_SERVICE, CAP_SYS_ADMIN, NOBODY, harden_run, run, run_script, shell, spec_of

pytestmark = [pytest.mark.every_kernel, pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp")]

CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")
VIEWS = [View.HOST, View.MINIMAL]
ADMIN = frozenset({CAP_SYS_ADMIN, CAP_NET_BIND_SERVICE})


@pytest.mark.parametrize("view", VIEWS)
def test_core_pattern_can_be_read_and_not_written(view):
    before = CORE_PATTERN.read_text()
    text = run(shell("cat /proc/sys/kernel/core_pattern; echo x > /proc/sys/kernel/core_pattern", view=view)).text
    assert text.startswith(before)
    assert "Read-only file system" in text
    assert CORE_PATTERN.read_text() == before


@pytest.mark.parametrize("mode", [UserNamespaceMode.SHIFTED, UserNamespaceMode.IDENTITY])
def test_core_pattern_stays_out_of_reach_with_every_means_of_mounting(mode):
    """With CAP_SYS_ADMIN a payload tries to uncover, remount and replace what hides it."""
    before = CORE_PATTERN.read_text()
    script = """
        umount /proc/sys; umount -l /proc; umount -l /proc/sys/kernel
        mount -o remount,bind,rw /proc/sys; mount -o remount,rw /proc
        mkdir -p /tmp/p; mount -t proc proc /tmp/p && echo x > /tmp/p/sys/kernel/core_pattern
        mount --bind /proc /tmp/p; echo x > /tmp/p/sys/kernel/core_pattern
        unshare -Urpf --mount-proc sh -c 'echo x > /proc/sys/kernel/core_pattern'
        echo x > /proc/sys/kernel/core_pattern
        mount -t tmpfs twin /mnt && echo the twin was mounted
    """
    text = run(shell(script, user_namespace=mode, capabilities=ADMIN)).text
    assert "the twin was mounted" in text
    assert CORE_PATTERN.read_text() == before


@pytest.mark.parametrize("path", [os.fsdecode(path) for path in MASKED if os.path.exists(path)])
def test_masked_paths_are_empty(path):
    script = f"if test -d {path}; then ls -A {path} | wc -l; else wc -c < {path}; fi; wc -c < /proc/version"
    masked, twin = run_script(shell(script)).split()
    assert masked == "0"
    assert int(twin) > 0


@pytest.mark.parametrize("path", ["/proc/sys/vm/drop_caches", "/proc/sys/vm/swappiness", "/proc/sys/kernel/hostname"])
def test_sysctls_cannot_be_written(path):
    text = run(shell(f"echo 0 > {path}; echo 500 > /proc/self/oom_score_adj && echo twin", capabilities=ADMIN)).text
    assert "Read-only file system" in text
    assert text.endswith("twin\n")


@pytest.mark.parametrize("path", ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/sys"])
def test_kernel_folders_are_read_only_mounts(path):
    options = {line.split()[4]: line.split()[5] for line in run_script(shell("cat /proc/self/mountinfo")).splitlines()}
    assert options[path].startswith("ro,nosuid,nodev,noexec")
    assert options["/proc"].startswith("rw,nosuid,nodev,noexec")


def test_sysfs_cannot_be_written():
    script = "cat /sys/class/net/lo/mtu; echo 1400 > /sys/class/net/lo/mtu; mount -o remount,rw /sys"
    text = run(shell(script, capabilities=ADMIN)).text
    assert text.startswith("65536")
    assert "Read-only" in text


def test_masks_cannot_be_taken_off_with_sys_admin():
    script = """
        for path in /proc/kcore /proc/keys /sys/firmware /proc/sys /proc /sys /; do
            umount -l $path 2>/dev/null && echo "unmounted $path"
        done
        for path in /sys/firmware /proc/sys /sys / /usr; do
            mount -o remount,bind,rw $path 2>/dev/null && echo "remounted $path"
        done
        mount -t tmpfs twin /mnt && umount /mnt && echo the twin was unmounted
    """
    assert run_script(shell(script, capabilities=ADMIN, view=View.MINIMAL, folders=(b"/mnt",))) == (
        "the twin was unmounted\n"
    )


def test_the_old_root_is_gone():
    script = "cut -d' ' -f5 /proc/self/mountinfo; ls /../../..; cat /proc/1/root/etc/shadow; ls /proc/1/cwd/"
    text = run(shell(script, view=View.MINIMAL, capabilities=ADMIN)).text
    mounts = [line for line in text.splitlines() if line.startswith("/")]
    assert "/usr" in mounts
    assert not {"/home", "/root", "/boot", "/etc"} & set(mounts)
    assert "Permission denied" in text
    assert "root:" not in text


def test_low_ports_are_the_sandboxs_own():
    code = "import socket; s = socket.socket(); s.bind(('', 80)); print('bound')"
    assert run_script(spec_of("/usr/bin/python3", "-c", code, capabilities=ADMIN)) == "bound\n"
    assert "PermissionError" in run(spec_of("/usr/bin/python3", "-c", code)).text


def test_the_hosts_network_is_out_of_reach():
    code = "from socket import *; s = create_server(('127.0.0.1', 0)); create_connection(s.getsockname()); print('ok')"
    assert run_script(spec_of("/usr/bin/python3", "-c", code)) == "ok\n"
    assert run_script(shell("ls /sys/class/net")) == "lo\n"
    assert "lo" in run_script(shell("ls /sys/class/net", network=NetworkMode.HOST))


def test_host_sockets_are_out_of_reach(tmp_path):
    """A socket in the folder that stays visible under /tmp, through the overlay."""
    code = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "try:\n    s.connect(sys.argv[1]); print('reached')\n"
        "except OSError as error:\n    print(error.strerror)\n"
    )
    listener = tmp_path / "listener"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(listener))
    server.listen()
    spec = spec_of("/usr/bin/python3", "-c", code, str(listener), cwd=os.fsencode(tmp_path))
    assert run_script(spec) == "Connection refused\n"
    server.close()


def test_a_host_fifo_is_out_of_reach(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    run(shell("exec 3<>fifo; echo leaked >&3; echo twin > file", cwd=os.fsencode(tmp_path)))
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    os.close(reader)


def test_device_nodes_do_not_work(tmp_path):
    """A node of the host's null device in the visible folder: nodev refuses it, the sandbox's own works."""
    node = tmp_path / "null"
    os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    node.chmod(0o666)
    text = run(shell("echo x > null; echo x > /dev/null && echo twin", cwd=os.fsencode(tmp_path))).text
    assert "Permission denied" in text
    assert text.endswith("twin\n")


def test_shadow_is_not_readable_for_another_uid():
    assert run(shell("cat /etc/shadow", uid=1000, gid=1000)).outcome.status == 1
    assert "root" in run_script(shell("cat /etc/shadow"))


def test_set_user_id_programs_gain_nothing():
    text = run_script(shell("grep -E '^(NoNewPrivs|CapEff|CapBnd):' /proc/self/status"))
    assert text.split() == ["CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]


@pytest.mark.requires("nobody")
def test_the_sandbox_of_an_ordinary_user():
    script = "id -u; echo x > /proc/sys/kernel/core_pattern; touch /usr/x; cat /etc/shadow; touch /tmp/x && echo twin"
    ended = harden_run(shell(script, view=View.MINIMAL, capabilities=ADMIN), uid=NOBODY)
    assert ended.stdout == f"{NOBODY}\ntwin\n"
    assert ended.returncode == 0
