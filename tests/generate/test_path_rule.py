"""File rules and what is generalised in them."""

from __future__ import annotations

import pytest

from harden.model.origin import Origin
from harden.model.recording import ExecutableSeen
from tests.recordings import file, profile_of, run


def rules(*files, **parts) -> dict[str, str]:
    return profile_of(run(files=files, **parts)).rights.files[Origin.OBSERVED]


def test_rights_of_a_path_add_up():
    assert rules(file("/srv/a", "write", "read"), file("/srv/a", "lock"))["/srv/a"] == "read write lock"


def test_failed_attempts_are_not_granted():
    found = rules(file("/etc/a", "read", result="ENOENT"), file("/etc/b", "read", result="EACCES"))
    assert not {"/etc/a", "/etc/b"} & found.keys()


def test_a_path_that_was_there_stays_visible():
    assert rules(file("/var/lib/nginx", "mkdir", result="EEXIST"))["/var/lib/nginx"] == "stat"


def test_reading_a_folder_is_listing_it():
    assert rules(file("/srv/x", "read", folder=True))["/srv/x"] == "list"


def test_what_is_no_path_is_left_out():
    assert rules(file("pipe:[123]", "read"), file("/srv//a/./b/../c", "read")).keys() == {"/usr/bin/app", "/srv/a/c"}


def test_programs_loaders_and_libraries():
    found = rules(
        file("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "map"),
        executables=(
            ExecutableSeen(
                path="/usr/bin/app", interpreter="/lib64/ld-linux-x86-64.so.2", libraries=("/usr/lib/libz.so",)
            ),
        ),
    )
    assert found == {
        "/lib64/ld-linux-x86-64.so.2": "read exec map",
        "/usr/bin/app": "read exec map",
        "/usr/lib/libz.so": "read map",
        "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": "read exec map",
    }


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/proc/2/maps", "/proc/@{pid}/maps"),
        ("/proc/2", "/proc/@{pid}"),
        ("/proc/2/task/3/comm", "/proc/@{pid}/task/@{tid}/comm"),
        ("/proc/2/task", "/proc/@{pid}/task"),
        ("/tmp/#0", "/tmp/#@{int}"),
        ("/proc/2/fd/17", "/proc/@{pid}/fd/17"),
    ],
)
def test_process_ids(path, pattern):
    profile = profile_of(run(files=(file(path, "read"),)))
    assert pattern in profile.rights.files[Origin.OBSERVED]
    assert profile.widened == {pattern: (path,)}


@pytest.mark.parametrize("path", ["/proc/self/maps", "/proc/sys/kernel/pid_max", "/sys/kernel/1/x", "/proc/2x/y"])
def test_other_kernel_paths_stay(path):
    assert rules(file(path, "read"))[path] == "read"


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("mod.pyc.139872634612345", "mod.pyc.@{int}"),
        ("tmpab3d_x9k", "tmp@{temp}"),
        (".conf.aB3xY9", ".conf.@{temp}"),
        ("etilqs_3f9a2b7c4d1e8f60", "etilqs_@{temp}"),
        ("f81d4fae-7dec-11d0-a765-00a0c91e6bf6.lock", "@{uuid}.lock"),
        ("d41d8cd98f00b204e9800998ecf8427e", "@{hash}"),
    ],
)
def test_made_up_names_that_went_away(name, pattern):
    profile = profile_of(run(files=(file(f"/srv/app/{name}", "create", "write", "unlink"),)))
    assert profile.rights.files[Origin.OBSERVED][f"/srv/app/{pattern}"] == "write create unlink"
    assert profile.widened == {f"/srv/app/{pattern}": (f"/srv/app/{name}",)}


@pytest.mark.parametrize(
    "name",
    [
        "1",
        "0000000001",
        "temp-17.rdb",
        "data.db-journal",
        "README.txt",
        "version2",
        "worker1.log",
        "Makefile",
        "aB3xY9",
    ],
)
def test_words_stay(name):
    assert f"/srv/app/{name}" in rules(file(f"/srv/app/{name}", "create", "unlink"))


def test_a_name_that_stayed_is_kept_unless_there_are_others_like_it():
    first, second = "/srv/app/tmpab3d_x9k", "/srv/app/tmpq1_wo77z"
    assert first in rules(file(first, "create"))
    assert "/srv/app/tmp@{temp}" in rules(file(first, "create"), file(second, "create"))


def test_numbers_are_generalised_only_where_runs_disagree():
    """Maildir: what is in md/tmp/1 is not what is in every md/tmp/N."""
    first = run(files=(file("/srv/md/tmp/1", "create", "unlink"), file("/srv/md/tmp/2", "create", "unlink")))
    assert {"/srv/md/tmp/1", "/srv/md/tmp/2"} <= profile_of(first).rights.files[Origin.OBSERVED].keys()
    again = run(files=first.files, workload={"argv": ("app", "again")})
    assert "/srv/md/tmp/1" in profile_of(first, again).rights.files[Origin.OBSERVED]


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (("temp-17.rdb", "temp-9.rdb"), "temp-@{int}.rdb"),
        (("1", "2"), "@{int}"),
        (("a-1-2", "a-1-3"), "a-1-@{int}"),
        (("a-2-1", "a-3-1"), "a-@{int}-1"),
    ],
)
def test_numbers_on_which_runs_disagree(names, pattern):
    profile = profile_of(*(run(files=(file(f"/srv/app/{name}", "create", "unlink"),)) for name in names))
    assert profile.rights.files[Origin.OBSERVED][f"/srv/app/{pattern}"] == "create unlink"
    assert profile.widened == {f"/srv/app/{pattern}": tuple(sorted(f"/srv/app/{name}" for name in names))}


def test_names_that_differ_in_two_numbers_stay():
    found = profile_of(*(run(files=(file(f"/srv/app/{name}", "create"),)) for name in ("a-1-2", "a-3-4")))
    assert {"/srv/app/a-1-2", "/srv/app/a-3-4"} <= found.rights.files[Origin.OBSERVED].keys()


def test_only_folder_rights_are_granted_on_the_root():
    """A memfd that is executed has been recorded as `/`: exec on it would be exec on every file."""
    found = profile_of(run(files=(file("/", "read", "exec", "map", "stat"), file("/", "read", folder=True))))
    assert found.rights.files[Origin.OBSERVED]["/"] == "stat list"
    assert any('"read exec map" on "/" is not granted' in note for note in found.generated.notes)
    assert "/" not in rules(file("/", "exec"))


def test_names_that_differ_between_runs():
    first, second = (run(files=(file(f"/srv/app/tmp{name}", "create"),)) for name in ("ab3d_x9k", "q1_wo77z"))
    profile = profile_of(first, second)
    assert profile.rights.files[Origin.OBSERVED]["/srv/app/tmp@{temp}"] == "create"
    assert profile.widened["/srv/app/tmp@{temp}"] == ("/srv/app/tmpab3d_x9k", "/srv/app/tmpq1_wo77z")


def test_what_is_in_a_made_up_folder_follows_it():
    found = rules(file("/srv/app/tmpab3d_x9k", "mkdir", "rmdir"), file("/srv/app/tmpab3d_x9k/data", "create", "write"))
    assert found["/srv/app/tmp@{temp}/data"] == "write create"


def test_a_name_that_was_only_read_stays():
    assert "/srv/app/temp-17.rdb" in rules(file("/srv/app/temp-17.rdb", "read", "unlink"))


@pytest.mark.parametrize("root", ["/etc", "/root", "/home/u/.ssh", "/dev", "/run/secrets", "/sys"])
def test_nothing_is_generalised_in_a_guarded_root(root):
    path = f"{root}/temp-17.rdb"
    assert path in rules(file(path, "create", "unlink"))


def test_shared_memory_is_the_programs_own():
    """PostgreSQL draws the number anew at every start; no other program's names are in the sandbox's /dev/shm."""
    first = run(files=file("/dev/shm/PostgreSQL.1084616528", "create", "unlink"))
    second = run(files=file("/dev/shm/PostgreSQL.17541310", "create", "unlink"))
    assert "/dev/shm/PostgreSQL.@{int}" in profile_of(first, second).rights.files[Origin.OBSERVED]
    assert "/dev/shm" in rules(file("/dev/shm", "stat"))


def test_hostile_names_stay_themselves():
    found = rules(file("/srv/a*b", "read"), file("/srv/@{pid}", "read"), file("/srv/**", "read"))
    assert {"/srv/a\\x2ab", "/srv/\\x40{pid}", "/srv/\\x2a\\x2a"} <= found.keys()
