"""Command lines for a POSIX shell: every word is quoted on its way into the text, whatever its bytes are.

Between single quotes the shell takes every byte for itself (POSIX.1, "Shell Command Language", 2.2.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["Line", "Verbatim", "script"]

_PLAIN: Final = re.compile(rb"[A-Za-z0-9_@%+=:,./-]+")


class Verbatim(bytes):
    """Shell text of ours, such as a redirection or the script's own argument: never anything from a profile."""


Line = tuple[bytes, ...]
"""Words that belong together: an option and its value."""


def script(lines: Iterable[Line], *, comment: str) -> bytes:
    """A shell script that executes one command, a line of it for each of `lines`; `comment` is ASCII."""
    head = ["#!/bin/sh", *(f"# {line}" for line in comment.splitlines())]
    command = b" \\\n  ".join(b" ".join(map(_quoted, line)) for line in lines)
    return "\n".join(head).encode("ascii") + b"\nexec " + command + b"\n"


def _quoted(word: bytes) -> bytes:
    if isinstance(word, Verbatim):
        return bytes(word)
    if b"\0" in word:
        raise ValueError(f"{word!r}: no word of a command line holds NUL")
    return word if _PLAIN.fullmatch(word) else b"'" + word.replace(b"'", b"'\"'\"'") + b"'"
