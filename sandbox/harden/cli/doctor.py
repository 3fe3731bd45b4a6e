"""`harden doctor`: what this host can enforce and record, by trial, with the exact fix for what it cannot."""

from __future__ import annotations

import click

from harden.cli import output

__all__ = ["command"]


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(as_json: bool) -> int:
    """Try every feature that harden uses and say what works, what is lost where it does not, and how to fix it.

    Status 1 when something is missing that is required by default.

    \b
    Example:
      harden doctor
    """
    from harden.kernel.doctor import examine
    from harden.kernel.probe import probe
    from harden.launch.trial import try_sandboxes
    from harden.trace.probe import probe_recorder
    from harden.trace.recorder_feature import recorder_features

    features = probe()
    found_here = examine(features)
    notify = any(found.works for found in found_here if found.feature == "seccomp-notify")
    findings = (*found_here, *try_sandboxes(features), *recorder_features(probe_recorder(), notify=notify))
    if as_json:
        output.json_out(findings)
    else:
        output.table(
            [("works" if found.works else "missing", found.feature, found.detail) for found in findings],
            header=("", "feature", "detail"),
        )
        for found in findings:
            if not found.works:
                output.line()
                output.line(f"{found.feature}: {found.detail}")
                output.line(f"  lost: {found.lost}")
                output.line(f"  fix: {found.fix}")
    return int(any(found.required and not found.works for found in findings))
