"""Landlock rules of a profile."""

from __future__ import annotations

import json

import jsonschema
import pytest

from harden.model.local_merge import merge_local
from harden.model.profile import Local, LocalRights
from harden.model.recording import FileOperation
from harden.model.sandbox import LandlockRules
from harden.render.landlock import landlock_rules, render_landlock
from harden.render.landlock_access import FileAccess, Scope
from tests.conftest import ROOT
from tests.recordings import PROGRAM, file, profile_of, run, socket


def rules(*files, **parts) -> LandlockRules:
    return landlock_rules(profile_of(run(files=files, **parts)))[0]


def access(found: LandlockRules) -> dict[str, set[str]]:
    return {rule.path.decode(): set(FileAccess(rule.access).words()) for rule in found.files}


def test_everything_is_handled():
    found = rules()
    assert found.handled_files == 0xFFFF
    assert found.handled_network == 3
    assert found.scoped == 3


@pytest.mark.parametrize(
    ("operation", "rights"),
    [
        ("read", {"read_file"}),
        ("map", {"read_file"}),
        ("exec", {"execute", "read_file"}),
        ("write", {"write_file"}),
        ("append", {"write_file"}),
        ("truncate", {"truncate"}),
        ("ioctl", {"ioctl_dev"}),
        ("list", {"read_dir"}),
    ],
)
def test_rights_on_the_path_itself(operation, rights):
    assert access(rules(file("/srv/app/x", operation)))["/srv/app/x"] == rights


@pytest.mark.parametrize("operation", ["stat", "lock", "chmod", "chown", "utime", "xattr", "connect"])
def test_what_landlock_does_not_restrict_needs_no_rule(operation):
    assert access(rules(file("/srv/app/x", operation))).keys() == {PROGRAM, "/dev/null"}


@pytest.mark.parametrize(
    ("operation", "right"),
    [
        ("create", "make_reg"),
        ("mkdir", "make_dir"),
        ("symlink", "make_sym"),
        ("mksock", "make_sock"),
        ("mkfifo", "make_fifo"),
        ("unlink", "remove_file"),
        ("rmdir", "remove_dir"),
        ("refer", "refer"),
        ("link", "make_reg"),
    ],
)
def test_rights_on_the_folder(operation, right):
    found, widenings = landlock_rules(profile_of(run(files=(file("/srv/app/x", operation),))))
    assert access(found)["/srv/app"] == {right}
    assert [each.granted for each in widenings] == [f"{right} beneath /srv/app"]


def test_a_new_file_is_used_by_the_rights_of_its_folder():
    found = access(rules(file("/srv/app/x", "create", "read", "write", "truncate")))
    assert found["/srv/app"] == {"make_reg", "read_file", "write_file", "truncate"}


def test_what_is_made_in_a_made_folder_is_granted_where_something_stands():
    found = access(rules(file("/srv/app/a", "mkdir", "list"), file("/srv/app/a/x", "create", "write")))
    assert found["/srv/app"] == {"make_dir", "read_dir", "make_reg", "write_file"}
    assert found["/srv/app/a"] == {"read_dir", "make_reg", "write_file"}


@pytest.mark.parametrize("folder", ["/etc", "/root", "/usr/lib", "/var/lib", "/home/u", "/home/u/.ssh"])
def test_no_right_on_a_folder_of_others(folder):
    found, widenings = landlock_rules(profile_of(run(files=(file(f"{folder}/x", "create", "write", "unlink"),))))
    assert folder not in access(found)
    assert [each.granted for each in widenings] == [""]


def test_private_folders_and_the_own_proc_may_be_granted_whole():
    found = access(rules(file("/tmp/x", "create"), file("/proc/12/status", "read"), file("/run/x.pid", "create")))
    assert found["/tmp"] == {"make_reg"}
    assert found["/run"] == {"make_reg"}
    assert found["/proc"] == {"read_file"}


def test_a_move_may_not_give_new_rights():
    found = access(
        rules(
            file("/srv/app/in/x", "unlink", "refer"), file("/srv/app/out/x", "create", "refer", "read"),
        )
    )  # fmt: skip
    assert found["/srv/app/in"] == found["/srv/app/out"]
    assert found["/srv/app/out"] == {"make_reg", "remove_file", "refer", "read_file"}


def test_tcp_ports_only():
    found = rules(
        sockets=(
            socket("bind", "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=80),
            socket("bind", "AF_INET6", "SOCK_STREAM", address="::", port=0),
            socket("connect", "AF_INET", "SOCK_STREAM", address="10.0.0.1", port=443, result="EINPROGRESS"),
            socket("connect", "AF_INET", "SOCK_STREAM", address="10.0.0.1", port=444, result="EACCES"),
            socket("bind", "AF_INET", "SOCK_DGRAM", address="0.0.0.0", port=53),
        )
    )
    assert found.bind_tcp == (0, 80)
    assert found.connect_tcp == (443,)


def test_every_port_is_no_rule_but_no_restriction_either():
    own = run(
        sockets=(
            socket("bind", "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=0),
            socket("connect", "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=44935),
        )
    )
    found, widenings = landlock_rules(profile_of(own))
    assert (found.handled_network, found.bind_tcp, found.connect_tcp) == (1, (0,), ())
    assert "connect to any TCP port at any address" in {each.granted for each in widenings}


def test_abstract_sockets_outside_are_reached_only_if_named():
    connect = socket("connect", "AF_UNIX", "SOCK_STREAM", address="@x")
    bind = socket("bind", "AF_UNIX", "SOCK_STREAM", address="@x")
    assert rules(sockets=(connect,)).scoped == Scope.SIGNAL
    assert rules(sockets=(connect, bind)).scoped == Scope.SIGNAL | Scope.ABSTRACT_UNIX_SOCKET


def test_json_keeps_to_the_fields_of_landlockconfig():
    schema = json.loads((ROOT / "tests/data/landlockconfig.json").read_text())
    every = tuple(file(f"/srv/{operation}/x", operation) for operation in FileOperation)
    ports = (
        socket("bind", "AF_INET", "SOCK_STREAM", address="0.0.0.0", port=80),
        socket("connect", "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=0),
        socket("connect", "AF_UNIX", "SOCK_STREAM", address="@x"),
    )
    for profile in (profile_of(run()), profile_of(run(files=every)), profile_of(run(sockets=ports))):
        document = json.loads(render_landlock(profile).content)
        jsonschema.Draft202012Validator(schema).validate(document)


def test_no_ports_are_no_empty_lists():
    """landlockconfig refuses a file with an empty list, which would then restrict nothing."""
    ports = (
        socket("bind", "AF_INET", "SOCK_STREAM", address="0.0.0.0", port=0),
        *(socket(word, "AF_INET", "SOCK_STREAM", address="127.0.0.1", port=44935) for word in ("bind", "connect")),
    )
    local = Local(format="harden-local/1", add=LocalRights(network=("bind tcp 0.0.0.0:*", "connect tcp 0.0.0.0:*")))
    document = json.loads(render_landlock(merge_local(profile_of(run(sockets=ports)), local)).content)
    assert "handledAccessNet" not in document["ruleset"][0]
    schema = json.loads((ROOT / "tests/data/landlockconfig.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(document)


def test_json_names_the_rights_and_says_what_is_wider():
    rendered = render_landlock(profile_of(run(files=(file("/srv/app/a$b", "read"), file("/srv/app/\\xff", "read")))))
    document = json.loads(rendered.content)
    assert document["abi"] == 6
    assert {"allowedAccess": ["read_file"], "parent": ["/srv/app/a$$b"]} in document["pathBeneath"]
    assert any("not UTF-8" in warning for warning in rendered.warnings)


def test_rights_of_files_on_the_root_are_refused():
    local = Local(format="harden-local/1", add=LocalRights(files={"/": "list read exec map write"}))
    found, widenings = landlock_rules(merge_local(profile_of(run()), local))
    assert access(found)["/"] == {"read_dir"}
    assert any(each.asked == "exec map read write /" and not each.granted for each in widenings)
