"""`harden refine`: add what a rerun was refused, until nothing is."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

import click

from harden.cli import options, output
from harden.cli.verdict import STATUS, facts, show_verification
from harden.errors import UsageError
from harden.generate.proposal import Proposal
from harden.model.denial import Verification
from harden.model.severity import Severity
from harden.render.local_toml import render_rights

__all__ = ["command"]

_LEVELS: Final = tuple(level.value for level in Severity if level is not Severity.INFO)


@click.command("refine")
@click.option(
    "-p", "--profile", type=click.Path(path_type=Path), help="The profile.  [default: the one *.profile.toml here]"
)
@click.option(
    "--scenario",
    type=click.Path(path_type=Path),
    help="Run the command of this file, if it has one, and drive it.  [default: the one it was recorded with]",
)
@click.option("--yes", is_flag=True, help="Add without asking, up to --allow-risk.")
@click.option(
    "--allow-risk",
    type=click.Choice(_LEVELS),
    default=Severity.HIGH.value,
    show_default=True,
    help="With --yes: the most dangerous level that is added.",
)
@click.option("--rounds", type=click.IntRange(1, 100), default=10, show_default=True, help="Add at most so often.")
@click.option("--budget", type=float, metavar="S", help="Begin no further round after S seconds.")
@click.option("--timeout", type=float, metavar="S", help="End each run of the program after S seconds.")
@click.option(
    "--allow-degraded", multiple=True, metavar="CONTROL", help="Go on without this control if the host cannot give it."
)
@click.option("--trust", is_flag=True, help="Use files that somebody else owns or can write to.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    profile: Path | None,
    scenario: Path | None,
    yes: bool,
    allow_risk: str,
    rounds: int,
    budget: float | None,
    timeout: float | None,
    allow_degraded: tuple[str, ...],
    trust: bool,
    as_json: bool,
) -> int:
    """Verify, propose what would allow each denial, add it to NAME.local.toml under [refined], and repeat.

    What is there already stays byte for byte; a file that cannot be edited so is left alone, and the lines to add are
    printed. Every proposal is shown with its risk. Ends as `harden verify` does after the last round.

    \b
    Example:
      harden refine -p app.profile.toml
      harden refine -p app.profile.toml --yes --allow-risk medium
    """
    from harden.enforce import locate
    from harden.refine import refine
    from harden.verify import VerifyRequest

    if not yes and not sys.stdin.isatty():
        raise UsageError("there is nobody to ask: stdin is no terminal", hint="give --yes, and --allow-risk")
    most = Severity(allow_risk)

    def choose(_verification: Verification, proposals: tuple[Proposal, ...]) -> tuple[Proposal, ...]:
        for proposal in proposals:
            _show(proposal)
        if yes:
            return tuple(each for each in proposals if each.level.rank <= most.rank)
        return _ask(proposals)

    files = locate(profile)
    refinement = refine(
        VerifyRequest(
            files=files,
            scenario=scenario,
            caller_environment=os.environ,
            timeout_s=options.parse_timeout(timeout),
            allow_degraded=options.parse_controls(allow_degraded),
            trust=trust,
        ),
        rounds=rounds,
        budget_s=options.parse_timeout(budget),
        choose=choose,
        tell=output.note,
    )
    added = render_rights("refined", refinement.added)
    if as_json:
        output.json_out(_facts(refinement.verification, added, refinement.left))
    else:
        show_verification(refinement.verification)
        output.line(f"{len(added)} rules added to {files.local}" if added else f"nothing was added to {files.local}")
    return STATUS[refinement.verification.verdict]


def _facts(verification: Verification, added: tuple[str, ...], left: tuple[Proposal, ...]) -> dict[str, Any]:
    return {
        "format": "harden-refinement/1",
        "added": added,
        "left": [{"level": each.level, "rule": render_rights("refined", each.add)} for each in left],
        "verification": facts(verification),
    }


def _show(proposal: Proposal) -> None:
    """On stderr, as a diff; what is dangerous cannot be overlooked."""
    loud = proposal.level is Severity.CRITICAL
    output.note(f"{'DANGEROUS: ' if loud else ''}{proposal.level} risk, for {_reason(proposal)}")
    for path in proposal.guarded:
        output.note(f"  GUARDED: {path} belongs to others")
    for line in render_rights("refined", proposal.add):
        output.note(f"  + {line}")
    for change in proposal.changes:
        output.note(f"    {change.weight:2} {change.right}: {change.why}")


def _reason(proposal: Proposal) -> str:
    denial = proposal.denial
    return (
        f"{denial.call or denial.capability} in {denial.executable}, refused by {denial.control} with {denial.result}"
    )


def _ask(proposals: tuple[Proposal, ...]) -> tuple[Proposal, ...]:
    """One question for what is ordinary, and one for each dangerous rule."""
    ordinary = tuple(each for each in proposals if each.level is not Severity.CRITICAL)
    chosen = ordinary if ordinary and click.confirm(f"Add {len(ordinary)} proposal(s)?", err=True) else ()
    return chosen + tuple(
        each
        for each in proposals
        if each.level is Severity.CRITICAL
        and click.confirm(f"Add the DANGEROUS {'; '.join(render_rights('refined', each.add))}?", err=True)
    )
