"""`harden export`: files on disk, warnings on stderr, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from harden.cli import main
from harden.folder import ProfileFiles
from harden.model.profile import Profile
from harden.model.recording import ExecutableSeen, Recording
from harden.render.formats import FORMATS
from harden.render.profile_toml import render_profile
from tests.recordings import file, profile_of, run, small_profile

FILES = {f"app{row.suffix}" for row in FORMATS.values()}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    put(small_profile())
    return tmp_path


def put(profile: Profile) -> None:
    Path(f"{profile.name}.profile.toml").write_bytes(render_profile(profile))


def export(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["export", *words])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_all_writes_every_format_and_prints_its_warnings(folder, capfd):
    assert export("app.profile.toml", "--all", "out/deep") == 0
    assert {path.name for path in (folder / "out/deep").iterdir()} == FILES
    out, err = capfd.readouterr()
    assert {Path(line).name for line in out.splitlines()} == FILES
    for name, row in FORMATS.items():
        rendered = row.render(small_profile())
        assert (folder / f"out/deep/app{row.suffix}").read_bytes() == rendered.content
        assert all(f"harden: {name}: {warning}" in err.splitlines() for warning in rendered.warnings)


def test_output_goes_into_a_device_and_leaves_it(folder):
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert export("app.profile.toml", "--format", "capabilities", "-o", "pipe") == 0
        assert os.read(reader, 65536) == FORMATS["capabilities"].render(small_profile()).content
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_all_replaces_its_own_files_and_leaves_others(folder):
    place = folder / "out"
    place.mkdir()
    (place / "mine.txt").write_text("mine")
    (place / "app.bpf").write_text("old")
    (place / "app.cil").symlink_to("mine.txt")
    assert export("app.profile.toml", "--all", "out") == 0
    assert (place / "mine.txt").read_text() == "mine", "a link is replaced, not followed"
    assert (place / "app.bpf").read_bytes() == FORMATS["bpf"].render(small_profile()).content


def test_a_format_that_cannot_hold_the_command_is_left_out_loudly(folder, capfd):
    put(profile_of(run(workload={"argv": ("app", "\\xff")}), name="odd"))
    assert export("odd.profile.toml", "--all", "out") == 125
    assert {path.name for path in (folder / "out").iterdir()} == {
        f"odd{row.suffix}" for row in FORMATS.values() if row.name != "oci-bundle"
    }
    assert "oci-bundle: not written: \\xff" in capfd.readouterr().err


def test_all_for_another_architecture_leaves_out_loudly_what_is_compiled(folder, capfd):
    assert export("app.profile.toml", "--all", "out", "--arch", "aarch64") == 125
    written = {path.name for path in (folder / "out").iterdir()}
    left_out = ("bpf", "bubblewrap", "bubblewrap-filter")
    assert FILES - written == {f"app{FORMATS[name].suffix}" for name in left_out}
    said = capfd.readouterr().err
    assert all(f"{name}: not written: --arch aarch64" in said for name in left_out)


def test_a_folder_that_cannot_be_made_is_one_line(folder, capfd):
    assert export("app.profile.toml", "--all", "app.profile.toml/x") == 125
    assert "mkdir(" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give one of --format and --all"),
        (("--format", "bpf", "--all", "out"), "give one of --format and --all"),
        (("--format", "nothing"), "unknown format 'nothing'"),
        (("--all", "out", "-o", "x"), "--all names the files itself"),
        (("--format", "systemd", "--runtime", "runc"), "systemd takes no --runtime"),
        (("--format", "seccomp", "--runtime", "none"), "unknown runtime 'none'"),
        (("--format", "seccomp", "--children"), "seccomp takes no --children"),
        (("--format", "apparmor", "--parser", "2.0"), "--parser 2.0"),
        (("--format", "seccomp", "--arch", "vax"), "--arch vax"),
        (("--format", "bpf", "--arch", "aarch64"), "bpf takes no --arch"),
        (("--format", "systemd", "--abstractions"), "systemd takes no --abstractions"),
        (("--format", "apparmor", "--apparmor-dir", "."), "--apparmor-dir is for --abstractions"),
        (("--format", "apparmor", "--abstractions", "--apparmor-dir", "."), ". has no abstractions"),
        (("--format", "apparmor", "--children"), "app.recording.json is not there"),
    ],
)
def test_what_makes_no_sense_is_refused(folder, capfd, words, said):
    assert export("app.profile.toml", *words) == 125
    assert said in capfd.readouterr().err
    assert {path.name for path in folder.iterdir()} == {"app.profile.toml"}


def test_a_runtime_is_added_and_said(folder, capfd):
    assert export("app.profile.toml", "--format", "seccomp", "--runtime", "runc") == 0
    out, err = capfd.readouterr()
    assert "fstatfs" in {name for entry in json.loads(out)["syscalls"][:1] for name in entry["names"]}
    assert "harden: seccomp: added for runc: execve (executes the program)" in err


def test_children_come_from_the_recording(folder, capfd):
    child = "/usr/bin/child"
    by_child = tuple(msgspec.structs.replace(each, executable=child) for each in file("/srv/x", "read"))
    seen = run(
        executables=(ExecutableSeen(path="/usr/bin/app"), ExecutableSeen(path=child)),
        files=(file(child, "exec"), by_child),
    )
    put(profile_of(seen, name="two"))
    ProfileFiles.named(folder, "two").save_recording(Recording.of([seen]))
    assert export("two.profile.toml", "--format", "apparmor", "--children") == 0
    out, err = capfd.readouterr()
    main_part, child_part = out.split('profile "harden.two//usr.bin.child"')
    assert '"/usr/bin/child" cx -> "usr.bin.child"' in main_part.replace("mrcx", "cx")
    assert '"/srv/x" r' in child_part
    assert "no_new_privs" in err


def test_help_lists_every_format(capfd):
    assert export("--help") == 0
    listed = capfd.readouterr().out
    assert all(f"\n  {name} " in listed.replace("    ", "  ") for name in FORMATS)


@pytest.mark.parametrize(
    "target",
    [
        *("app.profile.toml", "./app.profile.toml", "other.profile.toml", "app.local.toml", "app.recording.json"),
        *("app.verified.json", "use.scenario.toml", "hard", "soft", ".", "..", "/", ""),
    ],
)
def test_nothing_that_harden_reads_is_replaced(folder, capfd, target):
    (folder / "app.local.toml").write_text('format = "harden-local/1"\n')
    os.link("app.local.toml", "hard")
    (folder / "soft").symlink_to("app.profile.toml")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert export("app.profile.toml", "--format", "seccomp", "-o", target) == 125
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    problem, hint = capfd.readouterr().err.splitlines()
    assert problem.startswith("harden: -o ")
    assert hint == "hint: name another file with -o"


def test_another_name_is_written(folder):
    (folder / "app.seccomp.json").write_text("old")
    assert export("app.profile.toml", "--format", "seccomp", "-o", "app.seccomp.json") == 0
    assert (folder / "app.seccomp.json").read_bytes() == FORMATS["seccomp"].render(small_profile()).content


def test_all_leaves_what_it_reads_and_needs_a_folder(folder, capfd):
    assert export("app.profile.toml", "--all", "") == 125
    assert "--all '': is not the name of a folder" in capfd.readouterr().err
    Path("app.landlock.toml").write_text('format = "harden-local/1"\n')
    os.link("app.landlock.toml", "app.local.toml")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert export("app.profile.toml", "--all", ".") == 125
    assert "app.landlock.toml: is app.local.toml, which was read" in capfd.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
