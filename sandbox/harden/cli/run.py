"""`harden run`: run a program under its profile, enforced by the kernel."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from harden.cli import options, output
from harden.cli.isolation_options import isolation_options
from harden.model.isolation import Isolation
from harden.model.sandbox import NetworkMode, UserNamespaceMode, View

__all__ = ["command"]


@click.command("run")
@click.option(
    "-p", "--profile", type=click.Path(path_type=Path), help="The profile.  [default: the one *.profile.toml here]"
)
@click.option("--plan", "show_plan", is_flag=True, help="Print the steps that build the sandbox, and do nothing.")
@click.option(
    "--enforced-json",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what is in force, as read back from the kernel.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write how it ended and what it took: status, times, peaks, OOM kills.",
)
@click.option(
    "--net",
    "network",
    type=click.Choice([mode.value for mode in NetworkMode]),
    help="none: loopback only. host: the host's network.  [default: as traced]",
)
@click.option(
    "--userns",
    type=click.Choice([mode.value for mode in UserNamespaceMode]),
    help="identity and host are no boundary.  [default: as traced]",
)
@click.option(
    "--view",
    type=click.Choice([mode.value for mode in View]),
    help="minimal: what the profile names. host: the host's files, copy on write.  [default: minimal]",
)
@click.option(
    "--bind",
    "binds",
    multiple=True,
    metavar="SRC[:DST][:rw]",
    help="Show a host path too, with its sockets; read-only unless :rw.",
)
@click.option("--cwd", type=click.Path(), help="Working folder inside.  [default: as traced]")
@click.option("--user", metavar="UID[:GID]", help="Run as this user inside.  [default: as traced]")
@click.option("--env", "environment", multiple=True, metavar="K[=V]", help="Set a variable for the program.")
@click.option(
    "--die-with-parent/--no-die-with-parent",
    default=True,
    show_default=True,
    help="End the program when the process that started harden ends.",
)
@isolation_options
@click.option("--timeout", type=float, metavar="S", help="End it after S seconds (status 124).")
@click.option(
    "--allow-degraded", multiple=True, metavar="CONTROL", help="Go on without this control if the host cannot give it."
)
@click.option(
    "--apparmor",
    metavar="LABEL",
    help="Enter this loaded AppArmor profile at exec, and do not start without it.  [default: the profile's own]",
)
@click.option("--trust", is_flag=True, help="Use a profile that somebody else owns or can write to.")
@click.argument("command_line", metavar="[-- CMD ARGS...]", nargs=-1, type=click.UNPROCESSED)
def command(
    profile: Path | None,
    show_plan: bool,
    enforced_json: Path | None,
    report: Path | None,
    network: str | None,
    userns: str | None,
    view: str | None,
    binds: tuple[str, ...],
    cwd: str | None,
    user: str | None,
    die_with_parent: bool,
    isolation: Callable[..., Isolation],
    hostname: str | None,
    clear_env: bool,
    environment: tuple[str, ...],
    timeout: float | None,
    allow_degraded: tuple[str, ...],
    apparmor: str | None,
    trust: bool,
    command_line: tuple[str, ...],
) -> None:
    """Run a program under its profile: everything the profile does not grant is refused by the kernel.

    Without CMD the workload stored in the profile runs. A control that cannot be enforced stops the start.

    \b
    Example:
      harden run
      harden run -p nginx.profile.toml --enforced-json enforced.json
      harden run --memory 512M --pids 64 --tmpfs /scratch:1G
      harden run --report report.json
    """
    from harden.enforce import Overrides, enforcement, load, locate
    from harden.launch.lookups import Lookups
    from harden.launch.plan_cache import keep
    from harden.launch.spawn import exec_plan, run_header
    from harden.model.path_text import from_text
    from harden.results import Results

    context = click.get_current_context()
    lookups = context.with_resource(Lookups())
    results = context.with_resource(Results(report=report, enforced_json=enforced_json, dry=show_plan))
    results.hold()
    files = locate(profile)
    loaded = load(files, trust=trust)
    stored_root = from_text(loaded.workload.isolation.rootfs) or None
    isolated = isolation(stored_root)
    ready = enforcement(
        loaded,
        folder=files.folder,
        results=results.ways,
        when_judged=results.begin,
        apparmor=apparmor,
        dry=show_plan,
        measured=report is not None,
        command=command_line,
        caller_environment={} if clear_env else os.environ,
        environment=options.parse_environment(environment),
        timeout_s=options.parse_timeout(timeout),
        allow_degraded=options.parse_controls(allow_degraded),
        overrides=Overrides(
            network=NetworkMode(network) if network else None,
            user_namespace=UserNamespaceMode(userns) if userns else None,
            view=View(view) if view else None,
            binds=tuple(options.parse_bind(text) for text in binds),
            cwd=os.fsencode(os.path.abspath(cwd)) if cwd else None,
            user=options.parse_user(user, rootfs=isolated.rootfs or stored_root),
            hostname=hostname,
            isolation=msgspec.structs.replace(isolated, die_with_parent=die_with_parent),
        ),
    )
    if show_plan:
        for step in ready.plan.describe():
            output.line(step)
        for widening in ready.widenings:
            output.line(f"wider than the profile: {widening}")
        return
    for text in ready.notes:
        output.note(text)
    # A report is of one run: a plan that is started without Python would make none.
    if enforced_json is None and report is None:
        workload = ready.profile.workload
        variables = {os.fsdecode(from_text(name)) for name in (*workload.environment, *workload.environment_values)}
        variables |= {item.partition("=")[0] for item in environment}
        notes = "".join(f"{output.note_line(text)}\n" for text in ready.notes)
        keep(ready.plan, run_header(ready.plan), lookups, notes=notes, variables=variables, argv=sys.argv[1:])
    exec_plan(ready.plan, enforced_json=results.enforced, report=results.report)
