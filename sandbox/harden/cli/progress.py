"""What `harden trace` shows meanwhile: on a terminal one line that changes, elsewhere lines now and then."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from harden.cli import output
from harden.errors import HardenError
from harden.trace.progress import Progress

__all__ = ["describe_progress", "watching"]

_REDRAW_S: Final = 0.5
_LINE_S: Final = 10.0


def describe_progress(now: Progress, *, elapsed_s: float, calls_per_s: float, since_new_s: float) -> str:
    """One line."""
    tasks = "" if now.tasks is None else "1 task, " if now.tasks == 1 else f"{now.tasks} tasks, "
    last = f" (last {since_new_s:.0f} s ago: {now.last})" if now.last else ""
    lost = f", {now.lost} lost" if now.lost else ""
    return f"{elapsed_s:.0f} s: {tasks}{_short(calls_per_s)} calls/s, {now.new} distinct{last}{lost}"


def _short(number: float) -> str:
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.1f}{unit}"
    return f"{number:.0f}"


@contextmanager
def watching(look: Callable[[], Progress], *, line_s: float = _LINE_S) -> Iterator[None]:
    """Show what `look` tells until the block ends, where stderr is no terminal a line every `line_s` seconds.

    A program that has the terminal itself is left alone with it: then nothing is shown.
    """
    if not sys.stderr.isatty():
        with _every(line_s, look, output.note):
            yield
    elif os.isatty(1):
        yield
    else:
        with _status_line() as show, _every(_REDRAW_S, look, show):
            yield


@contextmanager
def _status_line() -> Iterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:
        yield lambda text: live.update(
            Text(output.printable(f"harden: {text}"), no_wrap=True, overflow="ellipsis"), refresh=True
        )


@contextmanager
def _every(seconds: float, look: Callable[[], Progress], show: Callable[[str], None]) -> Iterator[None]:
    """Show in a thread, every `seconds`; the first time after as many."""
    over = threading.Event()

    def run() -> None:
        start = before_s = time.monotonic()
        before = 0
        try:
            while not over.wait(seconds):
                now, now_s = look(), time.monotonic()
                rate = (now.calls - before) / (now_s - before_s)
                show(
                    describe_progress(
                        now, elapsed_s=now_s - start, calls_per_s=max(rate, 0.0), since_new_s=now_s - now.last_s
                    )
                )
                before, before_s = now.calls, now_s
        except HardenError as error:
            # The recording itself goes on.
            output.note(f"progress cannot be shown any more: {error.message}")

    thread = threading.Thread(target=run, name="harden-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
