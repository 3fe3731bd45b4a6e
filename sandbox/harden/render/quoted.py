"""Text for somebody else's grammar: a template takes nothing but what was quoted for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Quoted", "fill"]


class Quoted(str):
    """Text that is written in the target's grammar already."""

    __slots__ = ()


def fill(template: str, values: Mapping[str, Any]) -> str:
    """The Jinja2 `template` with `values`; TypeError when an expression gives text that nobody quoted."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined,
        finalize=_only_quoted,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(template).render(values)


def _only_quoted(value: object) -> object:
    if not isinstance(value, Quoted):
        raise TypeError(f"{value!r} is written by a template but was not quoted for its grammar")
    return value
