"""`harden generate`: make a profile from recordings."""

from __future__ import annotations

from pathlib import Path

import click

from harden.cli import output
from harden.folder import ProfileFiles, load_recording
from harden.model.recording import Completeness, merge

__all__ = ["command"]


@click.command("generate")
@click.argument("recordings", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RECORDING...")
@click.option(
    "-o",
    "--output",
    "target",
    required=True,
    type=click.Path(path_type=Path),
    metavar="PROFILE",
    help="The profile to write; its name ends in .profile.toml.",
)
@click.option(
    "--families",
    is_flag=True,
    help="Also grant what another C library may call instead, such as openat2 for openat.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the profile as JSON too.")
def command(recordings: tuple[Path, ...], target: Path, families: bool, as_json: bool) -> None:
    """Make one profile from any number of recordings; their order does not matter.

    With --families the profile is wider, and says which calls nobody saw: their origin is `family`. A later `harden
    trace` of the same name writes the profile without them.

    \b
    Example:
      harden generate monday.recording.json tuesday.recording.json -o app.profile.toml
      harden generate app.recording.json --families -o portable.profile.toml
    """
    from harden.profile_source import generate_from, profile_of

    files = ProfileFiles.of_profile(target)
    recording = merge(load_recording(path) for path in recordings)
    files.save_profile(generate_from(recording, name=files.name, families=families))
    if recording.completeness is not Completeness.COMPLETE:
        output.note(f"the recording is {recording.completeness}: `harden show` says why")
    if as_json:
        output.json_out(profile_of(recording, name=files.name, families=families))
    else:
        output.note(f"wrote {files.profile} from {len(recording.runs)} run(s)")
