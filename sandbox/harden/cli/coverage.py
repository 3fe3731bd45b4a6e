"""How estimates of coverage are printed."""

from __future__ import annotations

from collections.abc import Iterable

from harden.model.coverage import Coverage

__all__ = ["COVERAGE_WARNING", "coverage_rows"]

COVERAGE_WARNING = (
    "lower bounds, for further runs that are driven as these were; "
    "what no run tried (errors, reloads, other users) is not in them"
)


def coverage_rows(estimates: Iterable[Coverage]) -> list[tuple[str, ...]]:
    """One line per kind in columns."""
    return [
        (
            each.kind,
            f"{each.seen} seen",
            f"of at least {each.total:.1f}",
            f"covered {each.coverage:.1%}",
            f"{each.expected_new:.1f} new in the next run",
            f"last new in run {each.last_new} of {each.runs}" if each.last_new else "none in any run",
        )
        for each in estimates
    ]
