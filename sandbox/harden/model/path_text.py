"""Paths as text: UTF-8 where the bytes are UTF-8, `\\xHH` for bytes that are not, for controls and for backslash.

A path on Linux is any bytes but NUL (path_resolution(7)); text formats need Unicode. The mapping is one to one.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["MASK", "UNNAMED_FILE", "check_absolute", "from_text", "is_utf8", "to_text", "typed_text"]

MASK: Final = "[masked]"
"""What stands in text where a secret was: a path with it is not known any more."""

UNNAMED_FILE: Final = b"#0"
"""The name under which a file that was made without one (open(2), O_TMPFILE) is recorded in its folder.

The kernel calls it `#` and its inode number (fs/dcache.c, d_tmpfile), which is another one every time.
"""

_ESCAPE: Final = re.compile(r"\\x([0-9a-f]{2})")


def to_text(path: bytes) -> str:
    """`path` as printable text, reversible by `from_text`."""
    text = path.decode("utf-8", errors="surrogateescape")
    # Nearly every path is its own text, and a recording has very many.
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(_escape(char) for char in text)


def is_utf8(path: bytes) -> bool:
    """Whether formats that hold nothing else can name it."""
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _escape(char: str) -> str:
    if char == "\\" or not (char.isprintable() or 0xDC80 <= ord(char) <= 0xDCFF):
        return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8"))
    if 0xDC80 <= ord(char) <= 0xDCFF:
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char


def from_text(text: str) -> bytes:
    """The path that `to_text` wrote as `text`; ValueError for a backslash that starts no `\\xHH`."""
    out = bytearray()
    position = 0
    for match in _ESCAPE.finditer(text):
        out += _plain(text[position : match.start()])
        out.append(int(match[1], 16))
        position = match.end()
    return bytes(out + _plain(text[position:]))


def typed_text(words: str) -> str:
    """The path text of what somebody typed: a path as it is (sys.argv), as path text has it, or a mixture of both.

    Of the two, a `\\xHH` that can be read as either is an escape.
    """
    escapes = _ESCAPE.findall(words)
    plain = [to_text(part.encode("utf-8", "surrogateescape")) for part in _ESCAPE.split(words)[::2]]
    return "".join(part + f"\\x{byte}" for part, byte in zip(plain, escapes, strict=False)) + plain[-1]


def check_absolute(name: str, text: str) -> None:
    """ValueError, which says that it is about `name`, unless `text` is an absolute path that leads upwards nowhere, or
    was masked.
    """
    path = from_text(text)
    if MASK in text and b"\0" not in path:
        return
    if not path.startswith(b"/") or b".." in path.split(b"/") or b"\0" in path:
        raise ValueError(f"{name} {text!r} is no absolute path")


def _plain(text: str) -> bytes:
    if "\\" in text:
        raise ValueError(f"{text!r}: a backslash must start \\xHH with two lower-case hexadecimal digits")
    return text.encode("utf-8")
