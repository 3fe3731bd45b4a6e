"""Option values are parsed once, or refused with a sentence that names them."""

from __future__ import annotations

import pytest

from harden.cli import options
from harden.errors import UsageError
from harden.model.capability import DOCKER_DEFAULT, Capability
from harden.model.control import Control


@pytest.mark.parametrize(
    ("text", "source", "target", "writable"),
    [
        ("/a", b"/a", b"/a", False),
        ("/a:rw", b"/a", b"/a", True),
        ("/a:/b", b"/a", b"/b", False),
        ("/a:/b:ro", b"/a", b"/b", False),
        ("/a:/b:rw", b"/a", b"/b", True),
        ("/a\udcff:/b", b"/a\xff", b"/b", False),
    ],
)
def test_bind(text: str, source: bytes, target: bytes, writable: bool) -> None:
    bind = options.parse_bind(text)
    assert (bind.source, bind.target, bind.writable) == (source, target, writable)


@pytest.mark.parametrize("text", ["", ":", "/a:", "/a:b", "/a:/b:/c", "/a:/b/../c", "rw:rw:rw:rw"])
def test_bad_bind(text: str) -> None:
    with pytest.raises(UsageError):
        options.parse_bind(text)


def test_capabilities() -> None:
    assert options.parse_capabilities(DOCKER_DEFAULT, add=(), drop=()) == DOCKER_DEFAULT
    only = options.parse_capabilities(DOCKER_DEFAULT, add=("net_admin",), drop=("ALL",))
    assert only == {Capability.CAP_NET_ADMIN}
    assert options.parse_capabilities((), add=("all",), drop=()) == set(Capability)
    assert Capability.CAP_CHOWN not in options.parse_capabilities(DOCKER_DEFAULT, add=(), drop=("CAP_CHOWN",))
    with pytest.raises(UsageError, match="CAP_FLY"):
        options.parse_capabilities((), add=("CAP_FLY",), drop=())


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESENT", "value")
    monkeypatch.delenv("ABSENT", raising=False)
    assert options.parse_environment(("A=1", "B=x=y", "C=", "PRESENT")) == {
        "A": "1",
        "B": "x=y",
        "C": "",
        "PRESENT": "value",
    }
    with pytest.raises(UsageError, match="ABSENT"):
        options.parse_environment(("ABSENT",))
    with pytest.raises(UsageError):
        options.parse_environment(("=1",))


def test_user() -> None:
    assert options.parse_user(None) == (None, None)
    assert options.parse_user("33") == (33, 33)
    assert options.parse_user("33:44") == (33, 44)
    assert options.parse_user("root") == (0, 0)
    names = [options.user_name(text) for text in (None, "33", "33:44", "root", "root:44")]
    assert names == ["", "", "", "root", ""]
    for text in ("no-such-user-here", "-1", "1:x", "1:-1", "70000", "٣"):
        with pytest.raises(UsageError):
            options.parse_user(text)


def test_controls() -> None:
    assert options.parse_controls(("seccomp", "memory")) == {Control.SECCOMP, Control.MEMORY}
    with pytest.raises(UsageError, match="seccom") as caught:
        options.parse_controls(("seccom",))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        ("8080", {"port": 8080}),
        ("/run/app.pid", {"path": "/run/app.pid"}),
        ("ready to serve", {"text": "ready to serve"}),
        ("80 workers", {"text": "80 workers"}),
    ],
)
def test_ready(text: str, ready: dict[str, object]) -> None:
    parsed = options.parse_ready(text)
    assert parsed is not None
    assert {name: getattr(parsed, name) for name in ("port", "path", "text") if getattr(parsed, name)} == ready


@pytest.mark.parametrize("text", ["0", "65536"])
def test_bad_ready(text: str) -> None:
    with pytest.raises(UsageError, match="no TCP port"):
        options.parse_ready(text)


def test_no_ready() -> None:
    assert options.parse_ready(None) is None
