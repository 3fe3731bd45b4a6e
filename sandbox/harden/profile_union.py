"""The union of profiles on disk, each with its own NAME.local.toml merged in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harden import __version__
from harden.enforce import load
from harden.errors import UsageError
from harden.folder import ProfileFiles
from harden.model.diff import added_rights
from harden.model.profile import Profile
from harden.model.profile_merge import merge_profiles
from harden.render.profile_toml import render_profile

__all__ = ["merge_profile_files"]


def merge_profile_files(paths: Sequence[Path], target: Path, *, trust: bool) -> Profile:
    """Write the union of the profiles at `paths` to `target`.

    Raises UsageError when `target` grants something that none of them does: it would be lost. It is then as it was.
    """
    files = ProfileFiles.of_profile(target)
    merged = merge_profiles(
        [load(ProfileFiles.of_profile(path), trust=trust) for path in paths], name=files.name, version=__version__
    )
    if files.profile.exists():
        lost = list(added_rights(merged, files.load_profile(trust=trust)))
        if lost:
            raise UsageError(
                f"{target} grants {len(lost)} right(s) that would be lost: {lost[0].right}",
                hint=f"merge it too: harden merge {target} … -o {target}, or write to another file",
            )
    files.save_profile(render_profile(merged))
    return merged
