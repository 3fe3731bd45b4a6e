"""Writes the README's table of formats from the renderers' own texts: `python -m tests.write_export_table`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harden.render.formats import FORMATS
from tests.page_section import with_section

FILE: Final = Path(__file__).resolve().parent.parent / "README.md"
COMMAND: Final = "python -m tests.write_export_table"


def table() -> str:
    """One row for each format: what it is, and what of a profile it cannot express."""
    rows = ["| format | file | what it is | what it cannot express |", "|---|---|---|---|"]
    for row in FORMATS.values():
        limits = "<br>".join(limit.text.replace("|", "\\|") for limit in row.load().limits)
        rows.append(f"| `{row.name}` | `NAME{row.suffix}` | {row.description} | {limits} |")
    return "\n".join(rows) + "\n"


def page(text: str) -> str:
    """`text` with the table in its place."""
    return with_section(text, "formats", table())


if __name__ == "__main__":
    FILE.write_text(page(FILE.read_text()))
