"""`harden diff`: what one profile allows and another does not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from harden.cli import output
from harden.cli.judging import Judging
from harden.model.diff import RightChange, diff_profiles
from harden.model.profile import Profile
from harden.unusable import unusable

__all__ = ["command"]


@click.command("diff", cls=Judging)
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the difference as JSON.")
def command(old: Path, new: Path, as_json: bool) -> int:
    """Show the rights that NEW adds to OLD and that it removes, heaviest first, each with its weight and why.

    Each is a profile, taken with the NAME.local.toml beside it, or a recording, taken as the profile that is made of
    it. A weight goes from 1 (little) to 10 (the host is its). Ends with 0 when NEW allows the same or less, 1 when it
    allows more, 2 when one of the two cannot be read.

    \b
    Example:
      harden diff app.profile.toml app-next.profile.toml
      harden diff monday.recording.json tuesday.recording.json
    """
    with unusable():
        difference = diff_profiles(_read(old), _read(new))
    if as_json:
        output.json_out(
            {
                "format": "harden-diff/1",
                "old": str(old),
                "new": str(new),
                "added": difference.added,
                "removed": difference.removed,
            }
        )
    else:
        output.table([*_rows("+", difference.added), *_rows("-", difference.removed)])
        output.line(f"{len(difference.added)} rights added, {len(difference.removed)} removed")
    return int(difference.grown)


def _rows(sign: str, changes: Iterable[RightChange]) -> list[tuple[str, ...]]:
    return [(sign, f"{change.weight:2}", change.kind, change.right, change.why) for change in changes]


def _read(path: Path) -> Profile:
    from harden.baseline_source import local_of, merged_profile
    from harden.folder import PROFILE_SUFFIX, RECORDING_SUFFIX, load_recording
    from harden.input_file import read_input
    from harden.profile_source import profile_of

    if path.name.endswith(PROFILE_SUFFIX):
        local = local_of(path)
        return merged_profile(read_input(path), str(path), read_input(local) if local.exists() else None).merged
    return profile_of(load_recording(path), name=path.name.removesuffix(RECORDING_SUFFIX))
