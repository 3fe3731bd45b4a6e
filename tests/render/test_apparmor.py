"""The AppArmor text: the parser takes it, and the policy it compiles to allows what was seen and nothing else."""

from __future__ import annotations

import subprocess

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harden import shipped
from harden.generate.child_rights import rights_by_program
from harden.model.path_pattern import NAMED_PARTS, PathPattern
from harden.model.program_rights import ProgramRights
from harden.model.recording import ExecutableSeen, Recording
from harden.model.syscall_argument_names import ADDRESS_FAMILIES
from harden.render.apparmor import apparmor_label, render_apparmor
from harden.render.apparmor_path import expression
from harden.render.quoted import fill
from harden.render.rendered import Rendered
from tests.recordings import (
    PROGRAM,
    arguments,
    capability,
    file,
    path_bytes,
    profile_of,
    run,
    small_profile,
    socket,
    syscall,
)
from tests.render.apparmor_dfa import APPEND, EXEC, LINK, LOCK, MMAP, READ, WRITE, FileRules

PARSER = ("apparmor_parser", "-K", "--kernel-features=/etc/apparmor.d/abi/3.0")


def render(*files, name: str = "app", **parts) -> Rendered:
    return render_apparmor(profile_of(run(files=files, **parts), name=name), shipped.text("templates/apparmor.j2"))


def check(text: bytes) -> None:
    command = [*PARSER, "-Q", "--warn=all", "--Werror"]
    done = subprocess.run(command, input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode() + text.decode()


def compiled(text: bytes) -> FileRules:
    return FileRules(subprocess.run([*PARSER, "-S"], input=text, capture_output=True, check=True).stdout)


def simple(path: str) -> bytes:
    return f"abi <abi/3.0>,\nprofile x {{\n  {path} r,\n}}\n".encode()


@pytest.mark.requires("apparmor-parser")
def test_parser_takes_a_profile_with_everything():
    rendered = render(
        *(file(f"/srv/app/{name}", name) for name in ("read", "append", "lock", "link", "map", "exec", "mksock")),
        file("/srv/app", "list", "mkdir", "rmdir", "chmod"),
        file('/srv/app/"quo ted" {a,b} [c] *?\\x0a#^@{pid}\\xff', "read"),
        file("/proc/self/status", "read"),
        name='na"me }\n',
        syscalls=(syscall("socket"), syscall("ptrace"), syscall("socketpair")),
        arguments=(
            *(arguments("socket", (family, 2, 0)) for family in list(ADDRESS_FAMILIES)[:16]),
            arguments("socketpair", (1, 1, 0)),
        ),
        capabilities=(capability("CAP_CHOWN"), capability("CAP_CHECKPOINT_RESTORE")),
        sockets=(
            socket("bind", "AF_UNIX", "SOCK_STREAM", address='@a b"c'),
            socket("connect", "AF_UNIX", "SOCK_DGRAM", address="@x"),
            socket("connect", "AF_UNIX", "SOCK_STREAM", address="/srv/app/sock"),
        ),
    )
    check(rendered.content)


@pytest.mark.requires("apparmor-parser")
@pytest.mark.parametrize("family", sorted(set(ADDRESS_FAMILIES) - {0}))
def test_every_family_is_named_or_said_to_be_left_out(family):
    rendered = render(syscalls=(syscall("socket"),), arguments=(arguments("socket", (family, 3, 0)),))
    check(rendered.content)
    word = ADDRESS_FAMILIES[family].removeprefix("AF_").lower()
    said = any(warning.startswith(ADDRESS_FAMILIES[family]) for warning in rendered.warnings)
    assert said != (f" {word} raw".encode() in rendered.content or family == 1)


@pytest.mark.requires("apparmor-parser")
def test_policy_allows_what_was_seen_and_nothing_else():
    text = render_apparmor(small_profile(), shipped.text("templates/apparmor.j2")).content
    check(text)
    policy = compiled(text)
    assert policy.permissions(b"/etc/app/app.conf") & 0x7F == READ
    assert policy.permissions(b"/var/log/app/app.log") & 0x7F == WRITE | APPEND
    assert policy.owner_permissions(b"/srv/app/data") & 0x7F == READ | WRITE | APPEND
    assert policy.owner_permissions(b"/srv/app/temp-17.db") & WRITE
    assert policy.permissions(b"/srv/app/data") & 0x7F == 0, "what the program made is its own"
    assert policy.permissions(b"/proc/4711/status") & 0x7F == READ
    assert policy.permissions(b"/usr/bin/app") & (READ | EXEC | MMAP) == READ | EXEC | MMAP
    for path in (
        b"/etc/shadow",
        b"/etc/app/",
        b"/etc/app/local.conf",
        b"/srv/app/temp-4711.db",
        b"/proc/1/mem",
        b"/bin/sh",
    ):
        assert policy.permissions(path) == 0, path


@pytest.mark.requires("apparmor-parser")
def test_permissions_of_operations():
    policy = compiled(
        render(
            file("/srv/app/d", "list", "mkdir", "rmdir"),
            file("/srv/app/l", "link"),
            file("/srv/app/k", "lock"),
            file("/srv/app/s", "stat", "utime"),
            file("/srv/app/c", "chown"),
            file("/srv/app/wa", "write", "append"),
        ).content
    )
    assert policy.owner_permissions(b"/srv/app/d/") & 0x7F == READ | WRITE | APPEND
    assert policy.permissions(b"/srv/app/d") == 0
    assert policy.permissions(b"/srv/app/l") & 0x7F == LINK
    assert policy.permissions(b"/srv/app/k") & 0x7F == LOCK
    assert policy.permissions(b"/srv/app/s") == 0
    assert policy.permissions(b"/srv/app/c") & policy.permissions(b"/srv/app/c/") & WRITE
    assert policy.permissions(b"/srv/app/wa") & 0x7F == WRITE | APPEND


@pytest.mark.requires("apparmor-parser")
@settings(deadline=None, max_examples=40)
@given(path_bytes, path_bytes)
def test_a_literal_path_stands_for_itself_alone(path, other):
    policy = compiled(simple(expression(PathPattern.literal(path))))
    assert policy.permissions(path) == READ
    assert policy.permissions(other) == (READ if other == path else 0)


@pytest.mark.requires("apparmor-parser")
def test_every_byte_can_be_part_of_a_name():
    for byte in set(range(1, 256)) - {ord("/")}:
        path = b"/a" + bytes([byte]) + b"z"
        policy = compiled(simple(expression(PathPattern.literal(path))))
        assert policy.permissions(path) == READ, path
        assert policy.permissions(b"/a" + bytes([byte ^ 1]) + b"z") == 0, path


@pytest.mark.requires("apparmor-parser")
@pytest.mark.parametrize("part", sorted(NAMED_PARTS))
def test_a_named_part_means_the_same_in_apparmor(part):
    pattern = PathPattern.parse(f"/a/@{{{part}}}")
    policy = compiled(simple(expression(pattern)))

    @settings(deadline=None, max_examples=80)
    @given(
        st.from_regex(NAMED_PARTS[part].replace(rb"\.", b"[.]"), fullmatch=True) | st.binary(min_size=1, max_size=12)
    )
    def same(name):
        if b"/" not in name and b"\0" not in name:
            assert bool(policy.permissions(b"/a/" + name)) == pattern.matches(b"/a/" + name)

    same()


def test_self_is_granted_as_a_number_and_said():
    rendered = render(file("/proc/self/status", "read"))
    assert b"/proc/self" not in rendered.content
    assert any("/proc/self/status" in warning for warning in rendered.warnings)


@pytest.mark.requires("apparmor-parser")
def test_loading_it_confines_nothing_that_is_not_started_in_it():
    """A name with a slash in front, or a path after the name, would be attached to every use of that program."""
    rendered = render(workload={"program": "/usr/bin/sh"}, name="/usr/bin/sh")
    check(rendered.content)
    headers = [line for line in rendered.content.decode().splitlines() if line.startswith("profile ")]
    assert headers == ['profile "harden._usr_bin_sh" flags=(attach_disconnected,mediate_deleted) {']
    assert rendered.warnings[0].startswith("harden._usr_bin_sh is attached to no program")


def test_label_holds_nothing_special():
    profile = profile_of(run(), name='a//b "c"\n:x')
    assert apparmor_label(profile) == "harden.a__b__c___x"


def test_template_refuses_what_nobody_quoted():
    with pytest.raises(TypeError, match="was not quoted"):
        fill("{{ path }}", {"path": "/etc/passwd r, /etc/shadow"})


def test_mounts_are_ruled_where_the_profile_has_the_call():
    rendered = render(syscalls=(syscall("mount"), syscall("pivot_root")))
    lines = [line.strip() for line in rendered.content.decode().splitlines()]
    assert {"mount,", "pivot_root,"} <= set(lines)
    assert "umount," not in lines
    assert any(warning.startswith("mount: every one") for warning in rendered.warnings)


@pytest.mark.requires("apparmor-parser")
def test_what_the_program_made_is_its_owners():
    made, taken = file("/srv/app/made", "create", "write"), file("/srv/app/given", "create", "chown")
    policy = compiled(render(made, taken, file("/srv/app/found", "write")).content)
    assert policy.owner_permissions(b"/srv/app/made") & WRITE
    assert policy.permissions(b"/srv/app/made") == 0
    assert policy.permissions(b"/srv/app/given") & WRITE
    assert policy.permissions(b"/srv/app/found") & WRITE
    changing = compiled(render(made, syscalls=(syscall("setuid"),)).content)
    assert changing.permissions(b"/srv/app/made") & WRITE, "it may have been another user when it made it"
    over = compiled(render(made, capabilities=(capability("CAP_DAC_OVERRIDE"),)).content)
    assert over.permissions(b"/srv/app/made") & WRITE


def test_rules_of_the_fourth_abi_are_for_parsers_that_have_them():
    profile = profile_of(
        run(
            syscalls=(syscall("unshare"), syscall("mq_open")),
            arguments=(arguments("unshare", (0x10000000,)),),
        )
    )
    template = shipped.text("templates/apparmor.j2")
    third, fourth = (render_apparmor(profile, template, parser=(major, 0)).content.decode() for major in (3, 4))
    for rule in ("userns create,", "mqueue type=posix,"):
        assert rule not in third
        assert f"  {rule}\n" in fourth
    assert "abi <abi/3.0>," in third
    assert "abi <abi/4.0>," in fourth
    assert "userns" not in render_apparmor(profile_of(run()), template, parser=(4, 0)).content.decode()


@pytest.mark.requires("apparmor-parser")
def test_children_are_profiles_of_their_own():
    profile = profile_of(
        run(files=(file("/usr/bin/sh", "exec"), file("/usr/bin.sh", "exec"), file("/usr/bin/a b", "exec")))
    )
    children = dict.fromkeys(("/usr/bin/sh", "/usr/bin.sh", "/usr/bin/a b"), profile.rights)
    programs = ProgramRights(program=PROGRAM, own=profile.rights, children=children)
    rendered = render_apparmor(profile, shipped.text("templates/apparmor.j2"), programs=programs)
    check(rendered.content)
    names = subprocess.run([*PARSER, "-N"], input=rendered.content, capture_output=True, check=True).stdout.split()
    assert set(names) == {
        b"harden.app",
        b"harden.app//usr.bin.a.b",
        b"harden.app//usr.bin.sh",
        b"harden.app//usr.bin.sh_",
    }
    text = rendered.content.decode()
    main, child = text.split('profile "harden.app//usr.bin.sh" flags=(attach_disconnected,mediate_deleted) {')
    assert '"/usr/bin/sh" cx -> "usr.bin.sh_",' in main
    assert '"/usr/bin/a\\040b" px -> "harden.app//usr.bin.a.b",' in child.split("\n}")[0]
    assert any("no_new_privs" in warning for warning in rendered.warnings)


@pytest.mark.requires("apparmor-parser")
def test_the_program_itself_has_its_own_rights_and_a_child_may_start_it_again():
    child = "/usr/bin/child"
    seen = run(
        executables=(ExecutableSeen(path=PROGRAM), ExecutableSeen(path=child)),
        files=(
            file(child, "exec"),
            file("/srv/app/own", "read"),
            tuple(
                msgspec.structs.replace(each, executable=child)
                for each in (*file("/srv/app/made", "create", "write"), *file(PROGRAM, "exec"))
            ),
        ),
        capabilities=(msgspec.structs.replace(capability("CAP_CHOWN"), executable=child),),
    )
    profile = profile_of(seen)
    programs = rights_by_program(profile, Recording.of([seen]))
    rendered = render_apparmor(profile, shipped.text("templates/apparmor.j2"), programs=programs)
    check(rendered.content)
    main, nested = rendered.content.decode().split('profile "harden.app//usr.bin.child" flags=')
    assert ('"/srv/app/own" r,' in main, '"/srv/app/own"' in nested) == (True, False)
    assert ("capability" in main, "capability chown," in nested) == (False, True)
    assert ("/srv/app/made" in main, '  "/srv/app/made" w,' in nested) == (False, True), "chown may give it away"
    assert f'"{child}" cx -> "usr.bin.child",' in main
    assert f'"{PROGRAM}" mrpx -> "harden.app",' in nested or f'"{PROGRAM}" px -> "harden.app",' in nested
