"""Reports as bytes: for people, for programs, and for the places where developers look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from harden.check.finding import Report
from harden.check.output.github import render_github
from harden.check.output.json import render_json
from harden.check.output.junit import render_junit
from harden.check.output.markdown import render_markdown
from harden.check.output.sarif import render_sarif
from harden.check.output.text import render_text

__all__ = ["OUTPUTS"]

OUTPUTS: Final[Mapping[str, Callable[[Report], bytes]]] = {
    "text": render_text,
    "json": render_json,
    "sarif": render_sarif,
    "junit": render_junit,
    "github": render_github,
    "markdown": render_markdown,
}
"""`--format`: its name, to the function that writes a report in it. Same report, same bytes."""
