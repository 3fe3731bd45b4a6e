"""Tables of known attacks: what an attacker has to be able to do before each (`profiles/attacks/NAME.toml`)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from harden import shipped
from harden.model.arch import Arch
from harden.model.capability import require_known
from harden.model.document import parse_toml
from harden.model.syscall import numbers

__all__ = ["ATTACKS_FORMAT", "Attack", "AttackTable", "Need", "Way", "parse_attack_table", "shipped_attack_tables"]

ATTACKS_FORMAT: Final = "harden-attacks/1"
_MOST_PROBES: Final = 256
_FOLDER: Final = "profiles/attacks"


class Way(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to a need: a capability that is held, or a system call that gets through."""

    capability: str = ""
    call: str = ""
    arguments: tuple[tuple[int, ...], ...] = ()
    """Per argument the values that are tried, in every combination; none at all: the call with any arguments."""
    past_filter: bool = False
    """Reaches the need past a system call filter only; a security module still sees what is done."""

    def __post_init__(self) -> None:
        if bool(self.capability) == bool(self.call):
            raise ValueError("a way names a capability or a call, one of the two")
        require_known(filter(None, (self.capability,)))
        if self.call and all(self.call not in numbers(arch) for arch in Arch):
            raise ValueError(f"unknown system call {self.call!r}")
        if len(self.arguments) > 6 or any(not 0 <= v < 1 << 64 for values in self.arguments for v in values):
            raise ValueError(f"{self.call}: a call has six arguments of 64 bits")
        if sum(1 for _ in itertools.islice(self.probes(), _MOST_PROBES + 1)) > _MOST_PROBES:
            raise ValueError(f"{self.call}: more than {_MOST_PROBES} combinations of arguments")

    def probes(self) -> Iterator[tuple[int, ...]]:
        """The argument combinations to try, six values each."""
        padded = (*self.arguments, *(((0,),) * (6 - len(self.arguments))))
        return itertools.product(*padded)


class Need(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that an attack cannot do without."""

    title: str
    fix: str
    """What to change in a profile to refuse it."""
    ways: tuple[Way, ...]
    """Any of them is enough."""


class Attack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One known attack."""

    id: str
    """A CVE number, or a name."""
    subsystem: str
    needs: tuple[str, ...]
    """Names in `AttackTable.needs`: all of them."""
    year: int | None = None
    record: str = ""
    """What the source calls it."""


class AttackTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dated, reviewed set of attacks."""

    format: Literal["harden-attacks/1"]
    name: str
    title: str
    noun: str
    """What the rows are called in a sentence, plural."""
    source: str
    license: str
    date: str
    """Of the source, YYYY-MM-DD."""
    reviewed: str
    needs: dict[str, Need]
    attack: tuple[Attack, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for attack in self.attack:
            if attack.id in seen:
                raise ValueError(f"attack {attack.id!r} appears twice")
            seen.add(attack.id)
            unknown = [name for name in attack.needs if name not in self.needs]
            if unknown or not attack.needs:
                raise ValueError(f"attack {attack.id!r}: {unknown[0]!r} is no need" if unknown else "it needs nothing")
        unused = sorted(self.needs.keys() - {name for attack in self.attack for name in attack.needs})
        if unused:
            raise ValueError(f"no attack has the need {unused[0]!r}")


def parse_attack_table(data: bytes, file: str) -> AttackTable:
    """The table in a TOML text; DocumentError when it is not one."""
    return parse_toml(data, AttackTable, format=ATTACKS_FORMAT, file=file)


def shipped_attack_tables() -> tuple[AttackTable, ...]:
    """The tables that come with harden, sorted by file name."""
    return tuple(
        parse_attack_table(shipped.text(f"{_FOLDER}/{name}").encode(), f"{_FOLDER}/{name}")
        for name in shipped.names(_FOLDER, ".toml")
    )
