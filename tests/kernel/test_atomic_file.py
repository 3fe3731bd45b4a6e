"""Files that are replaced whole, and files that are read only from people who may write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harden.errors import DocumentError, KernelError
from harden.kernel import atomic_file


def test_replace_changes_everything_or_nothing(tmp_path: Path) -> None:
    target = tmp_path / "file"
    atomic_file.replace(target, b"first")
    atomic_file.replace(target, b"second")
    assert target.read_bytes() == b"second"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    target.unlink()
    target.mkdir()
    with pytest.raises(KernelError, match="rename"):
        atomic_file.replace(target, b"third")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_replace_into_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="ENOENT"):
        atomic_file.replace(tmp_path / "none" / "file", b"")


def test_replace_does_not_follow_a_planted_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    (tmp_path / f".file.{os.getpid()}.new").symlink_to(victim)
    with pytest.raises(KernelError, match="EEXIST"):
        atomic_file.replace(tmp_path / "file", b"data")
    assert victim.read_bytes() == b"untouched"


def test_replace_leaves_what_is_no_file(tmp_path: Path) -> None:
    target = tmp_path / "fifo"
    os.mkfifo(target)
    with pytest.raises(DocumentError, match="not a regular file"):
        atomic_file.replace(target, b"data")
    assert target.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["fifo"]


@pytest.mark.parametrize(("before", "after"), [(0o600, 0o600), (0o640, 0o640), (0o755, 0o755), (0o666, 0o644)])
def test_replace_keeps_the_mode_but_for_writing_by_others(tmp_path: Path, before: int, after: int) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    target.chmod(before)
    atomic_file.replace(target, b"new")
    assert target.stat().st_mode & 0o7777 == after


def test_what_is_private_stays_so(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"")
    target.chmod(0o644)
    atomic_file.replace(target, b"secret", mode=0o600)
    assert target.stat().st_mode & 0o7777 == 0o600


def test_deliver_writes_into_a_fifo_also_through_a_link(tmp_path: Path) -> None:
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for target in (fifo, link):
            atomic_file.deliver(target, b"data")
            assert os.read(reader, 99) == b"data"
    finally:
        os.close(reader)
    assert fifo.is_fifo()
    assert link.is_symlink()


def test_deliver_says_that_nobody_takes_it(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        with pytest.raises(KernelError, match=r"write.*EPIPE"):
            atomic_file.deliver(Path(f"/proc/self/fd/{writer}"), b"data")
    finally:
        os.close(writer)


def test_deliver_replaces_a_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old, and longer")
    atomic_file.deliver(target, b"new")
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize(("mode", "refused"), [(0o644, False), (0o600, False), (0o664, True), (0o646, True)])
def test_trust_by_mode(tmp_path: Path, mode: int, refused: bool) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"data")
    file.chmod(mode)
    if refused:
        with pytest.raises(DocumentError, match="written by others"):
            atomic_file.read_trusted(file)
    else:
        assert atomic_file.read_trusted(file) == b"data"
    assert atomic_file.read_trusted(file, trust=True) == b"data"


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(DocumentError, match="regular"):
        atomic_file.read(tmp_path / "fifo")
    with pytest.raises(DocumentError, match="regular"):
        atomic_file.read(tmp_path)
    with pytest.raises(KernelError, match="ENOENT"):
        atomic_file.read(tmp_path / "missing")


def test_links_and_exchangeable_folders_are_not_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"data")
    (folder / "link").symlink_to("file")
    with pytest.raises(DocumentError, match="symbolic link"):
        atomic_file.read_trusted(folder / "link")
    assert atomic_file.read_trusted(folder / "link", trust=True) == b"data"
    folder.chmod(0o777)
    with pytest.raises(DocumentError, match="exchange"):
        atomic_file.read_trusted(folder / "file")
    folder.chmod(0o1777)
    assert atomic_file.read_trusted(folder / "file") == b"data"


def test_a_file_that_does_not_say_how_large_it_is_is_refused_too() -> None:
    with pytest.raises(DocumentError, match="is larger than 268435456 bytes"):
        atomic_file.read(Path("/proc/self/pagemap"))


def test_what_a_descriptor_is_open_on_is_written_into(tmp_path: Path) -> None:
    """As /dev/stdout is: a link to /proc/self/fd/1, which a shell opened with > or >>."""
    file, link = tmp_path / "file", tmp_path / "stdout"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    try:
        (tmp_path / "descriptors").symlink_to("/proc/self/fd")
        link.symlink_to(f"descriptors/{descriptor}")
        atomic_file.deliver(link, b"one")
        atomic_file.deliver(Path(f"/proc/self/fd/{descriptor}"), b"two")
    finally:
        os.close(descriptor)
    assert file.read_bytes() == b"onetwo"
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["descriptors", "file", "stdout"]


def test_another_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"untouched")
    (tmp_path / "link").symlink_to("file")
    atomic_file.deliver(tmp_path / "link", b"data")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"untouched"
