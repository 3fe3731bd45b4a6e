"""Users and groups by name: of the host, or of another root file system, whose links lead nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harden.errors import UsageError
from harden.launch.root_accounts import group_number, user_numbers


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/passwd").write_text(
        "# of the image\nbroken\nroot:x:0:0::/root:/bin/sh\napp:x:1234:2345:App:/srv:/bin/sh\napp:x:1:1::/:\n"
        "far:x:70000:0::/:\nodd:x:0x1:0::/:\n"
    )
    (folder / "etc/group").write_text("root:x:0:\nweb:x:77:app\nfar:x:99999999999999999999:\n")
    return folder


def user(name: str, root: Path) -> tuple[int, int]:
    return user_numbers(name, given=f"--user '{name}'", rootfs=os.fsencode(root))


def group(name: str, root: Path) -> int:
    return group_number(name, given=f"--groups '{name}'", rootfs=os.fsencode(root))


def test_the_root_says_who_is_who(root: Path) -> None:
    assert user("app", root) == (1234, 2345), "the first entry counts"
    assert user("root", root) == (0, 0)
    assert group("web", root) == 77


@pytest.mark.parametrize("name", ["daemon", "", "ap", "# of the image", "broken", "far", "odd"])
def test_whom_the_root_does_not_have_is_refused(root: Path, name: str) -> None:
    with pytest.raises(UsageError, match="--user"):
        user(name, root)


@pytest.mark.parametrize("name", ["daemon", "far"])
def test_a_group_that_the_root_does_not_have_is_refused(root: Path, name: str) -> None:
    with pytest.raises(UsageError, match="--groups"):
        group(name, root)


def test_links_stay_in_the_root(root: Path, tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("app:x:9:9::/:\n")
    (root / "usr").mkdir()
    (root / "usr/passwd").write_text("app:x:5:6::/:\n")
    for link, found in (("../../passwd", None), (f"{tmp_path}/passwd", None), ("/usr/passwd", (5, 6))):
        (root / "etc/passwd").unlink()
        (root / "etc/passwd").symlink_to(link)
        if found is None:
            with pytest.raises(UsageError, match="has no 'app'"):
                user("app", root)
        else:
            assert user("app", root) == found


def test_what_is_no_file_is_not_read(root: Path) -> None:
    (root / "etc/passwd").unlink()
    os.mkfifo(root / "etc/passwd")
    with pytest.raises(UsageError, match="not a file"):
        user("app", root)
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").mkdir()
    with pytest.raises(UsageError, match="not a file"):
        user("app", root)
    (root / "etc/passwd").rmdir()
    with open(root / "etc/passwd", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UsageError, match="not a file of at most"):
        user("app", root)


def test_without_a_root_the_host_is_asked() -> None:
    assert user_numbers("root", given="a test", rootfs=None) == (0, 0)
    assert group_number("root", given="a test", rootfs=None) == 0
    with pytest.raises(UsageError, match="a test"):
        user_numbers("no-such-user", given="a test", rootfs=None)
    with pytest.raises(UsageError, match="a test"):
        group_number("no-such-group", given="a test", rootfs=None)
