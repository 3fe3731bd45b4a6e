"""`harden merge`: one recording from many, or one profile."""

from __future__ import annotations

from pathlib import Path

import click

from harden.cli import output
from harden.errors import UsageError
from harden.folder import PROFILE_SUFFIX

__all__ = ["command"]


@click.command("merge")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "-o",
    "--output",
    "target",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file to write. One that exists must be among the others, or hold nothing that they do not.",
)
@click.option("--trust", is_flag=True, help="Read profiles that somebody else owns or can write to.")
@click.option("--json", "as_json", is_flag=True, help="Print what was merged as JSON.")
def command(files: tuple[Path, ...], target: Path, trust: bool, as_json: bool) -> None:
    """Merge recordings into one that holds every run once, or profiles of one program into their union.

    The same files give the same bytes, whatever their order. One recording is in memory at a time, so that thousands
    can be merged. A profile is taken with what NAME.local.toml beside it says, and every right keeps its origin; where
    the recordings are at hand, merge those and generate.

    \b
    Example:
      harden merge worker-*.recording.json -o app.recording.json
      harden generate app.recording.json -o app.profile.toml
      harden merge eu/app.profile.toml us/app.profile.toml -o app.profile.toml
    """
    kinds = {path.name.endswith(PROFILE_SUFFIX) for path in (*files, target)}
    if len(kinds) > 1:
        raise UsageError(f"recordings and profiles (*{PROFILE_SUFFIX}) cannot be merged with each other")
    if kinds.pop():
        _merge_profiles(files, target, trust=trust, as_json=as_json)
    else:
        _merge_recordings(files, target, as_json=as_json)


def _merge_profiles(files: tuple[Path, ...], target: Path, *, trust: bool, as_json: bool) -> None:
    from harden.profile_union import merge_profile_files

    merged = merge_profile_files(files, target, trust=trust)
    if as_json:
        output.json_out({"profile": str(target), "files": len(files), "runs": len(merged.generated.runs)})
    else:
        output.note(f"wrote {target}: {len(merged.generated.runs)} run(s) from {len(files)} file(s)")


def _merge_recordings(files: tuple[Path, ...], target: Path, *, as_json: bool) -> None:
    from harden.recording_merge import merge_files

    merged = merge_files(files, target)
    if as_json:
        output.json_out(
            {"recording": str(target), "files": len(files), "runs": merged.runs, "repeated": merged.repeated}
        )
    else:
        repeated = f", {merged.repeated} of them more than once" if merged.repeated else ""
        output.note(f"wrote {target}: {merged.runs} run(s) from {len(files)} file(s){repeated}")
