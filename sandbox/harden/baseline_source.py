"""What `--baseline` names: a profile, a folder of profiles, or a commit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from harden.check.location import TomlSource
from harden.errors import DocumentError, UnusableInput
from harden.folder import LOCAL_SUFFIX, PROFILE_SUFFIX
from harden.input_file import MAX_INPUT, check_rules, parse_placed, placed, read_input
from harden.kernel import atomic_file
from harden.model.local_merge import merge_local
from harden.model.profile import LOCAL_FORMAT, PROFILE_FORMAT, Local, Profile

if TYPE_CHECKING:
    from harden.git_history import Revision

__all__ = ["BaselineSource", "MergedProfile", "local_of", "merged_profile", "open_baseline"]

_GIT: Final = "git:"


class BaselineSource(Protocol):
    """Where baselines come from."""

    @property
    def name(self) -> str:
        """As the user gave it."""

    def find(self, path: Path, profile: Profile) -> Profile | None:
        """The baseline of `profile` in the file at `path`; None when there is none."""

    def covers(self, path: Path) -> bool:
        """Whether the file at `path` is one of the baselines itself."""

    def demand_place(self, profiles: Mapping[Path, Profile]) -> None:
        """UnusableInput when `update` could not take every one of `profiles`: asked before any is written."""

    def update(self, path: Path, profile: Profile) -> Path | None:
        """Write the merged `profile` as the new baseline; the file written, None when it is the same already."""


def open_baseline(name: str, *, may_be_new: bool) -> BaselineSource:
    """The source that `--baseline` names: git:REV, a folder, or the file of one profile.

    UnusableInput for one that does not exist, unless it `may_be_new` because it is going to be written.
    """
    if name.startswith(_GIT):
        from harden.git_history import Revision

        return _Commit(Revision(name.removeprefix(_GIT)))
    path = Path(name)
    if not path.exists() and not may_be_new:
        raise UnusableInput(f"{name}: there is no such baseline", hint="write the first one with --update-baseline")
    return _Folder(name) if path.is_dir() or name.endswith("/") else _File(name)


class MergedProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A profile with its local additions, and where both were read."""

    merged: Profile
    generated: Profile
    source: TomlSource
    local_source: TomlSource | None = None


def merged_profile(data: bytes, file: str, local: bytes | None) -> MergedProfile:
    """The profile in `data` with the additions in `local`; UnusableInput with the place of what is wrong."""
    profile, source = parse_placed(data, Profile, format=PROFILE_FORMAT, file=file)
    check_rules(profile, file)
    if local is None:
        return MergedProfile(merged=profile, generated=profile, source=source)
    local_file = file.removesuffix(PROFILE_SUFFIX) + LOCAL_SUFFIX
    additions, local_source = parse_placed(local, Local, format=LOCAL_FORMAT, file=local_file)
    try:
        merged = merge_local(profile, additions, file=local_file)
    except DocumentError as error:
        raise placed(error, local_source) from None
    check_rules(merged, local_file)
    return MergedProfile(merged=merged, generated=profile, source=source, local_source=local_source)


def local_of(path: Path) -> Path:
    """The NAME.local.toml beside a profile."""
    return path.with_name(path.name.removesuffix(PROFILE_SUFFIX) + LOCAL_SUFFIX)


class _Commit:
    def __init__(self, revision: Revision) -> None:
        self._revision = revision
        self.name = f"{_GIT}{revision.name}"

    def find(self, path: Path, profile: Profile) -> Profile | None:
        data = self._revision.read(path, limit=MAX_INPUT)
        if data is None:
            return next((each for each in self._deleted if each.workload.program == profile.workload.program), None)
        local = self._revision.read(local_of(path), limit=MAX_INPUT)
        return merged_profile(data, f"{self.name}:{path}", local).merged

    @cached_property
    def _deleted(self) -> tuple[Profile, ...]:
        """Profiles that are gone: renaming one must not be a way around the comparison."""
        found = []
        for name in self._revision.deleted(PROFILE_SUFFIX):
            data = self._revision.read_from_top(name, limit=MAX_INPUT)
            local_name = name.removesuffix(PROFILE_SUFFIX) + LOCAL_SUFFIX
            local = self._revision.read_from_top(local_name, limit=MAX_INPUT)
            if data is not None:
                found.append(merged_profile(data, f"{self.name}:{name}", local).merged)
        return tuple(found)

    def covers(self, path: Path) -> bool:
        return False

    def demand_place(self, profiles: Mapping[Path, Profile]) -> None:
        raise UnusableInput(f"--update-baseline: {self.name} is a commit", hint="commit the profile instead")

    def update(self, path: Path, profile: Profile) -> Path | None:
        self.demand_place({path: profile})
        return None


class _Folder:
    def __init__(self, name: str) -> None:
        self.name = name
        self._folder = Path(name)

    def _path(self, path: Path) -> Path:
        relative = path
        if path.is_absolute() or ".." in path.parts:
            raise UnusableInput(f"{path}: is not below the current folder, so {self.name} has no place for it")
        return self._folder / relative

    def find(self, path: Path, profile: Profile) -> Profile | None:
        found = _read_baseline(self._path(path))
        if found is not None:
            return found
        gone = (each for each in self._gone if each.workload.program == profile.workload.program)
        return next(gone, None)

    @cached_property
    def _gone(self) -> tuple[Profile, ...]:
        """Baselines of profiles that are gone; see `_Commit._deleted`."""
        files = sorted(self._folder.rglob(f"*{PROFILE_SUFFIX}"))
        found = (_read_baseline(file) for file in files if not file.relative_to(self._folder).exists())
        return tuple(each for each in found if each is not None)

    def covers(self, path: Path) -> bool:
        return path.absolute().is_relative_to(self._folder.absolute())

    def demand_place(self, profiles: Mapping[Path, Profile]) -> None:
        for path in profiles:
            _demand_another(self._path(path), path)

    def update(self, path: Path, profile: Profile) -> Path | None:
        target = self._path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        return _write_baseline(target, profile)


class _File:
    def __init__(self, name: str) -> None:
        self.name = name
        self._path = Path(name)

    def find(self, path: Path, profile: Profile) -> Profile | None:
        found = _read_baseline(self._path)
        if found is not None and found.name != profile.name:
            raise UnusableInput(
                f"{path}: is the profile of {profile.name!r}, and its baseline {self.name} that of {found.name!r}",
                hint="give the baseline of this profile, or a folder (NAME/) as the baseline of several",
            )
        return found

    def covers(self, path: Path) -> bool:
        return path.absolute() == self._path.absolute()

    def demand_place(self, profiles: Mapping[Path, Profile]) -> None:
        for path in profiles:
            _demand_another(self._path, path)
        found = _read_baseline(self._path)
        names = {profile.name for profile in profiles.values()}
        if len(profiles) > 1 or (found is not None and names - {found.name}):
            whose = found.name if found else "one profile"
            raise UnusableInput(
                f"--update-baseline: {self.name} is the baseline of {whose}, not of {', '.join(sorted(names))}",
                hint="give a folder (NAME/) as the baseline of several profiles",
            )

    def update(self, path: Path, profile: Profile) -> Path | None:
        return _write_baseline(self._path, profile)


def _demand_another(baseline: Path, path: Path) -> None:
    if baseline.exists() and baseline.samefile(path):
        raise UnusableInput(f"--update-baseline: {path} is its own baseline", hint="name another file, or a folder")


def _read_baseline(path: Path) -> Profile | None:
    if not path.exists():
        return None
    local = local_of(path) if path.name.endswith(PROFILE_SUFFIX) else None
    additions = read_input(local) if local is not None and local.exists() else None
    return merged_profile(read_input(path), str(path), additions).merged


def _write_baseline(path: Path, profile: Profile) -> Path | None:
    from harden.render.profile_toml import render_profile

    text = render_profile(profile)
    if path.exists() and read_input(path) == text:
        return None
    atomic_file.replace(path, text)
    return path
