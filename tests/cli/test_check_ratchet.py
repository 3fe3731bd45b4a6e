"""The ratchet, on sample repositories: growth is caught, waived, expired; and the recipes of the README, run."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from harden.folder import ProfileFiles
from tests.check.cases import calls, profile
from tests.cli.gate import Gate
from tests.conftest import ROOT

POLICY = 'format = "harden-policy/1"\ndescription = "x"\nextends = "minimal"\n'
README = (ROOT / "README.md").read_text()

pytestmark = pytest.mark.requires("git")


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Gate:
    """A repository with one committed profile, checked out in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    made = Gate(tmp_path, capfd)
    made.write("srv/app.profile.toml", calls("read", "write", "getppid"))
    made.git("init", "-q")
    made.commit("first")
    return made


def waiver(until: str) -> str:
    about = 'check = "growth"\nprofile = "app"\nsubject = "getsid"\nreason = "new session code"'
    return f"{POLICY}[[waiver]]\n{about}\nuntil = {until}\n"


def test_growth_is_caught_waived_and_expires(gate):
    assert gate.check("--baseline", "git:HEAD").status == 0
    gate.write("srv/app.profile.toml", calls("read", "write", "getppid", "getsid"))
    caught = gate.check("--baseline", "git:HEAD")
    assert caught.status == 1
    assert "getsid is new since git:HEAD (risk 1 of 10" in caught.out
    assert re.search(r"^srv/app\.profile\.toml:\d+:\d+: high: .*\[growth\]$", caught.out, re.MULTILINE)

    gate.write("p.toml", waiver("2999-12-31"))
    waived = gate.check("--baseline", "git:HEAD", "--policy", "p.toml")
    assert waived.status == 0
    assert "new session code" in waived.out

    gate.write("p.toml", waiver("2020-12-31"))
    expired = gate.check("--baseline", "git:HEAD", "--policy", "p.toml")
    assert expired.status == 1
    assert "[growth]" in expired.out
    assert "p.toml:4:1: medium: the waiver of growth was good until 2020-12-31" in expired.out

    gate.commit("agreed")
    gate.write("p.toml", waiver("2999-12-31"))
    assert "[unused-waiver]" in gate.check("--baseline", "git:HEAD", "--policy", "p.toml").out
    assert gate.check("--baseline", "git:HEAD~1").status == 1


def test_growth_in_the_local_file_is_growth(gate):
    gate.write("srv/app.local.toml", 'format = "harden-local/1"\n[add]\nsyscalls = ["getsid"]\n')
    assert "getsid is new" in gate.check("--baseline", "git:HEAD").out
    gate.commit()
    assert gate.check("--baseline", "git:HEAD").status == 0


def test_heaviest_growth_is_told_with_its_weight(gate):
    gate.write("srv/app.profile.toml", calls("read", "write", "getppid", "getsid", "init_module"))
    out = gate.check("--baseline", "git:HEAD", "--policy", "minimal").out
    assert "init_module is new since git:HEAD (risk 10 of 10: loads code into the kernel)" in out


def test_shrinking_is_an_improvement(gate):
    gate.write("srv/app.profile.toml", calls("read"))
    done = gate.check("--baseline", "git:HEAD")
    assert done.status == 0
    assert "no longer grants getppid" in done.out


def test_renaming_is_no_way_around(gate):
    gate.git("mv", "srv/app.profile.toml", "other.profile.toml")
    gate.write("other.profile.toml", profile(name="other", rights={"syscalls": {"observed": ["read", "getsid"]}}))
    assert "getsid is new" in gate.check("--baseline", "git:HEAD").out


def test_what_git_says_inside_a_hook_does_not_change_the_answer(gate, monkeypatch):
    """A hook of a linked worktree runs with GIT_DIR set, and git would take the folder for the top then."""
    gate.write("srv/app.profile.toml", calls("read", "write", "getppid", "getsid"))
    monkeypatch.setenv("GIT_DIR", str(gate.folder / ".git"))
    monkeypatch.setenv("GIT_PREFIX", "")
    assert "[growth]" in gate.check("--baseline", "git:HEAD").out


def test_link_left_behind_is_no_way_around(gate):
    gate.git("mv", "srv", "moved")
    (gate.folder / "srv").symlink_to("moved")
    gate.write("moved/app.profile.toml", calls("read", "write", "getppid", "getsid"))
    assert "[growth]" in gate.check("--baseline", "git:HEAD", "moved/app.profile.toml").out


def test_baseline_file_of_another_name_is_refused(gate):
    gate.write("old.profile.toml", msgspec.structs.replace(calls("read"), name="other"))
    assert "'other'" in gate.unusable("--baseline", "old.profile.toml", "srv/app.profile.toml")


def test_other_arguments_of_the_workload_are_growth(gate):
    old = calls("read", "write", "getppid")
    workload = msgspec.structs.replace(old.workload, argv=(*old.workload.argv, "--serve-everything"))
    gate.write("srv/app.profile.toml", msgspec.structs.replace(old, workload=workload))
    assert "--serve-everything" in gate.check("--baseline", "git:HEAD").out


def test_new_profile_is_reported(gate):
    gate.write("new.profile.toml", profile(name="new", workload={"program": "/usr/bin/new"}))
    done = gate.check("--baseline", "git:HEAD")
    assert "new.profile.toml:1:1: low: git:HEAD does not have it" in done.out
    assert gate.check("--baseline", "git:HEAD", "--policy", "strict").status == 1


def test_profile_of_a_commit_that_cannot_be_read(gate):
    gate.write("srv/app.profile.toml", "format = 1\n")
    gate.commit()
    gate.write("srv/app.profile.toml", calls("read"))
    assert gate.unusable("--baseline", "git:HEAD").startswith("git:HEAD:srv/app.profile.toml:1:1: $.format")
    (gate.folder / "srv/app.profile.toml").unlink()
    (gate.folder / "srv/app.profile.toml").symlink_to("/etc/passwd")
    gate.commit()
    (gate.folder / "srv/app.profile.toml").unlink()
    gate.write("srv/app.profile.toml", calls("read"))
    assert "is not a regular file" in gate.unusable("--baseline", "git:HEAD")


def test_no_such_commit(gate):
    assert "git:nope" in gate.unusable("--baseline", "git:nope")
    assert "is a commit" in gate.unusable("--baseline", "git:HEAD", "--update-baseline")


def test_baseline_file_follows_what_got_smaller_only(gate):
    name = "app.profile.toml"
    first = gate.check("--baseline", "base.toml", "--update-baseline")
    assert (first.status, (gate.folder / "base.toml").exists()) == (0, True)
    files = ProfileFiles.named(gate.folder / "srv", "app")
    before = (gate.folder / "base.toml").read_bytes()

    gate.write(f"srv/{name}", calls("read", "write", "getppid", "getsid"))
    grown = gate.check("--baseline", "base.toml", "--update-baseline")
    assert grown.status == 1
    assert "was left as it is" in grown.err
    assert (gate.folder / "base.toml").read_bytes() == before

    gate.write(f"srv/{name}", calls("read"))
    smaller = gate.check("--baseline", "base.toml", "--update-baseline")
    assert (smaller.status, "wrote the baseline base.toml" in smaller.err) == (0, True)
    assert files.load_profile().rights.all_syscalls() == {"read"}
    gate.write(f"srv/{name}", calls("read", "write"))
    assert gate.check("--baseline", "base.toml").status == 1


def test_baseline_of_one_is_not_written_for_many(gate):
    gate.write("b.profile.toml", profile(name="b"))
    assert "baseline of one profile, not of app, b" in gate.unusable("--baseline", "base.toml", "--update-baseline")


def test_growth_is_not_written_even_where_the_check_is_off(gate):
    gate.check("--baseline", "base.toml", "--update-baseline")
    before = (gate.folder / "base.toml").read_bytes()
    gate.write("srv/app.profile.toml", calls("read", "write", "getppid", "getsid"))
    gate.write("p.toml", POLICY + '[checks]\ngrowth = "off"\n')
    done = gate.check("--baseline", "base.toml", "--update-baseline", "--policy", "p.toml")
    assert (done.status, "was left as it is" in done.err) == (0, True)
    assert (gate.folder / "base.toml").read_bytes() == before
    gate.write("p.toml", waiver("2999-12-31"))
    done = gate.check("--baseline", "base.toml", "--update-baseline", "--policy", "p.toml")
    assert (done.status, "wrote the baseline" in done.err) == (0, True)


def test_folder_holds_the_baselines_of_many(gate):
    gate.write("b.profile.toml", profile(name="b", workload={"program": "/usr/bin/b"}))
    assert gate.check("--baseline", "base/", "--update-baseline").status == 0
    assert sorted(str(path.relative_to(gate.folder)) for path in (gate.folder / "base").rglob("*.toml")) == [
        "base/b.profile.toml",
        "base/srv/app.profile.toml",
    ]
    gate.write("b.profile.toml", profile(name="b", rights={"syscalls": {"observed": ["getsid"]}}))
    done = gate.check("--baseline", "base/")
    assert done.status == 1
    assert "2 profiles" in done.out


def test_age_is_that_of_the_last_commit(gate):
    gate.write("p.toml", POLICY + "[demand]\nmax_age_days = 30\n")
    old = {"GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z"}
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", *identity, "commit", "-q", "--amend", "-m", "old", "--date", "2020-01-01T00:00:00Z"]
    subprocess.run(command, cwd=gate.folder, check=True, env={**os.environ, **old})
    found = gate.check("--policy", "p.toml", "--fail-on", "low")
    assert found.status == 1
    assert "on 2020-01-01; the policy allows 30 days" in found.out
    gate.write("srv/app.profile.toml", calls("read"))
    assert gate.check("--policy", "p.toml", "--fail-on", "low").status == 0


def test_age_in_a_shallow_clone_is_unknown_not_young(gate, tmp_path_factory, monkeypatch):
    gate.write("srv/app.profile.toml", calls("read"))
    gate.commit()
    clone = tmp_path_factory.mktemp("clone")
    gate.git("clone", "-q", "--depth", "1", f"file://{gate.folder}", str(clone))
    monkeypatch.chdir(clone)
    (clone / "p.toml").write_text(POLICY + "[demand]\nmax_age_days = 30\n")
    done = gate.check("--policy", "p.toml", "--fail-on", "low")
    assert done.status == 1
    assert "its age is not known: the clone is shallow" in done.out


def recipe(marker: str) -> str:
    blocks: list[str] = re.findall(r"```\w+\n(.*?)```", README, re.DOTALL)
    (block,) = [text for text in blocks if marker in text]
    return block


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}", **more}


def run(gate: Gate, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    identity = {
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@e",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@e",
    }
    return subprocess.run(
        command, cwd=gate.folder, env=environment(**identity, **more), capture_output=True, text=True, check=False
    )


def test_recipe_of_the_hook(gate):
    hook = gate.write(".git/hooks/pre-commit", recipe(".git/hooks/pre-commit"))
    hook.chmod(0o755)
    gate.write("README", "nothing about profiles\n")
    gate.git("add", "-A")
    assert run(gate, "git", "commit", "-q", "-m", "other").returncode == 0
    gate.write("srv/app.profile.toml", calls("read", "ptrace"))
    gate.git("add", "-A")
    refused = run(gate, "git", "commit", "-q", "-m", "grown")
    assert refused.returncode == 1
    assert "ptrace is new since git:HEAD" in refused.stdout + refused.stderr
    gate.write("srv/app.profile.toml", calls("read"))
    gate.git("add", "-A")
    assert run(gate, "git", "commit", "-q", "-m", "smaller").returncode == 0


@pytest.mark.parametrize(("names", "status"), [(("read",), 0), (("read", "ptrace"), 2)])
def test_recipe_of_the_makefile(gate, names, status):
    gate.git("update-ref", "refs/remotes/origin/main", "HEAD")
    gate.write("Makefile", recipe("check-profiles:"))
    gate.write("srv/app.profile.toml", calls(*names))
    assert run(gate, "make", "check-profiles").returncode == status


@pytest.mark.parametrize(("names", "status"), [(("read",), 0), (("read", "ptrace"), 1)])
def test_lines_of_the_pipelines(gate, names, status):
    gate.git("update-ref", "refs/remotes/origin/main", "HEAD")
    base = gate.git("rev-parse", "HEAD").strip()
    gate.write("srv/app.profile.toml", calls(*names))
    (github,) = re.findall(r"^ +- run: (harden check .*)$", recipe("harden.yml"), re.MULTILINE)
    (gitlab,) = re.findall(r"^ +- (harden check .*)$", recipe(".gitlab-ci.yml"), re.MULTILINE)
    done = run(gate, "sh", "-ec", github, GITHUB_BASE_REF="main")
    assert done.returncode == status
    assert len(re.findall(r"^::error file=srv/app\.profile\.toml,.*line=\d+", done.stdout, re.MULTILINE)) == 2 * status
    done = run(gate, "sh", "-ec", gitlab, CI_MERGE_REQUEST_DIFF_BASE_SHA=base)
    assert done.returncode == status
    assert "<testsuite" in (gate.folder / "profiles.xml").read_text()
