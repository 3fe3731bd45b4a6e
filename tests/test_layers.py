"""The layers: who may import whom, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "sandbox/harden"
PURE = {"model", "generate", "render", "check", "bpf"}
BELOW = {
    "errors": set(),
    "shipped": set(),
    "model": {"errors"},
    "bpf": {"model", "errors", "shipped", "_native"},
    "generate": {"model", "errors", "shipped", "bpf"},
    "render": {"model", "errors", "shipped", "bpf"},
    "check": {"model", "errors", "shipped", "bpf"},
    "_native": {"errors"},
    "kernel": {"model", "errors", "_native"},
    "launch": {"model", "errors", "_native", "kernel"},
    "trace": {"model", "errors", "_native", "kernel"},
}
"""Layer → the layers it may import besides itself. What is not listed (record, verify, cli) may import all but cli."""
IMPURE = {"os", "subprocess", "time", "random", "secrets", "socket", "tempfile", "shutil", "ctypes", "fcntl"}
EXEMPT = {"bpf/libseccomp.py": {"os"}}
"""Names the errno that libseccomp answers with os.strerror, which asks the C library only."""
HEAVY = {"jinja2", "rich"}

SOURCES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "_native/build.py"]


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layer"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def calls(tree: ast.AST) -> set[str]:
    return {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path):
    layer = layer_of(path)
    tree = ast.parse(path.read_text())
    own = {name.split(".")[1] for name in imports(tree) if name.startswith("harden.")} - {layer, "__version__"}
    if layer in BELOW:
        assert own <= BELOW[layer]
    elif layer not in ("cli", "__main__"):
        assert "cli" not in own
    if layer in PURE:
        impure = {name.split(".")[0] for name in imports(tree)} & IMPURE
        assert impure == EXEMPT.get(str(path.relative_to(PACKAGE)), set())
        assert "pathlib.Path" not in imports(tree)
        assert "open" not in calls(tree)
    if layer != "cli":
        assert "print" not in calls(tree)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_packages_are_imported_where_they_are_used(path):
    at_top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {name.split(".")[0] for node in at_top for name in imports(node)}
    assert names & HEAVY == set()
