"""`harden probe`: our static prober under the profile, in the program's place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harden.cli import options, output

if TYPE_CHECKING:
    from harden.probe import Action, ProbeReport

__all__ = ["command"]


@click.command("probe")
@click.option(
    "-p", "--profile", type=click.Path(path_type=Path), help="The profile.  [default: the one *.profile.toml here]"
)
@click.option(
    "--allow-degraded", multiple=True, metavar="CONTROL", help="Go on without this control if the host cannot give it."
)
@click.option("--trust", is_flag=True, help="Use a profile that somebody else owns or can write to.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(profile: Path | None, allow_degraded: tuple[str, ...], trust: bool, as_json: bool) -> None:
    """Show from the inside what a profile refuses, and by which control.

    A small program of ours takes the workload's place and tries what an attacker would; every action is harmless
    when it is allowed. `not-tried` means that the profile lets it start no child process to try it in. What is
    allowed is granted by the profile, and says by which rights; where it says `not granted`, no control held it.

    \b
    Example:
      harden probe -p nginx.profile.toml
    """
    from harden.enforce import load, locate
    from harden.probe import probe_profile

    files = locate(profile)
    report = probe_profile(
        load(files, trust=trust),
        folder=files.folder,
        environment=os.environ,
        allow_degraded=options.parse_controls(allow_degraded),
    )
    if as_json:
        output.json_out(report)
        return
    for text in report.notes:
        output.note(text)
    output.table(
        [(action.result, action.errno, _by(action), action.id, action.about) for action in report.actions],
        header=("result", "errno", "by", "action", "what it is for"),
    )
    output.line()
    output.line(f"{report.refused} of {len(report.attacks)} attacks refused under {report.profile}{_others(report)}")


def _by(action: Action) -> str:
    if action.result != "allowed" or action.id.startswith("twin-"):
        return action.by
    return f"granted: {', '.join(action.granted_by)}" if action.granted_by else "not granted"


def _others(report: ProbeReport) -> str:
    counts = (
        (report.granted, "granted by it"),
        (report.ungranted, "allowed and not granted"),
        (report.untried, "not tried"),
    )
    return "".join(f", {len(actions)} {what}" for actions, what in counts if actions)
