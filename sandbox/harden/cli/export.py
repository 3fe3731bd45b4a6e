"""`harden export`: write a profile in somebody else's format."""

from __future__ import annotations

from pathlib import Path

import click

from harden.cli import output
from harden.errors import UsageError
from harden.kernel import atomic_file

__all__ = ["command"]


@click.command("export")
@click.argument("profile", type=click.Path(path_type=Path))
@click.option(
    "--format", "name", required=True, metavar="FORMAT", help="seccomp, bpf, apparmor, capabilities or landlock."
)
@click.option(
    "-o", "--output", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write here.  [default: stdout]"
)
@click.option("--trust", is_flag=True, help="Read a profile that somebody else owns or can write to.")
def command(profile: Path, name: str, target: Path | None, trust: bool) -> None:
    """Write a profile as seccomp (OCI runtime-spec), raw BPF, AppArmor, capability sets or Landlock.

    What the format cannot express is said on stderr.

    \b
    Example:
      harden export nginx.profile.toml --format seccomp -o nginx.seccomp.json
      docker run --security-opt seccomp=nginx.seccomp.json …
    """
    from harden.enforce import load, locate
    from harden.render.formats import FORMATS

    if name not in FORMATS:
        raise UsageError(f"unknown format {name!r}", hint=f"one of {', '.join(FORMATS)}")
    rendered = FORMATS[name].render(load(locate(profile), trust=trust))
    for warning in rendered.warnings:
        output.note(f"{name}: {warning}")
    if target:
        atomic_file.replace(target, rendered.content)
    else:
        output.bytes_out(rendered.content)
