"""A report as JSON: every field of `harden.check.finding.Report`, and what follows from it."""

from __future__ import annotations

from typing import Final

import msgspec

from harden.check.finding import Report

__all__ = ["REPORT_FORMAT", "render_json"]

REPORT_FORMAT: Final = "harden-report/1"


def render_json(report: Report) -> bytes:
    """Indented JSON in ASCII, with a final newline."""
    document = {
        "format": REPORT_FORMAT,
        **msgspec.to_builtins(report),
        "failing": len(report.failing),
        "exit_status": report.exit_status,
    }
    # Escapes what is not ASCII: the text may be shown by a terminal as it is.
    import json

    return json.dumps(document, indent=1, ensure_ascii=True).encode() + b"\n"
