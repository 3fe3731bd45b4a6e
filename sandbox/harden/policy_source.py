"""Policies: presets that come with harden, and files, each with what it extends."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harden import shipped
from harden.check.policy_chain import PolicyChain, PolicyFile
from harden.errors import DocumentError, UnusableInput
from harden.input_file import parse_placed, placed, read_input
from harden.model.policy import POLICY_FORMAT, Policy

__all__ = ["PRESETS", "load_policy"]

_FOLDER: Final = "profiles/policies"
PRESETS: Final = ("minimal", "baseline", "strict")
_DEEPEST: Final = 8
"""How long a chain of `extends` may be."""


def load_policy(name: str) -> PolicyChain:
    """The preset or policy file `name` with all it extends; UnusableInput with the place of what is wrong."""
    files: list[PolicyFile] = []
    wanted, folder = name, Path()
    seen: set[str] = set()
    while wanted:
        file, data = _read(wanted, folder)
        key = wanted if wanted in PRESETS else str(Path(file).absolute())
        if key in seen or len(files) == _DEEPEST:
            raise UnusableInput(f"{files[-1].source.path('$.extends')}: $.extends: {wanted} leads back here or too far")
        seen.add(key)
        policy, source = parse_placed(data, Policy, format=POLICY_FORMAT, file=file)
        files.insert(0, PolicyFile(policy=policy, source=source))
        wanted, folder = policy.extends, (folder if wanted in PRESETS else Path(file).parent)
    try:
        return PolicyChain(name, tuple(files))
    except DocumentError as error:
        source = next(each.source for each in files if each.source.file == error.file)
        raise placed(error, source) from None


def _read(name: str, folder: Path) -> tuple[str, bytes]:
    if name in PRESETS:
        file = f"{_FOLDER}/{name}.toml"
        return file, shipped.text(file).encode()
    path = folder / name
    if not name.endswith(".toml") and not path.exists():
        raise UnusableInput(
            f"policy {name!r}: neither a preset ({', '.join(PRESETS)}) nor a file", hint="a policy's name ends in .toml"
        )
    return str(path), read_input(path)
