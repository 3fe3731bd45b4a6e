"""`harden verify`: the workload again under its profile, and what was refused in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from harden.cli import options, output
from harden.cli.verdict import STATUS, facts, show_verification
from harden.errors import UsageError

if TYPE_CHECKING:
    from harden.verify import Rerun

__all__ = ["command"]


@click.command("verify")
@click.option(
    "-p", "--profile", type=click.Path(path_type=Path), help="The profile.  [default: the one *.profile.toml here]"
)
@click.option(
    "--scenario",
    type=click.Path(path_type=Path),
    help="Run the command of this file, if it has one, and drive it.  [default: the one it was recorded with]",
)
@click.option("--timeout", type=float, metavar="S", help="End the program after S seconds; a finding.")
@click.option(
    "--minimize",
    type=click.Choice(("capabilities", "syscalls")),
    help="Find out by removing them which of these rights the workload does without.",
)
@click.option(
    "--budget", type=float, default=600, show_default=True, metavar="S", help="Stop minimizing after S seconds."
)
@click.option("--yes", is_flag=True, help="Write what --minimize found into NAME.local.toml under [remove].")
@click.option(
    "--allow-degraded", multiple=True, metavar="CONTROL", help="Go on without this control if the host cannot give it."
)
@click.option("--trust", is_flag=True, help="Use files that somebody else owns or can write to.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    profile: Path | None,
    scenario: Path | None,
    timeout: float | None,
    minimize: str | None,
    budget: float,
    yes: bool,
    allow_degraded: tuple[str, ...],
    trust: bool,
    as_json: bool,
) -> int:
    """Run the workload under its profile as `harden run` does, recorded, and list what was refused.

    Each denial says which control refused it, which program, call, arguments and path, and the rule that would allow
    it. What also failed when the program was recorded is no denial. The program runs for real: what its profile lets
    it write is written. Its output goes to stderr; NAME.verified.json keeps the result for `harden check`.

    Ends with 0 when nothing was refused and every control is in force, 1 when something was refused or the program
    failed, 3 when nothing was refused but a control is not wholly in force, 125 when nothing is proven.

    With --minimize the workload runs many times, each time without some rights; it passes when it ends as recorded,
    its scenario goes well and, where that is the same every time, it prints the same. Ends with 0.

    \b
    Example:
      harden verify -p nginx.profile.toml --scenario nginx.scenario.toml
      harden verify -p nginx.profile.toml --minimize capabilities --yes
    """
    from harden.enforce import locate
    from harden.verify import VerifyRequest, open_rerun, save_verified

    files = locate(profile)
    request = VerifyRequest(
        files=files,
        scenario=scenario,
        caller_environment=os.environ,
        timeout_s=options.parse_timeout(timeout),
        allow_degraded=options.parse_controls(allow_degraded),
        trust=trust,
    )
    rerun = open_rerun(request)
    if minimize:
        _minimize(rerun, minimize, budget=budget, yes=yes, as_json=as_json)
        return 0
    if yes:
        raise UsageError("--yes goes with --minimize", hint="harden refine adds what was refused")
    verification = rerun.verify(tell=output.note)
    save_verified(files, verification)
    if as_json:
        output.json_out(facts(verification))
    else:
        show_verification(verification)
    return STATUS[verification.verdict]


def _minimize(rerun: Rerun, kind: str, *, budget: float, yes: bool, as_json: bool) -> None:
    from harden.minimize import minimize, removal_of
    from harden.refine import add_to_local
    from harden.render.local_toml import render_rights

    files, trust = rerun.request.files, rerun.request.trust
    generated, local = files.load_profile(trust=trust), files.load_local(trust=trust)
    seconds = options.parse_timeout(budget)
    assert seconds is not None
    found = minimize(rerun, kind, generated, local, budget_s=seconds, tell=output.note)
    removal = removal_of(kind, found.removed)
    if as_json:
        output.json_out({"format": "harden-reduction/1", "kind": kind, **msgspec.to_builtins(found)})
    else:
        for line in render_rights("remove", removal):
            output.line(line)
        output.line(f"{len(found.removed)} of {len(found.removed) + len(found.kept)} {kind} not needed")
        if found.kept:
            output.line(f"needed: {', '.join(found.kept)}")
        if not found.complete:
            output.line(f"not finished after {budget:g} s: more may not be needed; --budget")
    if yes and found.removed and add_to_local(files, "remove", removal, trust=trust):
        output.note(f"wrote {files.local}")
