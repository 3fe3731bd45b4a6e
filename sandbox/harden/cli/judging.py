"""Commands that judge: 1 is for what they found, so that whatever cannot be judged ends with 2."""

from __future__ import annotations

from typing import Any

import click

from harden.errors import UnusableInput

__all__ = ["Judging"]


class Judging(click.Command):
    """Ends with 2 for a wrong command line."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as problem:
            raise UnusableInput(problem.format_message(), hint=f"see `harden {self.name} --help`") from None
