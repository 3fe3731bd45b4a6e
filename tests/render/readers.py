"""Readers of other grammars, written from their documentation, so that outputs can be read back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

Expression = str | list["Expression"]


def unit_settings(text: bytes) -> list[tuple[str, str]]:
    """Key and raw value of each line of a unit file: systemd.syntax(7)."""
    found = []
    section = None
    for line in text.decode("utf-8").split("\n"):
        assert not line.endswith("\\"), "the next line would be part of this one"
        if not line.strip() or line.startswith(("#", ";")):
            continue
        if line.startswith("["):
            section = line
            continue
        assert section == "[Service]", line
        key, equals, value = line.partition("=")
        assert equals, line
        found.append((key.strip(), value.strip()))
    return found


def unit_words(value: str) -> list[str]:
    """Words of a value as EXTRACT_UNQUOTE takes them, with `%%` as systemd.unit(5) resolves it."""
    words: list[str] = []
    current: str | None = None
    quote = ""
    at = 0
    while at < len(value):
        char = value[at]
        at += 1
        if char == "\\":
            assert at < len(value)
            current = (current or "") + value[at]
            at += 1
        elif quote:
            if char == quote:
                quote = ""
            else:
                current = (current or "") + char
        elif char in "\"'":
            quote, current = char, current or ""
        elif char in " \t\n\r":
            words += [current] if current is not None else []
            current = None
        else:
            current = (current or "") + char
    assert not quote
    words += [current] if current is not None else []
    return [_specifiers(word) for word in words]


def _specifiers(word: str) -> str:
    plain = word.replace("%%", "")
    assert "%" not in plain, f"{word!r}: a specifier of systemd"
    return word.replace("%%", "%")


def expanded(text: str) -> str:
    """What the kubelet makes of a word of a command: `$$` is a dollar sign, `$(NAME)` a variable."""
    found = ""
    at = 0
    while at < len(text):
        if text[at] == "$" and text[at + 1 : at + 2] == "$":
            at += 1
        else:
            assert text[at : at + 2] != "$(", f"{text!r}: a variable"
        found += text[at]
        at += 1
    return found


def command_of_script(script: bytes, folder: Path, *, program: str, image: str = "") -> list[bytes]:
    """What a real shell hands to `program` when it runs the script."""
    stub = folder / program
    stub.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    stub.chmod(0o755)
    file = folder / "script.sh"
    file.write_bytes(script)
    for name in {line.split(b'")/')[1].split(b'"')[0] for line in script.split(b"\n") if b'9<"$(dirname' in line}:
        (folder / name.decode()).write_bytes(b"")
    done = subprocess.run(
        ["sh", str(file), *([image] if image else [])],
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    return done.stdout.split(b"\0")[:-1]


def cil(text: str) -> list[Expression]:
    """The s-expressions of a CIL file: strings end at the next quote, `;` starts a comment, nothing is escaped."""
    tokens = list(_tokens(text))
    found: list[Expression] = []
    stack: list[list[Expression]] = [found]
    for token in tokens:
        if token == "(":
            inner: list[Expression] = []
            stack[-1].append(inner)
            stack.append(inner)
        elif token == ")":
            stack.pop()
            assert stack, "one parenthesis too many"
        else:
            stack[-1].append(token)
    assert len(stack) == 1, "a parenthesis is open"
    return found


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        char = text[at]
        if char in "()":
            yield char
        elif char == ";":
            at = text.find("\n", at)
            assert at >= 0
        elif char == '"':
            end = text.index('"', at + 1)
            assert "\n" not in text[at:end]
            yield text[at : end + 1]
            at = end
        elif not char.isspace():
            end = at
            while end < len(text) and not text[end].isspace() and text[end] not in '();"':
                end += 1
            yield text[at:end]
            at = end - 1
        at += 1
