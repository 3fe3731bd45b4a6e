"""The files of one profile, side by side: NAME.recording.json, NAME.profile.toml, the user's NAME.local.toml, and
NAME.verified.json, the result of its last rerun."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from harden.errors import DocumentError, KernelError, UsageError
from harden.kernel import atomic_file
from harden.model.denial import VERIFIED_FORMAT, Verified
from harden.model.document import encode_json, parse_json, parse_toml
from harden.model.profile import LOCAL_FORMAT, PROFILE_FORMAT, Local, Profile
from harden.model.recording import RECORDING_FORMAT, Recording
from harden.model.scenario import SCENARIO_FORMAT, Perturbation, Scenario

__all__ = [
    "LOCAL_SUFFIX",
    "PROFILE_SUFFIX",
    "RECORDING_SUFFIX",
    "VERIFIED_SUFFIX",
    "ProfileFiles",
    "load_recording",
    "load_scenario",
]

RECORDING_SUFFIX: Final = ".recording.json"
PROFILE_SUFFIX: Final = ".profile.toml"
LOCAL_SUFFIX: Final = ".local.toml"
VERIFIED_SUFFIX: Final = ".verified.json"
_LONGEST_NAME: Final = 200
"""Bytes: with a suffix, and what a temporary name has beside it, no longer than NAME_MAX of limits.h."""


class ProfileFiles(msgspec.Struct, frozen=True):
    """Where the files of the profile `name` are; any of them may not exist."""

    folder: Path
    name: str

    @classmethod
    def named(cls, folder: Path, name: str) -> ProfileFiles:
        """The files of `name` in `folder`; UsageError for a name that is no plain file name."""
        if not name or name.startswith(".") or any(char == "/" or not char.isprintable() for char in name):
            raise UsageError(f"profile name {name!r} is no plain file name", hint="give one with --name")
        if len(os.fsencode(name)) > _LONGEST_NAME:
            raise UsageError(
                f"profile name {name[:20]!r}… has more than {_LONGEST_NAME} bytes",
                hint="give a shorter one with --name",
            )
        return cls(folder, name)

    @classmethod
    def of_profile(cls, profile: Path) -> ProfileFiles:
        """The files that belong to a profile's path, whose name must end in .profile.toml."""
        if not profile.name.endswith(PROFILE_SUFFIX):
            raise UsageError(f"{profile}: a profile's name ends in {PROFILE_SUFFIX}")
        return cls.named(profile.parent, profile.name.removesuffix(PROFILE_SUFFIX))

    @classmethod
    def only_one_in(cls, folder: Path) -> ProfileFiles:
        """The files of the one profile in `folder`; UsageError when there is none or a choice."""
        found = sorted(path for path in folder.iterdir() if path.name.endswith(PROFILE_SUFFIX))
        if len(found) == 1:
            return cls.of_profile(found[0])
        if not found:
            raise UsageError(
                f"no *{PROFILE_SUFFIX} in {folder}", hint="make one with `harden trace -- CMD`, or name it with -p"
            )
        raise UsageError(
            f"{len(found)} profiles in {folder}: {', '.join(path.name for path in found[:5])}",
            hint="name one with -p",
        )

    @property
    def recording(self) -> Path:
        """NAME.recording.json."""
        return self.folder / f"{self.name}{RECORDING_SUFFIX}"

    @property
    def profile(self) -> Path:
        """NAME.profile.toml."""
        return self.folder / f"{self.name}{PROFILE_SUFFIX}"

    @property
    def local(self) -> Path:
        """NAME.local.toml."""
        return self.folder / f"{self.name}{LOCAL_SUFFIX}"

    @property
    def verified(self) -> Path:
        """NAME.verified.json."""
        return self.folder / f"{self.name}{VERIFIED_SUFFIX}"

    @property
    def all(self) -> tuple[Path, ...]:
        """Each of them, whether or not it is there."""
        return self.profile, self.local, self.recording, self.verified

    def load_profile(self, *, trust: bool = False) -> Profile:
        """The generated profile alone; DocumentError when it is not one or not to be trusted."""
        data = atomic_file.read_trusted(self.profile, trust=trust)
        return parse_toml(data, Profile, format=PROFILE_FORMAT, file=str(self.profile))

    def load_local(self, *, trust: bool = False) -> Local | None:
        """The user's additions; None when there is no such file."""
        if not self.local.exists():
            return None
        data = atomic_file.read_trusted(self.local, trust=trust)
        return parse_toml(data, Local, format=LOCAL_FORMAT, file=str(self.local))

    def load_recording(self) -> Recording | None:
        """The recording that a new run is added to; None when there is none, or an empty placeholder.

        DocumentError when somebody else could have written it: its runs become rights.
        """
        if not self.recording.exists() or self.recording.stat().st_size == 0:
            return None
        data = atomic_file.read_trusted(self.recording)
        return Recording.of(parse_json(data, Recording, format=RECORDING_FORMAT, file=str(self.recording)).runs)

    def save_recording(self, recording: Recording) -> None:
        """Replace NAME.recording.json, readable by its owner only: it holds arguments and paths of a run."""
        atomic_file.replace(self.recording, encode_json(recording), mode=0o600)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other harden that asks for this writes into the folder meanwhile: flock(2). KernelError names the call."""
        with ExitStack() as stack:
            try:
                descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError as error:
                call = f"flock({str(self.folder)!r}, LOCK_EX)"
                raise KernelError(call, error.errno or 0, hint="choose a folder that can be locked") from None
            yield

    def load_verified(self) -> Verified | None:
        """The last rerun's result; None when there is none, or an empty placeholder."""
        if not self.verified.exists() or self.verified.stat().st_size == 0:
            return None
        data = atomic_file.read(self.verified)
        return parse_json(data, Verified, format=VERIFIED_FORMAT, file=str(self.verified))

    def save_verified(self, verified: Verified) -> None:
        """Replace NAME.verified.json."""
        atomic_file.replace(self.verified, encode_json(verified))

    def save_profile(self, text: bytes) -> None:
        """Replace NAME.profile.toml with `text`, after reading `text` back as a profile."""
        parse_toml(text, Profile, format=PROFILE_FORMAT, file=str(self.profile))
        atomic_file.replace(self.profile, text)


def load_recording(path: Path) -> Recording:
    """The recording in the file at `path`."""
    if path.name.endswith((PROFILE_SUFFIX, LOCAL_SUFFIX)):
        raise DocumentError(str(path), "is a profile, not a recording", hint=f"recordings end in {RECORDING_SUFFIX}")
    recording = parse_json(atomic_file.read(path), Recording, format=RECORDING_FORMAT, file=str(path))
    if not recording.runs:
        raise DocumentError(str(path), "holds no run", where="$.runs")
    return Recording.of(recording.runs)


def load_scenario(path: Path) -> Scenario:
    """The scenario in the file at `path`."""
    try:
        return parse_toml(atomic_file.read(path), Scenario, format=SCENARIO_FORMAT, file=str(path))
    except DocumentError as error:
        if error.where and error.where.startswith("$.perturb["):
            error.hint = f"known are {', '.join(Perturbation)}"
        raise


def require_folder(path: Path) -> None:
    """Makes the folder `path` if it does not exist; UsageError when it is something else."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {path}: {error.strerror}") from None
