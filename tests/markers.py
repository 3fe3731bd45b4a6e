"""What the tests say about themselves by `attack` and `proves`, read from their source."""

from __future__ import annotations

import ast
import functools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["Marked", "marked"]

TESTS = Path(__file__).resolve().parent


class Marked(NamedTuple):
    """A test function."""

    file: str
    """Relative to the checkout."""
    name: str
    source: str


def _values(node: ast.expr, marker: str) -> Iterator[str]:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == f"pytest.mark.{marker}":
        for argument in node.args:
            if not isinstance(argument, ast.Constant):
                raise TypeError(f"{ast.unparse(node)}: markers are read from the source: write the value itself")
            yield str(argument.value)


@functools.cache
def marked(marker: str) -> Mapping[str, tuple[Marked, ...]]:
    """Argument of @pytest.mark.MARKER → the tests that carry it, directly or through the file's pytestmark."""
    found: defaultdict[str, list[Marked]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text()
        tree = ast.parse(text)
        common: list[str] = []
        for node in tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
                marks = node.value.elts if isinstance(node.value, ast.List) else [node.value]
                common = [value for mark in marks for value in _values(mark, marker)]
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                test = Marked(str(path.relative_to(TESTS.parent)), node.name, ast.get_source_segment(text, node) or "")
                for value in {*common, *(value for mark in node.decorator_list for value in _values(mark, marker))}:
                    found[value].append(test)
    return {value: tuple(tests) for value, tests in found.items()}
