"""Parts of a page that are written by a program, between `<!-- NAME -->` and `<!-- end of NAME -->`."""

from __future__ import annotations

import re

__all__ = ["with_section"]


def with_section(text: str, name: str, content: str) -> str:
    """`text` with `content` as its only section of this name."""
    place = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end of {name} -->)", re.DOTALL)
    assert len(place.findall(text)) == 1, name
    return place.sub(lambda _: content, text)
