"""Known-attack views for people, for programs and for pull requests, and as a note of a report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from harden.check.attack import AttackView, Standing
from harden.check.finding import Note
from harden.check.output.markdown import escape
from harden.check.output.printable import printable

__all__ = ["attack_builtins", "attack_note", "render_attacks_json", "render_attacks_markdown", "render_attacks_text"]


def attack_note(view: AttackView) -> Note:
    """The view as every output of `harden check` shows it: the sentence, what is left, and what would refuse it."""
    return Note(profile=view.profile, title=view.sentence, lines=tuple(_details(view)))


def render_attacks_text(views: Sequence[AttackView]) -> bytes:
    """Per view the sentence, every attack with how the profile stands to it, and the remedies."""
    lines: list[str] = []
    for view in views:
        lines.append(f"{view.profile}: {view.sentence}")
        lines += [f"    source: {view.source}"]
        for attack in view.attacks:
            refused = f" ({', '.join(attack.refused)})" if attack.refused else ""
            lines.append(f"    {attack.standing:8}{attack.id}, {attack.subsystem}{refused}")
        lines += [f"    {line}" for line in _remedies(view)]
    return "".join(f"{printable(line)}\n" for line in lines).encode()


def render_attacks_json(views: Sequence[AttackView]) -> bytes:
    """A list of objects in ASCII."""
    return json.dumps([attack_builtins(view) for view in views], indent=1, ensure_ascii=True).encode() + b"\n"


def attack_builtins(view: AttackView) -> dict[str, Any]:
    """One view as JSON's own types, with its counts and its sentence."""
    counts = {str(standing): view.count(standing) for standing in Standing}
    return {**msgspec.to_builtins(view), **counts, "total": len(view.attacks), "sentence": view.sentence}


def render_attacks_markdown(views: Sequence[AttackView]) -> bytes:
    """Per view the sentence, and a list of what is left and what would refuse it."""
    lines: list[str] = []
    for view in views:
        lines += [f"**<code>{escape(view.profile)}</code>** {escape(view.sentence)}", ""]
        lines += [f"* {escape(line)}" for line in _details(view)]
        lines.append("")
    return "".join(f"{line}\n" for line in lines).encode()


def _details(view: AttackView) -> Iterator[str]:
    for standing, words in ((Standing.OPEN, "not refused"), (Standing.UNKNOWN, "not decided by this file")):
        names = [attack.id for attack in view.attacks if attack.standing is standing]
        if names:
            yield f"{words}: {', '.join(names)}"
    yield from _remedies(view)


def _remedies(view: AttackView) -> Iterator[str]:
    for remedy in view.remedies:
        yield f"{remedy.need}: {remedy.fix}; would refuse {len(remedy.attacks)} more"
