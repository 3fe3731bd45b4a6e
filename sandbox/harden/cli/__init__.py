"""The command line: parses, dispatches, and turns every error into one line and an exit code."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NoReturn

import click

from harden import __version__
from harden.cli import output
from harden.errors import HardenError, KernelError, UnusableInput, UsageError, unforeseen
from harden.interrupt import Raised
from harden.launch.process import fill_standard_streams

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS: Final[Mapping[str, str]] = {
    "trace": "run a program isolated, record what it does, write its profile",
    "run": "run a program under its profile, enforced by the kernel",
    "verify": "run a program again under its profile and list what was refused",
    "refine": "add what a rerun was refused to the profile's local file",
    "probe": "show from the inside what a profile refuses",
    "show": "print a recording or a profile",
    "generate": "make a profile from recordings",
    "merge": "make one recording from many",
    "diff": "show what one profile allows and another does not",
    "explain": "show what is behind a rule of a profile",
    "export": "write a profile as seccomp, AppArmor, Landlock, …",
    "check": "fail when a profile grants more than a policy allows",
    "doctor": "show what this host can enforce and record",
}
"""Every command with its one line of help; `harden.cli.NAME.command` is loaded only when it is called."""


_BROKEN_PIPE: Final = 141
_NO_MAPPING: Final = "failed to map segment"
"""What ld.so says where a library finds no room."""


class _Commands(click.Group):
    """Loads one command's module at a time, so that `harden run` does not pay for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"harden.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="harden")
def cli() -> None:
    """Watch a program work, write down the least it needs, and run it with exactly that.

    \b
    Example:
      harden trace -- ./app --option      records it, writes app.profile.toml
      harden run                          runs it again under exactly that
    """


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its status; 125 for anything that harden itself cannot do."""
    status = _status(argv)
    problem = output.settle()
    if isinstance(problem, BrokenPipeError):
        status = _BROKEN_PIPE
    elif problem is not None:
        error = _result_lost(problem)
        output.error(error)
        status = _of_command(argv, error)
    sys.exit(status)


def _of_command(argv: Sequence[str] | None, error: HardenError) -> int:
    """`check` and `diff` say 1 for what they found, and 2 for everything that kept them from it."""
    words = sys.argv[1:] if argv is None else argv
    return UnusableInput.exit_status if words[:1] in (["check"], ["diff"]) else error.exit_status


def _status(argv: Sequence[str] | None) -> int:
    try:
        fill_standard_streams()
        output.open_streams()
        # Where the caller ignores it, the kernel would reap harden's own children (wait(2)).
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with Raised():
            return _run(argv)
    except HardenError as problem:
        output.error(problem)
        return problem.exit_status
    except (click.exceptions.Abort, KeyboardInterrupt):
        output.error(HardenError("interrupted"))
        return 130
    except click.UsageError as problem:
        where = f"harden {problem.ctx.info_name}" if problem.ctx and problem.ctx.parent else "harden"
        output.error(UsageError(problem.format_message(), hint=f"see `{where} --help`"))
        return UsageError.exit_status
    except BrokenPipeError:
        output.silence_broken_pipe()
        return _BROKEN_PIPE
    except Exception as problem:
        if os.environ.get("HARDEN_DEBUG"):
            raise
        error = _bug(problem)
        output.error(error)
        return _of_command(argv, error) if isinstance(problem, OSError) else error.exit_status


def _run(argv: Sequence[str] | None) -> int:
    try:
        status = cli.main(args=None if argv is None else list(argv), prog_name="harden", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as problem:
        output.line_by_line(problem.ctx.get_help() if problem.ctx else problem.format_message())
        status = 0
    return status if isinstance(status, int) else 0


def _result_lost(problem: OSError) -> KernelError:
    return KernelError(
        "write(stdout)", problem.errno or 0, hint="the result is not whole: make room, or write elsewhere"
    )


def _bug(problem: Exception) -> HardenError:
    """What nobody foresaw must neither look like the program's own status nor fill the screen."""
    if isinstance(problem, OSError):
        is_result = isinstance(problem, output.ResultLost) or _is_of_click(problem)
        return _result_lost(problem) if is_result else unforeseen(problem)
    if isinstance(problem, MemoryError) or (isinstance(problem, ImportError) and _NO_MAPPING in str(problem)):
        return HardenError(
            f"memory is short: {problem}" if str(problem) else "memory is short",
            hint="raise what limits it (`ulimit -v`, a cgroup's memory.max), or free some",
        )
    return HardenError(
        f"a bug in harden: {type(problem).__name__}: {problem}",
        hint="HARDEN_DEBUG=1 shows where; please report it with that output",
    )


def _is_of_click(problem: OSError) -> bool:
    """Whether click failed, which does nothing with files but print, such as --help."""
    place = problem.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place is not None and str(place.tb_frame.f_globals.get("__name__")).startswith("click.")
