"""`harden show`: a recording or a profile, readable."""

from __future__ import annotations

from pathlib import Path

import click

from harden.cli import output
from harden.cli.show_profile import show_profile
from harden.cli.show_recording import show_recording
from harden.errors import UsageError
from harden.folder import PROFILE_SUFFIX, ProfileFiles, load_recording

__all__ = ["command"]


@click.command("show")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the whole value as JSON.")
@click.option("--trust", is_flag=True, help="Read a profile that somebody else owns or can write to.")
def command(file: Path, as_json: bool, trust: bool) -> None:
    """Print a recording or a profile.

    \b
    Example:
      harden show nginx.profile.toml
      harden show nginx.recording.json --json | jq '.runs[0].syscalls[].name'
    """
    if file.name.endswith(PROFILE_SUFFIX):
        profile = ProfileFiles.of_profile(file).load_profile(trust=trust)
        output.json_out(profile) if as_json else show_profile(profile)
    elif file.suffix == ".json":
        recording = load_recording(file)
        output.json_out(recording) if as_json else show_recording(recording)
    else:
        raise UsageError(f"{file}: neither NAME{PROFILE_SUFFIX} nor a recording's NAME.json")
