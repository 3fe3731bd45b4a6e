"""User stacks: where in a program something was first asked for."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

__all__ = ["NO_STACK", "Frame", "Stack", "StackEnd", "StackObject", "Stacks"]

NO_STACK: Final = -1
"""In place of a stack's number: it is not known."""


class StackEnd(enum.StrEnum):
    """Why a stack has no more frames."""

    WHOLE = "whole"
    """The outermost function called the innermost through all that are listed."""
    DEPTH = "depth"
    """There may be more: so many are kept."""
    COPY = "copy"
    """The rest lies beyond what is copied of a stack."""
    LOST = "lost"
    """The next caller cannot be told: no call frame information, or none that fits."""
    UNKNOWN = "unknown"
    """Nothing executable was mapped where the program stood."""


class StackObject(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True
):
    """What code is in: a file as the sandbox sees it, `[vdso]`, or `[anonymous]` memory, as a JIT fills."""

    path: str
    build_id: str = ""


class Frame(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True):
    """One function, and where it goes on once what it called returns."""

    object: int
    """Number in Stacks.objects."""
    symbol: str = ""
    """The function by its symbol; empty where no symbol says which."""
    offset: int
    """In bytes: of the symbol, without one of the file, and in anonymous memory of its mapping."""


class Stack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True):
    """Frames, innermost first."""

    frames: tuple[int, ...]
    """Numbers in Stacks.frames."""
    end: StackEnd = StackEnd.WHOLE
    guessed_from: int | None = None
    """Position of the first frame that was found by a frame pointer, for want of call frame information: from there on
    frames may be missing."""


class Stacks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The distinct stacks of a run, in the order in which each was first seen."""

    objects: tuple[StackObject, ...] = ()
    frames: tuple[Frame, ...] = ()
    stacks: tuple[Stack, ...] = ()
    missing: dict[str, int] = {}
    """Why stacks are missing, to how many."""

    def describe(self, number: int) -> tuple[str, ...]:
        """The stack with this number as text, a line per frame; empty for one that is not there."""
        if not 0 <= number < len(self.stacks):
            return ()
        stack = self.stacks[number]
        lines = [self._describe_frame(frame) for frame in stack.frames]
        if stack.guessed_from is not None and stack.guessed_from < len(lines):
            lines.insert(stack.guessed_from, "(by frame pointers from here on)")
        if stack.end is not StackEnd.WHOLE:
            lines.append(f"(… {stack.end})")
        return tuple(lines)

    def _describe_frame(self, number: int) -> str:
        if not 0 <= number < len(self.frames) or not 0 <= self.frames[number].object < len(self.objects):
            return "?"
        frame = self.frames[number]
        path = self.objects[frame.object].path
        return f"{frame.symbol}+{frame.offset:#x} {path}" if frame.symbol else f"{path}+{frame.offset:#x}"
