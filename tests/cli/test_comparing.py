"""`harden diff`, `harden explain` and `harden merge` as they are called: statuses, text, JSON, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from harden.cli import main
from harden.model.document import encode_json
from harden.model.recording import Recording
from harden.model.seen import First
from harden.render.profile_toml import render_profile
from tests import recordings
from tests.cli.gate import Done
from tests.model.test_seen import with_firsts
from tests.model.test_stack import STACKS, with_stacks
from tests.recordings import run, syscall

SMALL = recordings.small_run()
LARGE = msgspec.structs.replace(
    SMALL,
    syscalls=(*SMALL.syscalls, syscall("ptrace")),
    files=(*SMALL.files, *recordings.file("/etc/hosts", "read")),
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, each in (("small", SMALL), ("large", LARGE)):
        Path(f"{name}.profile.toml").write_bytes(render_profile(recordings.profile_of(each, name=name)))
        Path(f"{name}.recording.json").write_bytes(encode_json(Recording.of([each])))
    return tmp_path


@pytest.fixture
def harden(capfd: pytest.CaptureFixture[str]):
    def call(*arguments: str) -> Done:
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        out, err = capfd.readouterr()
        assert isinstance(caught.value.code, int)
        return Done(caught.value.code, out, err)

    return call


def test_growth_is_one_and_heaviest_first(harden):
    done = harden("diff", "small.profile.toml", "large.profile.toml")
    assert done.status == 1
    lines = done.out.splitlines()
    assert lines[0].split()[:4] == ["+", "9", "syscall", "ptrace"]
    assert "memory and registers" in lines[0]
    assert lines[1].split()[:6] == ["+", "2", "file", "read", "/etc/hosts", "reads"]


def test_less_and_the_same_are_zero(harden):
    done = harden("diff", "large.profile.toml", "small.profile.toml", "--json")
    found = json.loads(done.out)
    assert (done.status, found["added"]) == (0, [])
    assert found["removed"][0]["rule"] == "ptrace"
    assert found["removed"][0]["weight"] == 9
    assert harden("diff", "small.profile.toml", "small.profile.toml").out == "0 rights added, 0 removed\n"


def test_recordings_are_compared_as_their_profiles(harden):
    assert harden("diff", "small.recording.json", "large.recording.json").status == 1
    assert harden("diff", "large.recording.json", "small.profile.toml").status == 0
    assert harden("diff", "small.recording.json", "small.profile.toml").out == "0 rights added, 0 removed\n"


def test_the_local_file_counts(harden):
    Path("small.local.toml").write_text('format = "harden-local/1"\n[add]\nsyscalls = ["ptrace"]\n')
    assert "ptrace" in harden("diff", "small.recording.json", "small.profile.toml").out


@pytest.mark.parametrize(
    "arguments",
    [(), ("small.profile.toml",), ("--bad", "x", "y"), ("small.profile.toml", "none.profile.toml"), ("a", "b")],
)
def test_what_cannot_be_compared_is_two(harden, arguments):
    done = harden("diff", *arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("harden: ")


def test_explain_names_run_program_call_and_count(harden):
    done = harden("explain", "small.profile.toml", "openat")
    assert done.status == 0
    assert done.out.splitlines()[0] == "syscall openat  [observed] a recorded run did it"
    assert done.out.splitlines()[1].split() == ["×12", "openat", "/usr/bin/app", "run", SMALL.id]


def test_explain_shows_from_where_in_the_program_it_was_first_done(harden):
    recording = Recording.of([with_stacks(SMALL, 1, 0, 2)])
    Path("small.recording.json").write_bytes(encode_json(recording))
    lines = harden("explain", "small.profile.toml", "openat").out.splitlines()
    assert lines[2:] == [
        "  first openat from",
        "    open+0x51 /usr/lib/libc.so.6",
        "    /usr/bin/app+0x2752",
    ]
    found = json.loads(harden("explain", "small.profile.toml", "--json", "openat").out)
    assert found["granted"][0]["behind"][0]["stack"] == list(STACKS.describe(0))
    shown = json.loads(harden("show", "small.recording.json", "--json").out)["runs"][0]
    assert shown["stacks"]["frames"][shown["stacks"]["stacks"][0]["frames"][0]]["symbol"] == "open"
    assert "stacks (3, missing: 3 limit): see harden explain" in harden("show", "small.recording.json").out


def test_explain_tells_when_it_was_first_done_and_by_which_process(harden):
    timed = with_firsts(SMALL, First(5, 2), First(1_234_567, 7), First(9_000, None))
    Path("small.recording.json").write_bytes(encode_json(Recording.of([timed])))
    assert harden("explain", "small.profile.toml", "openat").out.endswith("  first at 1.235 s, process 7\n")
    assert "  first at 0.009 s, an unknown process\n" in harden("explain", "small.profile.toml", "socket").out
    (behind,) = json.loads(harden("explain", "small.profile.toml", "--json", "openat").out)["granted"][0]["behind"]
    assert (behind["first_us"], behind["process"]) == (1_234_567, 7)


def test_explain_takes_a_rule_of_several_words(harden):
    done = harden("explain", "small.profile.toml", "--json", "bind", "tcp", "0.0.0.0:80")
    (granted,) = json.loads(done.out)["granted"]
    assert (granted["kind"], granted["origin"], granted["behind"][0]["count"]) == ("network", "observed", 1)


def test_explain_without_a_recording_says_so(harden):
    Path("small.recording.json").unlink()
    done = harden("explain", "small.profile.toml", "openat")
    assert (done.status, done.out) == (0, "syscall openat  [observed] a recorded run did it\n")
    assert "there is no small.recording.json" in done.err


@pytest.mark.parametrize(
    "typed", ["/srv/bad\udcff\n/\\/inner", r"/srv/bad\xff\x0a/\x5c/inner", "/srv/bad\\xff\n/\\/inner"]
)
def test_explain_finds_a_path_as_it_is_and_as_the_profile_writes_it(harden, typed):
    """A shell gives the bytes (sys.argv has a surrogate for what is not UTF-8); `show` and the profile have escapes."""
    run = recordings.run(files=(recordings.file(r"/srv/bad\xff\x0a/\x5c/inner", "read"),))
    Path("odd.profile.toml").write_bytes(render_profile(recordings.profile_of(run, name="odd")))
    Path("odd.recording.json").write_bytes(encode_json(Recording.of([run])))
    done = harden("explain", "odd.profile.toml", typed)
    assert (done.status, r"/srv/bad\xff\x0a/\x5c/inner" in done.out) == (0, True), done.err
    assert r"no rule '/srv/\xfe" in harden("explain", "odd.profile.toml", "/srv/\udcfe").err.replace("\\\\", "\\")


def test_explain_an_unknown_rule(harden):
    done = harden("explain", "small.profile.toml", "opennat")
    assert (done.status, done.out) == (125, "")
    assert done.err.splitlines()[1] == "hint: near: openat"


def test_merge(harden):
    done = harden("merge", "small.recording.json", "large.recording.json", "-o", "all.recording.json", "--json")
    assert json.loads(done.out) == {"recording": "all.recording.json", "files": 2, "runs": 2, "repeated": 0}
    again = harden("merge", "large.recording.json", "small.recording.json", "-o", "again.recording.json")
    assert again.err == "harden: wrote again.recording.json: 2 run(s) from 2 file(s)\n"
    assert Path("all.recording.json").read_bytes() == Path("again.recording.json").read_bytes()


def test_merge_refuses_to_lose_runs(harden):
    before = Path("large.recording.json").read_bytes()
    done = harden("merge", "small.recording.json", "-o", "large.recording.json")
    assert (done.status, Path("large.recording.json").read_bytes()) == (125, before)
    assert "merge it too" in done.err


def test_hostile_names_reach_no_terminal(harden):
    hostile = run(syscalls=(syscall("openat"),), files=recordings.file("/srv/\x1b]0;x\x07", "read"))
    Path("evil.profile.toml").write_bytes(render_profile(recordings.profile_of(hostile, name="evil")))
    for done in (
        harden("diff", "small.profile.toml", "evil.profile.toml"),
        harden("explain", "evil.profile.toml", "/srv/\x1b"),
    ):
        assert "\x1b" not in done.out + done.err


def test_merge_of_profiles_takes_the_local_file_in(harden):
    Path("small.local.toml").write_text('format = "harden-local/1"\n[add]\nsyscalls = ["getppid"]\n')
    done = harden("merge", "small.profile.toml", "large.profile.toml", "-o", "all.profile.toml", "--json")
    assert json.loads(done.out) == {"profile": "all.profile.toml", "files": 2, "runs": 2}
    rights = json.loads(harden("show", "all.profile.toml", "--json").out)["rights"]
    assert rights["syscalls"]["manual"] == ["getppid"]
    assert "ptrace" in rights["syscalls"]["observed"]
    assert harden("diff", "all.profile.toml", "large.profile.toml").status == 0
    harden("merge", "large.profile.toml", "small.profile.toml", "-o", "again.profile.toml")
    name = b'name = "again"'
    assert Path("again.profile.toml").read_bytes().replace(b"again", b"all") == Path("all.profile.toml").read_bytes()
    assert name in Path("again.profile.toml").read_bytes()


def test_merge_of_profiles_refuses_to_lose_rights_and_to_mix(harden):
    before = Path("large.profile.toml").read_bytes()
    done = harden("merge", "small.profile.toml", "-o", "large.profile.toml")
    assert done.status == 125
    assert "merge it too" in done.err
    assert Path("large.profile.toml").read_bytes() == before
    mixed = harden("merge", "small.profile.toml", "small.recording.json", "-o", "all.profile.toml")
    assert mixed.status == 125
    assert "cannot be merged with each other" in mixed.err
