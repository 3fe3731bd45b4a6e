"""`harden explain`: what is behind a rule."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from harden.cli import output
from harden.generate.explanation import Granted
from harden.generate.rule_evidence import Behind

__all__ = ["command"]

_LISTED: Final = 20
_STACKS: Final = 3


@click.command("explain")
@click.argument("profile", type=click.Path(path_type=Path))
@click.argument("rule", nargs=-1, required=True, metavar="RULE")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--trust", is_flag=True, help="Read files that somebody else owns or can write to.")
def command(profile: Path, rule: tuple[str, ...], as_json: bool, trust: bool) -> None:
    """Show the runs, programs, calls, first times and stacks behind a rule, from the recording beside it; or why it is
    there anyhow.

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
    from harden.model.path_text import typed_text
    from harden.profile_source import shipped_baseline

    files = locate(profile)
    recording = files.load_recording()
    found = explain(typed_text(" ".join(rule)), load(files, trust=trust), recording, baseline=shipped_baseline())
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
            ("", f"×{each.count}", each.call, each.what, each.executable, f"run {each.run}", _first(each))
            for each in granted.behind[:_LISTED]
        ]
    )
    _show_stacks(granted.behind)
    if len(granted.behind) > _LISTED:
        output.line(f"  and {len(granted.behind) - _LISTED} more: --json has them all")


def _first(behind: Behind) -> str:
    """When it was first done, and by which process; nothing where that was not recorded."""
    if behind.first_us is None:
        return ""
    process = "an unknown process" if behind.process is None else f"process {behind.process}"
    return f"first at {behind.first_us / 1e6:.3f} s, {process}"


def _show_stacks(behind: Sequence[Behind]) -> None:
    """Each stack once, with what was first done from it."""
    done: dict[tuple[str, ...], list[str]] = {}
    for each in behind:
        if each.stack:
            done.setdefault(each.stack, []).append(" ".join(part for part in (each.call, each.what) if part))
    for stack, what in list(done.items())[:_STACKS]:
        output.line(f"  first {', '.join(dict.fromkeys(what[:_STACKS]))} from")
        output.line_by_line("\n".join(f"    {frame}" for frame in stack))
    if len(done) > _STACKS:
        output.line(f"  and from {len(done) - _STACKS} more places: --json has them all")
