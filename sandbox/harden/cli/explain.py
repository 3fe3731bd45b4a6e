"""`harden explain`: what is behind a rule."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from harden.cli import output
from harden.generate.explanation import Granted

__all__ = ["command"]

_LISTED: Final = 20


@click.command("explain")
@click.argument("profile", type=click.Path(path_type=Path))
@click.argument("rule", nargs=-1, required=True, metavar="RULE")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--trust", is_flag=True, help="Read files that somebody else owns or can write to.")
def command(profile: Path, rule: tuple[str, ...], as_json: bool, trust: bool) -> None:
    """Show the runs, programs and calls behind a rule, from the recording beside it; or why it is there anyhow.

    RULE is a call, a call with its arguments, a capability, a path or path pattern, a network rule, or the name of a
    limit.

    \b
    Example:
      harden explain app.profile.toml openat
      harden explain app.profile.toml ioctl TCGETS
      harden explain app.profile.toml /etc/passwd
      harden explain app.profile.toml connect tcp 127.0.0.1:5432
      harden explain app.profile.toml memory
    """
    from harden.enforce import load, locate
    from harden.generate.explanation import explain
    from harden.profile_source import shipped_baseline

    files = locate(profile)
    recording = files.load_recording()
    found = explain(" ".join(rule), load(files, trust=trust), recording, baseline=shipped_baseline())
    if as_json:
        output.json_out(found)
        return
    if recording is None:
        output.note(f"there is no {files.recording}: what was seen is not known")
    for granted in found.granted:
        _show(granted)


def _show(granted: Granted) -> None:
    right = f"{granted.rights} {granted.rule}" if granted.rights else granted.rule
    output.line(f"{granted.kind} {right}  [{granted.origin}] {granted.why}")
    if granted.seen:
        output.line(f"  made from {', '.join(granted.seen)}")
    output.table(
        [
            ("", f"×{each.count}", each.call, each.what, each.executable, f"run {each.run}")
            for each in granted.behind[:_LISTED]
        ]
    )
    if len(granted.behind) > _LISTED:
        output.line(f"  and {len(granted.behind) - _LISTED} more: --json has them all")
