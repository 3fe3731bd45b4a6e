"""Names that move between folders: what was traced works again, although every shown folder is a mount of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.jobs import environment, harden

pytestmark = pytest.mark.requires("root", "bpf", "landlock", "seccomp", "cgroup2", "overlay", "idmap")

RENAME = "import os; open('md/tmp/1', 'w').write('m'); os.rename('md/tmp/1', 'md/new/1'); os.unlink('md/new/1')"
LINK = "import os; os.link('md/tmp/in', 'md/new/out'); os.unlink('md/new/out')"
WITHIN = "import os; os.link('md/tmp/in', 'md/tmp/out'); os.unlink('md/tmp/out')"
DEEP = "import os; os.rename('md/tmp/in', 'md/new/box/in'); os.rename('md/new/box/in', 'md/tmp/in')"


def folders(at: Path) -> Path:
    for name in ("tmp/deep", "new/box", "other"):
        (at / "md" / name).mkdir(parents=True)
    (at / "md/tmp/in").write_text("content")
    (at / "md/other/kept").write_text("kept")
    return at


@pytest.mark.parametrize(
    "program", [RENAME, LINK, WITHIN, DEEP], ids=["rename", "link", "link-within", "there-and-back"]
)
def test_what_was_moved_is_moved_again(program: str, tmp_path: Path) -> None:
    folders(tmp_path)
    command = ("/usr/bin/python3", "-c", program)
    subprocess.run(command, cwd=tmp_path, env=environment(), check=True)
    harden("trace", "--name", "job", "--", *command, cwd=tmp_path)
    for _ in range(2):
        harden("run", cwd=tmp_path)


def test_maildir_of_a_shell(tmp_path: Path) -> None:
    folders(tmp_path)
    harden("trace", "--name", "job", "--", "sh", "-c", "echo m > md/tmp/1 && mv md/tmp/1 md/new/1", cwd=tmp_path)
    for _ in range(2):
        harden("run", cwd=tmp_path)
        assert (tmp_path / "md/new/1").read_text() == "m\n"
        assert not (tmp_path / "md/tmp/1").exists()
        (tmp_path / "md/new/1").unlink()


def test_what_lies_beside_the_folders_stays_out_of_reach(tmp_path: Path) -> None:
    """The mount that holds both folders shows their neighbours: Landlock still refuses them."""
    folders(tmp_path)
    program = tmp_path / "job.py"
    program.write_text(RENAME)
    harden("trace", "--name", "job", "--", "/usr/bin/python3", "job.py", cwd=tmp_path)
    harden("run", cwd=tmp_path)
    for attack in (
        "open('md/other/kept').read()",
        "open('md/other/new', 'w')",
        "import os; os.unlink('md/other/kept')",
        "import os; os.rename('md/other/kept', 'md/new/kept')",
    ):
        program.write_text(f"{attack}; {RENAME}")
        done = harden("run", cwd=tmp_path, check=False)
        assert done.returncode == 1, done.stderr
        assert "PermissionError" in done.stderr
        assert os.listdir(tmp_path / "md/other") == ["kept"]
    program.write_text(RENAME)
    harden("run", cwd=tmp_path)


def test_folders_that_only_a_folder_of_others_holds_are_said(tmp_path: Path) -> None:
    here, there = tmp_path / "here", Path("/var/lib/harden-test-refer")
    here.mkdir()
    there.mkdir()
    try:
        program = f"import os; open('a', 'w'); os.rename('a', '{there}/a'); os.unlink('{there}/a')"
        done = harden("trace", "--name", "job", "--", "/usr/bin/python3", "-c", program, cwd=here, check=False)
        if done.returncode == 0:
            run = harden("run", cwd=here, check=False)
            assert "Invalid cross-device link" in run.stderr
            assert f"refer between {here} and {there}: refused" in run.stderr
        else:
            assert "Invalid cross-device link" in done.stderr
    finally:
        shutil.rmtree(there)
