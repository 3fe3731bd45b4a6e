"""What the minimal view shows for a profile."""

from __future__ import annotations

import pytest

from harden.model.local_merge import merge_local
from harden.model.profile import Local, LocalRights
from harden.model.workload import StoredBind
from harden.render.sandbox_paths import SandboxPaths, sandbox_paths
from tests.recordings import file, profile_of, run


def paths(*files, **workload) -> SandboxPaths:
    return sandbox_paths(profile_of(run(files=files, workload=workload)))


def test_database_and_journal_in_the_working_folder():
    """sqlite3: creates its database and a journal beside it, and syncs the folder."""
    found = paths(
        file("/srv/db/test.db", "create", "read", "write", "lock"),
        file("/srv/db/test.db-journal", "create", "write", "unlink"),
        file("/srv/db", "read", folder=True),
        file("/etc/passwd", "read"),
        cwd="/srv/db",
    )
    assert found.writable == (b"/srv/db",)
    assert found.visible == (b"/etc/passwd",)
    assert found.folders == ()
    assert {each.granted for each in found.widenings} >= {"writable /srv/db"}


def test_existing_file_is_writable_alone():
    found = paths(file("/var/log/nginx/access.log", "append"), file("/var/log/nginx/error.log", "append"))
    assert found.writable == (b"/var/log/nginx/access.log", b"/var/log/nginx/error.log")
    assert found.widenings == ()


def test_folders_the_program_makes_among_others_are_its_own():
    """nginx on a fresh machine: /var/lib/nginx and what is in it, the pid file in the private /run."""
    found = paths(
        file("/var/lib/nginx", "mkdir", "chown"),
        file("/var/lib/nginx/body", "mkdir", "chown"),
        file("/var/lib/nginx/body/0000000001", "create", "write", "unlink"),
        file("/run/nginx.pid", "create", "write", "unlink"),
    )
    assert found.folders == (b"/srv/app", b"/var/lib/nginx")
    assert found.writable == ()
    assert any("of its own" in each.granted for each in found.widenings)


def test_folder_made_in_the_programs_own_folder_needs_that_folder():
    found = paths(file("/srv/app/out", "mkdir"), file("/srv/app/out/result", "create", "write"))
    assert found.writable == (b"/srv/app",)
    assert found.folders == ()


def test_no_folder_of_others_becomes_writable():
    for folder in ("/etc", "/root", "/", "/usr/lib/python3/dist-packages", "/home/u", "/home/u/.ssh", "/var/log"):
        found = paths(file(f"{folder.rstrip('/')}/new", "create", "unlink"))
        assert found.writable == (), folder
        assert [each.granted for each in found.widenings] == [""], folder


def test_created_file_among_others_is_writable_alone():
    assert paths(file("/var/log/app.log", "create", "write")).writable == (b"/var/log/app.log",)


def test_private_folders_are_not_the_hosts():
    found = paths(
        file("/tmp/x", "create", "write", "unlink"), file("/dev/shm/y", "create"), file("/run/lock/z", "mkdir")
    )
    assert (found.writable, found.visible, found.folders) == ((), (), (b"/srv/app",))


def test_working_folder_below_tmp_is_the_hosts():
    found = paths(file("/tmp/job/out", "create"), file("/tmp/other/in", "read"), cwd="/tmp/job")
    assert found.writable == (b"/tmp/job",)
    assert found.visible == ()


def test_program_is_always_shown():
    assert paths(program="/opt/tool/bin/tool").visible == (b"/opt/tool/bin/tool",)
    assert paths(program="/tmp/tool").visible == (b"/tmp/tool",)


def test_looked_at_paths_are_apart_and_parents_appear_by_themselves():
    found = paths(
        file("/etc/app/app.conf", "read"), file("/etc/app", "stat"), file("/opt/x", "stat"), file("/", "stat")
    )
    assert found.looked_at == (b"/opt/x",)
    assert found.visible == (b"/etc/app/app.conf",)


def test_listing_shows_the_folder_and_says_so():
    found = paths(file("/etc/app/conf.d", "list"), file("/etc/app/conf.d/a.conf", "read"))
    assert found.visible == (b"/etc/app/conf.d",)
    assert [each.granted for each in found.widenings] == ["visible /etc/app/conf.d"]


@pytest.mark.parametrize("folder", ["/etc", "/"])
def test_listing_a_folder_of_others_shows_what_else_is_shown_there(folder):
    found = paths(file(folder, "list"), file("/opt/x", "read"))
    assert found.visible == (b"/opt/x",)
    assert [each.granted for each in found.widenings] == [f"a reduced view of {folder}"]
    assert "listing it works" in str(found.widenings[0])
    assert (folder.encode() in found.looked_at) == (folder == "/etc")


def test_rights_of_files_on_the_root_show_nothing():
    profile = profile_of(run(files=(file("/opt/x", "read"),)))
    local = Local(format="harden-local/1", add=LocalRights(files={"/": "read exec map write create"}))
    found = sandbox_paths(merge_local(profile, local))
    assert (found.visible, found.writable, found.looked_at) == ((b"/opt/x",), (), ())


def moved(*folders: str) -> SandboxPaths:
    return paths(*(file(f"{folder}/x", "create", "refer") for folder in folders))


def test_folders_between_which_names_move_are_one_mount():
    found = moved("/srv/md/tmp", "/srv/md/new")
    assert found.writable == (b"/srv/md",)
    (joined,) = [each for each in found.widenings if "between" in each.asked]
    assert joined.granted == "writable /srv/md"
    assert moved("/srv/md", "/srv/md/new").writable == (b"/srv/md",)
    assert moved("/srv/m/a/tmp", "/srv/m/a/new", "/srv/m/b/tmp").writable == (b"/srv/m",)


@pytest.mark.parametrize("second", ["/var/lib/b", "/srv/b", "/tmp/job"])
def test_folders_that_only_a_folder_of_others_holds_stay_apart(second):
    found = paths(
        *(file(f"{folder}/x", "create", "refer") for folder in ("/srv/a", second)), cwd="/tmp/job", program="/srv/app"
    )
    assert found.writable == tuple(sorted((b"/srv/a", second.encode())))
    (refused,) = [each for each in found.widenings if "between" in each.asked]
    assert refused.granted == ""
    assert "EXDEV" in refused.reason


def test_folders_between_which_nothing_moves_are_mounts_of_their_own():
    found = paths(file("/srv/md/tmp/x", "create"), file("/srv/md/new/x", "create"))
    assert found.writable == (b"/srv/md/new", b"/srv/md/tmp")


def test_sockets_of_the_host_stay_out_of_reach():
    assert paths(file("/var/lib/mysql/mysql.sock", "connect")).visible == ()


def test_bound_paths_are_shown_by_their_bind():
    binds = (StoredBind(source="/data", target="/data", writable=True),)
    found = paths(file("/data/x", "create"), file("/data/y", "read"), binds=binds)
    assert (found.writable, found.visible) == ((), ())


def test_many_files_are_shown_by_their_folder():
    found = paths(*(file(f"/opt/app/lib/{n}.py", "read") for n in range(300)), file("/etc/app.conf", "read"))
    assert found.visible == (b"/etc/app.conf", b"/opt/app/lib")
    assert any("more than 256" in each.reason for each in found.widenings)


def test_usr_is_shown_but_written_only_where_named():
    assert paths(file("/usr/share/x", "read")).visible == ()
    assert paths(file("/usr/local/app/logs/x", "write")).writable == (b"/usr/local/app/logs/x",)
    assert paths(file("/usr/local/app/logs/x", "create")).writable == (b"/usr/local/app/logs",)
