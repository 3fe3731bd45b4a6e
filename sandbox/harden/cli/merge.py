"""`harden merge`: one recording from many."""

from __future__ import annotations

from pathlib import Path

import click

from harden.cli import output

__all__ = ["command"]


@click.command("merge")
@click.argument("recordings", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RECORDING...")
@click.option(
    "-o",
    "--output",
    "target",
    required=True,
    type=click.Path(path_type=Path),
    metavar="RECORDING",
    help="The recording to write. One that exists must be among the others, or hold nothing that they do not.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was merged as JSON.")
def command(recordings: tuple[Path, ...], target: Path, as_json: bool) -> None:
    """Merge recordings into one that holds every run once; the same runs give the same bytes, whatever their order.

    One recording is in memory at a time, so that thousands can be merged.

    \b
    Example:
      harden merge worker-*.recording.json -o app.recording.json
      harden generate app.recording.json -o app.profile.toml
    """
    from harden.recording_merge import merge_files

    merged = merge_files(recordings, target)
    if as_json:
        output.json_out(
            {"recording": str(target), "files": len(recordings), "runs": merged.runs, "repeated": merged.repeated}
        )
    else:
        repeated = f", {merged.repeated} of them more than once" if merged.repeated else ""
        output.note(f"wrote {target}: {merged.runs} run(s) from {len(recordings)} file(s){repeated}")
