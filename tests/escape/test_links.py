"""Links that the program left behind give it no right; those that others made lead where they always led."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import pytest

from harden.errors import HardenError
from harden.model.isolation import Isolation
from harden.model.sandbox import Bind, FileRule, LandlockRules, SandboxSpec, View
from tests.escape.test_start_fails_closed import READ_ONLY
from tests.sandboxes import plan_of, run, shell

pytestmark = pytest.mark.requires("root", "overlay", "idmap", "userns", "seccomp", "landlock")

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, MAKE_DIR, MAKE_REG = 1, 2, 4, 8, 1 << 7, 1 << 8
CHANGES = WRITE_FILE | READ_FILE | READ_DIR | MAKE_DIR | MAKE_REG


def rules(*granted: tuple[Path, int]) -> LandlockRules:
    """What a shell needs, and that."""
    files = [FileRule(path=os.fsencode(path), access=access) for path, access in granted]
    system = [FileRule(path=path, access=EXECUTE | READ_FILE | READ_DIR) for path in (b"/usr", b"/bin", b"/lib")]
    return msgspec.structs.replace(READ_ONLY, files=(*system, *files))


def minimal(script: str, *granted: tuple[Path, int], writable: Path, **changes: object) -> SandboxSpec:
    spec = {"view": View.MINIMAL, "landlock": rules(*granted), "writable": (os.fsencode(writable),)} | changes
    return shell(script, **spec)


@pytest.fixture
def release(place: Path) -> Path:
    """current leads to r1, as the host's administrator made it."""
    (place / "r1/out").mkdir(parents=True)
    (place / "current").symlink_to("r1")
    return place


def test_what_is_granted_through_a_link_is_granted_where_it_leads(release: Path) -> None:
    script = f"cd {release}; mkdir current/made && echo made; mkdir r1/too && echo too; mkdir other || echo refused"
    spec = minimal(script, (release / "current", CHANGES), writable=release / "current")
    assert run(spec).text.split()[:2] == ["made", "too"]
    assert run(spec).text.split()[-1] == "refused"
    assert sorted(os.listdir(release)) == ["current", "r1"]


def test_the_link_itself_cannot_be_exchanged(release: Path) -> None:
    script = f"cd {release}; ln -sfn / current; rm -f current; mv current r1; ln -s / r1/own && echo twin"
    access = CHANGES | 1 << 5 | 1 << 12 | 1 << 13
    assert run(minimal(script, (release / "current", access), writable=release / "current")).text.endswith("twin\n")
    assert (release / "current").readlink() == Path("r1")


def test_a_link_left_behind_in_a_folder_that_a_link_names_gives_no_rights(release: Path) -> None:
    """The folder that may be written to is named by a link; the link that counts lies where that leads."""
    out = release / "current/out"
    script = f"ls {out} && echo twin; ls / && echo stolen"
    spec = minimal(script, (out, READ_FILE | READ_DIR), writable=release / "current")
    assert run(spec).text.split()[0] == "twin"
    (release / "r1/out").rmdir()
    (release / "r1/out").symlink_to("/")
    assert "stolen" not in run(spec).text.split()


def test_a_link_left_behind_in_what_is_also_shown_elsewhere_gives_no_rights(release: Path) -> None:
    """The program writes to the folder by another name than the one of the rule."""
    out = release / "r1/out"
    script = f"ls {out} && echo twin; ls / && echo stolen"
    bind = Bind(source=os.fsencode(release / "r1"), target=b"/opt/own", writable=True)
    granted = (out, READ_FILE | READ_DIR)
    spec = minimal(script, granted, writable=release / "none", visible=(os.fsencode(release),), binds=(bind,))
    assert run(spec).text.split()[0] == "twin"
    (release / "r1/out").rmdir()
    (release / "r1/out").symlink_to("/")
    assert "stolen" not in run(spec).text.split()


def test_a_link_to_a_folder_of_others_gives_no_right_to_change_that(release: Path) -> None:
    others = Path("/var/local")
    (release / "shared").symlink_to(others)
    name = f"harden-{os.getpid()}"

    def script(link: str) -> str:
        return f"mkdir {release}/{link}/{name} && echo made"

    def spec(link: str) -> SandboxSpec:
        bind = Bind(source=os.fsencode(release), target=b"/opt/own")
        return minimal(script(link), (release / link, CHANGES), writable=release / link, binds=(bind,))

    try:
        assert "made" not in run(spec("shared")).text.split()
        assert not (others / name).exists()
        assert any(f"{others}, which holds other programs' files" in note for note in plan_of(spec("shared")).notes)
        assert run(spec("current")).text == "made\n"
        named = Bind(source=os.fsencode(others), target=os.fsencode(others), writable=True)
        shown = msgspec.structs.replace(spec("shared"), binds=(named,))
        assert "made" not in run(shown).text.split(), "Landlock gave what the view alone does not refuse any more"
    finally:
        (others / name).rmdir() if (others / name).exists() else None


def test_the_program_learns_of_no_link_by_one_that_it_made(release: Path) -> None:
    """It leads through one of the host's to what is not there: that one is not made in the view."""
    (release / "hop").symlink_to("/secret")
    missing = os.fsencode(release / "r1/mine/missing")
    script = f"readlink {release}/hop || echo nothing"
    spec = minimal(script, (release, READ_DIR), writable=release / "r1", visible=(missing,))
    (release / "r1/mine").symlink_to(release / "hop")
    assert run(spec).text == "nothing\n"
    twin = (os.fsencode(release / "hop/missing"),)
    assert run(msgspec.structs.replace(spec, visible=twin)).text == "/secret\n"


def test_a_mount_point_does_not_follow_a_link_left_behind_in_a_folder_that_a_link_names(release: Path) -> None:
    (release / "data").mkdir()
    (release / "data/file").touch()
    (release / "r1/point").mkdir()
    point = release / "current/point"
    bind = Bind(source=os.fsencode(release / "data"), target=os.fsencode(point))
    spec = minimal(f"ls {point} /opt", (release, READ_DIR), writable=release / "current", binds=(bind,))
    assert "file" in run(spec).text.split()
    (release / "r1/point").rmdir()
    (release / "r1/point").symlink_to("/opt")
    with pytest.raises(HardenError, match="ELOOP"):
        run(spec)


def test_in_another_root_an_absolute_link_is_its_own(place: Path) -> None:
    """What the program may write to lies below the root file system, not where the link leads on the host."""
    (place / "var/data").mkdir(parents=True)
    (place / "secret").mkdir()
    (place / "v").symlink_to("/var")
    (place / "usr/bin").mkdir(parents=True)
    shutil.copy("/usr/bin/dash", place / "usr/bin")
    spec = shell("true", view=View.MINIMAL, isolation=Isolation(rootfs=os.fsencode(place)))
    spec = msgspec.structs.replace(spec, writable=(b"/v", b"/var/data"))
    plan_of(spec)
    (place / "var/data").rmdir()
    (place / "var/data").symlink_to("/secret")
    with pytest.raises(HardenError, match="var/data is a symbolic link"):
        plan_of(spec)
