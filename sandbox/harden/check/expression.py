"""Demands in CEL, the Common Expression Language: for what the table of demands cannot say.

An expression sees `name`, `file`, `syscalls`, `capabilities`, `architectures` (lists of text), `files` (path pattern to
a list of rights), `network` (a list of rules as text) and `profile` (the whole document), and says true or false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from harden.check.location import TomlSource
from harden.check.subject import Subject
from harden.errors import DocumentError
from harden.model.policy import Expression
from harden.model.profile import Profile

if TYPE_CHECKING:
    import cel

__all__ = ["CompiledExpression", "compile_expression", "variables"]


class CompiledExpression(msgspec.Struct, frozen=True, kw_only=True):
    """An expression that parses."""

    expression: Expression
    source: TomlSource
    index: int
    program: cel.Program

    def holds(self, values: dict[str, Any], subject: Subject) -> bool:
        """Whether it is true of a subject; DocumentError when it says neither true nor false."""
        try:
            result = self.program.execute(values)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:  # A panic of the library is no Exception.
            problem = f"has no value for {subject.file}: {_one_line(error)}"
            raise _wrong(self.expression, self.source, self.index, problem) from None
        if not isinstance(result, bool):
            problem = f"gives {type(result).__name__} for {subject.file}, not true or false"
            raise _wrong(self.expression, self.source, self.index, problem)
        return result


def compile_expression(expression: Expression, source: TomlSource, index: int) -> CompiledExpression:
    """`expression`, parsed; DocumentError with its place in the policy for one that is wrong."""
    try:
        import cel
    except ImportError:
        hint = "pip install 'harden[expressions]', or remove the expressions from the policy"
        raise DocumentError(source.file, "has expressions, but the CEL library is not installed", hint=hint) from None
    try:
        program = cel.compile(expression.expression)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # A panic of the library is no Exception.
        raise _wrong(expression, source, index, f"is no CEL expression: {_one_line(error)}") from None
    return CompiledExpression(expression=expression, source=source, index=index, program=program)


def variables(subject: Subject, profile: Profile) -> dict[str, Any]:
    """What an expression sees of a profile."""
    rights = profile.rights
    return {
        "name": profile.name,
        "file": subject.file,
        "architectures": [str(arch) for arch in rights.architectures],
        "syscalls": sorted(rights.all_syscalls()),
        "capabilities": sorted(capability.name for capability in rights.all_capabilities()),
        "files": {pattern.text: sorted(map(str, operations)) for pattern, operations in rights.all_files()},
        "network": [rule.render() for rule in rights.all_network()],
        "profile": msgspec.to_builtins(profile),
    }


def _wrong(expression: Expression, source: TomlSource, index: int, problem: str) -> DocumentError:
    return DocumentError(
        source.file, f"expression {expression.id} {problem}", where=f"$.expression[{index}].expression"
    )


def _one_line(error: BaseException) -> str:
    """The parser's own words with its place (line:column of the expression), without the copy of the expression."""
    text = str(error)
    kept = text[text.index("ERROR: ") + len("ERROR: ") :] if "ERROR: " in text else text
    if type(error) is KeyError:
        kept = f"there is no {text}"
    return " ".join(kept.split("\n", 1)[0].replace("<input>:", "at ").split())[:300]
