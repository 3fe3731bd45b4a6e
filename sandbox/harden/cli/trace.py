"""`harden trace`: run a program isolated, record what it does, write its profile."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from harden.cli import options, output
from harden.cli.isolation_options import isolation_options
from harden.cli.progress import watching
from harden.cli.summary import summarize
from harden.errors import UsageError
from harden.folder import load_scenario
from harden.model.backend import Backend
from harden.model.capability import DOCKER_DEFAULT, Capability
from harden.model.isolation import Isolation
from harden.model.sandbox import Bind, NetworkMode, UserNamespaceMode, View
from harden.model.scenario import Perturbation, Scenario

__all__ = ["command"]


@click.command("trace", context_settings={"ignore_unknown_options": False})
@click.option("--name", help="Name of the profile.  [default: the program's name]")
@click.option(
    "--out", "folder", type=click.Path(path_type=Path), default=Path(), help="Folder for the files.  [default: .]"
)
@click.option(
    "--net",
    "network",
    type=click.Choice([mode.value for mode in NetworkMode]),
    default=NetworkMode.NONE.value,
    show_default=True,
    help="none: loopback only. host: the host's network.",
)
@click.option(
    "--userns",
    type=click.Choice([mode.value for mode in UserNamespaceMode]),
    default=UserNamespaceMode.SHIFTED.value,
    show_default=True,
    help="identity and host are no boundary: for recording what a program needs in the initial namespace.",
)
@click.option(
    "--view",
    type=click.Choice([mode.value for mode in View]),
    default=View.HOST.value,
    show_default=True,
    help="host: the host's files, copy on write. minimal: /usr and what --bind adds.",
)
@click.option(
    "--bind",
    "binds",
    multiple=True,
    metavar="SRC[:DST][:rw]",
    help="Show a host path inside, with its sockets; read-only unless :rw.",
)
@click.option("--commit", type=click.Path(path_type=Path), help="Copy what the program changed into this folder.")
@click.option("--cap-add", multiple=True, metavar="CAP", help="Hold this capability too (ALL for all).")
@click.option("--cap-drop", multiple=True, metavar="CAP", help="Do not hold this capability (ALL for none).")
@click.option(
    "--env", "environment", multiple=True, metavar="K[=V]", help="Set a variable and store its value in the profile."
)
@isolation_options
@click.option("--cwd", type=click.Path(), help="Working folder inside.  [default: the current one]")
@click.option("--user", metavar="UID[:GID]", help="Run as this user inside: a name or numbers.")
@click.option("--timeout", type=float, metavar="S", help="End it after S seconds (status 124).")
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Drive the program by this file (TOML); several make several runs of one recording.",
)
@click.option(
    "--redact", multiple=True, metavar="PATTERN", help="Mask what matches this regular expression in what is written."
)
@click.option(
    "--ready",
    metavar="PORT|PATH|TEXT",
    help="Serving begins when this TCP port listens, path exists or text is in the output.  [default: where each "
    "thread first waits in accept, epoll_wait, poll or select]",
)
@click.option(
    "--backend",
    type=click.Choice([backend.value for backend in Backend]),
    default=Backend.AUTO.value,
    show_default=True,
    help="What records. notify needs no privilege, is slower, sees no results and capabilities. auto: bpf if it loads.",
)
@click.option(
    "--one-cpu", is_flag=True, help="With notify, program and recorder share one CPU: faster; nproc then says 1."
)
@click.option(
    "--stacks/--no-stacks",
    default=True,
    show_default=True,
    help="Record from which function of the program everything was first asked for; with bpf.",
)
@click.option("--allow-incomplete", is_flag=True, help="Do not turn status 0 into 125 when something was lost.")
@click.option(
    "--allow-degraded", multiple=True, metavar="CONTROL", help="Go on without this control if the host cannot give it."
)
@click.option("--force", is_flag=True, help="Replace a profile even if the program crashed or timed out.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.argument("command_line", metavar="-- CMD ARGS...", nargs=-1, type=click.UNPROCESSED)
def command(
    name: str | None,
    folder: Path,
    network: str,
    userns: str,
    view: str,
    binds: tuple[str, ...],
    commit: Path | None,
    cap_add: tuple[str, ...],
    cap_drop: tuple[str, ...],
    environment: tuple[str, ...],
    cwd: str | None,
    user: str | None,
    timeout: float | None,
    scenarios: tuple[Path, ...],
    redact: tuple[str, ...],
    ready: str | None,
    backend: str,
    one_cpu: bool,
    stacks: bool,
    allow_incomplete: bool,
    allow_degraded: tuple[str, ...],
    force: bool,
    as_json: bool,
    isolation: Callable[..., Isolation],
    hostname: str | None,
    clear_env: bool,
    command_line: tuple[str, ...],
) -> int:
    """Run a program isolated, record everything it needs, and write its profile.

    Writes NAME.recording.json and NAME.profile.toml; a second trace of the same name adds to the recording.
    NAME.local.toml is never touched. Nothing that the program writes reaches the host.

    \b
    Example:
      harden trace -- ./app --option
      harden trace --name web --scenario web.scenario.toml
    """
    from harden.record import STORED_VALUES, TraceRequest, record

    if one_cpu and backend != Backend.NOTIFY:
        raise UsageError("--one-cpu is for a recorder that shares a CPU with the program", hint="add --backend=notify")
    jobs = _jobs(scenarios, command_line)
    given = options.parse_environment(environment)
    isolated = isolation()
    uid, gid = options.parse_user(user, rootfs=isolated.rootfs)
    bound = tuple(options.parse_bind(text) for text in binds)
    request = TraceRequest(
        command=jobs[0].command,
        folder=folder,
        name=name,
        network=NetworkMode(network),
        user_namespace=UserNamespaceMode(userns),
        view=View(view),
        binds=bound,
        commit=commit.absolute() if commit else None,
        capabilities=options.parse_capabilities(_held(userns, bound), add=cap_add, drop=cap_drop),
        named_capabilities=options.parse_capabilities((), add=cap_add, drop=()),
        backend=Backend(backend),
        one_cpu=one_cpu,
        stacks=stacks,
        environment={**({} if clear_env else os.environ), **given},
        stored_values=STORED_VALUES | frozenset(given),
        cwd=os.path.abspath(cwd) if cwd else "/" if isolated.rootfs else os.getcwd(),
        hostname=hostname,
        isolation=isolated,
        user=options.user_name(user),
        uid=uid,
        gid=gid,
        timeout_s=options.parse_timeout(timeout),
        redact=options.parse_redactions(redact),
        ready=options.parse_ready(ready),
        allow_degraded=options.parse_controls(allow_degraded),
        allow_incomplete=allow_incomplete,
        force=force,
    )
    replace = msgspec.structs.replace
    trace = record([replace(request, **msgspec.structs.asdict(job)) for job in jobs], tell=output.note, watch=watching)
    summarize(trace, as_json=as_json)
    return trace.status


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the runs of one trace; the fields are those of TraceRequest."""

    command: tuple[str, ...]
    scenario: Scenario | None = None
    scenario_path: str = ""
    perturbation: Perturbation | None = None


def _jobs(scenarios: tuple[Path, ...], command: tuple[str, ...]) -> list[_Job]:
    """One run per scenario, and one for each of its perturbations; `command` overrides the scenarios'."""
    jobs = []
    for path in scenarios:
        scenario = load_scenario(path)
        job = _Job(command=command or scenario.command, scenario=scenario, scenario_path=str(path))
        jobs += [job, *(msgspec.structs.replace(job, perturbation=each) for each in scenario.perturb)]
    if not scenarios:
        jobs.append(_Job(command=command))
    if not all(job.command for job in jobs):
        raise UsageError("no program given", hint="harden trace [options] -- CMD ARGS...")
    return jobs


def _held(userns: str, binds: tuple[Bind, ...]) -> frozenset[Capability]:
    """Docker's set, without what would reach the host: device nodes without a user namespace, file capabilities in a
    folder that is writable for real. `--cap-add` still gives the first, and is refused for the second.
    """
    reaching = {Capability.CAP_MKNOD} if userns == UserNamespaceMode.HOST.value else set()
    if any(bind.writable for bind in binds):
        reaching.add(Capability.CAP_SETFCAP)
    return DOCKER_DEFAULT - reaching
