"""Text from hostile programs, made safe to print: file names may hold any byte but NUL and /."""

from __future__ import annotations

__all__ = ["printable", "shortened"]


def printable(text: str) -> str:
    """`text` on one line, with nothing that a terminal, a log or an XML parser would act on: escaped as Python does."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def shortened(text: str, largest: int) -> str:
    """`text`, or its beginning and … when it has more than `largest` characters."""
    return text if len(text) <= largest else f"{text[: largest - 1]}…"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")
