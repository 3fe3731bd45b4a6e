"""Paths: what is done to them, how they are resolved."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harden.model.need import file_needs
from harden.model.recording import FileOperation as Op
from harden.model.recording import GapKind, Resolution
from tests.kernel.recorded import as_seen_by, operations, record

pytestmark = pytest.mark.requires("root", "gcc", "x86_64")

OPENED = {
    ("folder", Op.MKDIR, "ok"),
    ("folder", Op.LIST, "ok"),
    ("folder/file", Op.CREATE, "ok"),
    ("folder/file", Op.READ, "ok"),
    ("folder/file", Op.WRITE, "ok"),
    ("folder/file", Op.TRUNCATE, "ok"),
    ("folder/file", Op.CHMOD, "ok"),
    ("folder/file", Op.LOCK, "ok"),
    ("folder/file", Op.UTIME, "ok"),
    ("folder/file", Op.APPEND, "ok"),
    ("folder/created", Op.CREATE, "ok"),
    ("folder/created", Op.READ, "ok"),
    ("folder/created", Op.WRITE, "ok"),
    ("folder/created", Op.TRUNCATE, "ok"),
    ("folder/#0", Op.CREATE, "ok"),
    ("folder/#0", Op.READ, "ok"),
    ("folder/#0", Op.WRITE, "ok"),
    ("folder", Op.STAT, "ok"),
    ("folder/missing", Op.READ, "ENOENT"),
    ("folder/no/file", Op.WRITE, "ENOENT"),
    ("folder/no/file", Op.CREATE, "ENOENT"),
    ("folder/untouched-stat", Op.STAT, "ENOENT"),
}
NAMED = {
    ("folder/symlink", Op.SYMLINK, "ok"),
    ("folder/symlink", Op.STAT, "ok"),
    ("folder/file", Op.MAP, "ok"),
    ("folder/created", Op.MAP, "ok"),
    ("folder/linked", Op.LINK, "ok"),
    ("folder/linked", Op.UNLINK, "ok"),
    ("folder/renamed", Op.CREATE, "ok"),
    ("folder/a", Op.MKDIR, "ok"),
    ("folder/b", Op.MKDIR, "ok"),
    ("folder/renamed", Op.UNLINK, "ok"),
    ("folder/renamed", Op.REFER, "ok"),
    ("folder/a/moved", Op.CREATE, "ok"),
    ("folder/a/moved", Op.REFER, "ok"),
    ("folder/a", Op.RMDIR, "ok"),
    ("folder/c", Op.MKDIR, "ok"),
    ("folder/c/moved", Op.UNLINK, "ok"),
    ("folder/c", Op.RMDIR, "ok"),
    ("folder/b", Op.RMDIR, "ok"),
    ("folder/fifo", Op.MKFIFO, "ok"),
    ("folder/fifo", Op.CHMOD, "ok"),
    ("folder/fifo", Op.CHOWN, "ok"),
    ("folder/file", Op.STAT, "ok"),
    (".", Op.STAT, "ok"),
    ("folder/socket", Op.MKSOCK, "ok"),
    ("folder/socket", Op.CONNECT, "ok"),
}


def test_each_operation_on_a_path_is_recorded(recorded, victim, tmp_path):
    run = recorded(victim("paths"), cwd=tmp_path)
    found = operations(run, tmp_path)
    assert found.keys() == as_seen_by(recorded.backend, OPENED | NAMED)
    assert run.gaps == ()


def test_opened_files_are_resolved_by_the_kernel(recorded, victim, tmp_path):
    found = operations(recorded(victim("paths"), cwd=tmp_path), tmp_path)
    done, missing = ("ok", "ENOENT") if recorded.backend == "bpf" else ("unknown", "absent")
    resolved = Resolution.OBJECT if recorded.backend == "bpf" else Resolution.LOOKED_UP
    assert found["folder/file", Op.READ, done].resolution is resolved
    assert found["folder/missing", Op.READ, missing].resolution is Resolution.LEXICAL
    assert not any(path == "folder/symlink" and operation is Op.READ for path, operation, _ in found)


def test_a_file_without_a_name_is_no_folder(recorded, victim, tmp_path):
    run = recorded(victim("paths"), cwd=tmp_path)
    unnamed = os.fsencode(tmp_path / "folder" / "#0")
    assert file_needs(run)[unnamed] == {Op.READ, Op.WRITE, Op.CREATE}


def test_files_that_are_opened_again_are_counted(recorded, tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    run = recorded("/bin/cat", *[file] * 7, cwd=tmp_path)
    assert [seen.count for seen in run.files if seen.path == str(file) and seen.operation is Op.READ] == [7]


def test_a_name_used_again_for_another_file_is_seen_again(recorded, tmp_path):
    script = "for i in 1 2 3; do echo > $i; rm $i; done; mkdir 1; rmdir 1"
    found = operations(recorded("/bin/sh", "-c", script, cwd=tmp_path), tmp_path)
    made = {(name, Op.CREATE, "ok") for name in "123"} | {("1", Op.MKDIR, "ok")}
    assert as_seen_by(recorded.backend, made) <= found.keys()


def test_programs_and_loaders_are_executed_and_mapped(recorded):
    run = recorded("/bin/sh", "-c", "/bin/true; :")
    seen = {(file.path, file.operation) for file in run.files}
    for program in ("/bin/sh", "/bin/true", "/lib64/ld-linux-x86-64.so.2"):
        path = str(Path(program).resolve())
        assert {(path, Op.EXEC), (path, Op.MAP)} <= seen


def test_a_long_path_is_whole(recorded, tmp_path):
    names = [letter * 250 for letter in "abcdefghijklmn"]
    folder = tmp_path.joinpath(*names)
    folder.mkdir(parents=True)
    (folder / "file").write_text("x")
    run = recorded("/bin/cat", folder / "file", cwd=tmp_path)
    assert (str(folder / "file"), Op.READ) in {(file.path, file.operation) for file in run.files}
    assert run.gaps == ()


def test_a_path_longer_than_the_limit_is_a_gap(recorded, tmp_path):
    name = "a" * 250
    prepare = f"cd {tmp_path}; for i in $(seq 20); do mkdir {name}; cd {name}; done; echo x > file"
    subprocess.run(["/bin/bash", "-c", prepare], check=True, stderr=subprocess.DEVNULL)
    walk = "import os\nos.chdir('.')\nfor i in range(20): os.chdir('" + name + "')\nopen('file').read()"
    run = recorded("/usr/bin/python3", "-c", walk, cwd=tmp_path)
    assert GapKind.LIMIT_REACHED in {gap.kind for gap in run.gaps}


@pytest.mark.requires("overlay")
@pytest.mark.requires("bpf", "cgroup2")
def test_paths_on_an_overlay_are_those_of_the_overlay(tmp_path):
    script = f"""
        set -e; mount --make-rprivate /; mount -t tmpfs none {tmp_path}; cd {tmp_path}
        mkdir up work root up2 work2
        mount -t overlay none -o lowerdir=/,upperdir=up,workdir=work root
        mount -t overlay none -o lowerdir=/usr,upperdir=up2,workdir=work2 root/usr
        mount -t proc none root/proc
        cd root; mkdir -p mnt/old; pivot_root . mnt/old; umount -l /mnt/old
        /bin/cat /etc/hostname; echo x > /mnt/file
    """
    run = record("/usr/bin/unshare", "--mount", "/bin/sh", "-c", script)
    seen = {(file.path, file.operation) for file in run.files}
    loader = str(Path("/lib64/ld-linux-x86-64.so.2").resolve())
    assert {("/etc/hostname", Op.READ), ("/mnt/file", Op.CREATE), (loader, Op.EXEC), (loader, Op.MAP)} <= seen
    cat = next(program for program in run.executables if program.path == str(Path("/bin/cat").resolve()))
    assert cat.interpreter == loader
    assert run.gaps == ()


def test_names_below_a_changed_root_are_those_of_the_sandbox(recorded):
    code = "import os; os.chroot('/usr'); os.chdir('/'); open('lib/os-release').read(); os.stat('/lib/os-release')"
    seen = {(file.path, file.operation) for file in recorded("/usr/bin/python3", "-c", code).files}
    assert {("/usr/lib/os-release", Op.READ), ("/usr/lib/os-release", Op.STAT)} <= seen
