"""The workload: the program to run and how, as recordings and profiles store it."""

from __future__ import annotations

import msgspec

from harden.model.capability import require_known
from harden.model.path_text import MASK, check_absolute, from_text
from harden.model.sandbox import NetworkMode, UserNamespaceMode, View
from harden.model.stored_isolation import MOST_ID, NO_ISOLATION, StoredIsolation

__all__ = ["MASK", "StoredBind", "Workload"]


class StoredBind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True):
    """A `--bind` as text: `source` outside, `target` inside."""

    source: str
    target: str
    writable: bool = False

    def __post_init__(self) -> None:
        check_absolute("bind", self.source)
        check_absolute("bind", self.target)


class Workload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What was run. Paths and arguments are path text (see `path_text`).

    The file is committed, so `environment` gives only names; `environment_values` holds the values of the few names
    on the allow-list or given with `--env NAME=VALUE`.
    """

    program: str
    """Absolute path as the program was started inside, symlinks not resolved."""
    digest: str = ""
    """`sha256:` and the hexadecimal digest of the program's file."""
    build_id: str = ""
    """The ELF build id, hexadecimal; empty when the file has none."""
    argv: tuple[str, ...]
    """All arguments, argv[0] first."""
    cwd: str
    environment: tuple[str, ...] = ()
    environment_values: dict[str, str] = {}
    user: str = ""
    """The user by name, where `--user` gave a name: a start takes the numbers that its host has for it."""
    uid: int | None = None
    gid: int | None = None
    """Where there is a name, the numbers of the host that recorded."""
    network: NetworkMode = NetworkMode.NONE
    user_namespace: UserNamespaceMode = UserNamespaceMode.SHIFTED
    view: View = View.HOST
    binds: tuple[StoredBind, ...] = ()
    capabilities: tuple[str, ...] = ()
    """Held while it was recorded, CAP_* names."""
    isolation: StoredIsolation = NO_ISOLATION
    scenario: str = ""
    """Path text of the scenario file that drove it, as given."""

    def __post_init__(self) -> None:
        check_absolute("program", self.program)
        check_absolute("cwd", self.cwd)
        if not self.argv:
            raise ValueError("argv is empty")
        for name in (*self.environment, *self.environment_values):
            if not name or "=" in name:
                raise ValueError(f"a variable is named {name!r}")
        words = (*self.argv, *self.environment, *self.environment_values, *self.environment_values.values())
        for word in (*words, self.user, self.scenario):
            if b"\0" in from_text(word):
                raise ValueError(f"NUL in {word!r}: it ends every text that is given to a program")
        require_known(self.capabilities)
        for number in (self.uid, self.gid):
            if number is not None and not 0 <= number <= MOST_ID:
                raise ValueError(f"ids inside a sandbox go from 0 to {MOST_ID}, not {number}")
