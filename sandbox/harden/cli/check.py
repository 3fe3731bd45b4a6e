"""`harden check`: the gate for CI."""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from harden.cli import output
from harden.cli.judging import Judging

__all__ = ["command"]

_FORMATS = ("text", "json", "sarif", "junit", "github", "markdown")
_SEVERITIES = ("info", "low", "medium", "high", "critical")


@click.command("check", cls=Judging)
@click.argument("names", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option(
    "--policy",
    default="baseline",
    show_default=True,
    metavar="NAME|FILE",
    help="minimal, baseline, strict, or a TOML file.",
)
@click.option("--baseline", metavar="FILE|git:REV", help="Fail when a profile allows more than this one did.")
@click.option("--update-baseline", "update", is_flag=True, help="Write the baseline, unless something has grown.")
@click.option(
    "--fail-on",
    type=click.Choice(_SEVERITIES),
    default="medium",
    show_default=True,
    help="The least severity that ends with status 1.",
)
@click.option("--attacks", is_flag=True, help="Also show of how many known kernel attacks the entry is refused.")
@click.option("--format", "name", type=click.Choice(_FORMATS), default="text", show_default=True)
@click.option(
    "-o", "--output", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write the report here."
)
def command(
    names: tuple[Path, ...],
    policy: str,
    baseline: str | None,
    update: bool,
    fail_on: str,
    attacks: bool,
    name: str,
    target: Path | None,
) -> int:
    """Check profiles against a policy; without FILE, every *.profile.toml below the current folder.

    FILE may also be a folder of profiles, a seccomp JSON of OCI, Docker or Podman, a systemd unit, an AppArmor profile
    or a raw BPF filter.
    Ends with 0 when clean, 1 with findings at or above --fail-on, 2 when something cannot be judged.

    \b
    Example:
      harden check --policy strict --baseline git:origin/main --format github
    """
    from harden.check.output import OUTPUTS
    from harden.gate import judge, update_baselines
    from harden.kernel import atomic_file
    from harden.model.severity import Severity
    from harden.output_target import check_target
    from harden.unusable import unusable

    judgement = judge(
        names,
        policy=policy,
        baseline=baseline,
        update=update,
        fail_on=Severity(fail_on),
        today=datetime.date.today(),
        attacks=attacks,
    )
    report = judgement.report
    text = OUTPUTS[name](report)
    if target is None:
        output.bytes_out(text)
    else:
        with unusable():
            check_target(target, judgement.inputs)
            atomic_file.deliver(target, text)
    for path in update_baselines(judgement):
        output.note(f"wrote the baseline {path}")
    if update and judgement.grown:
        output.note("the baseline was left as it is: something has grown; waive the growth to accept it")
    return report.exit_status
