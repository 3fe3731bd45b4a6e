"""The workload: the program to run and how, as recordings and profiles store it."""

from __future__ import annotations

from typing import Final

import msgspec

from harden.model.sandbox import NetworkMode, UserNamespaceMode, View
from harden.model.stored_isolation import NO_ISOLATION, StoredIsolation

__all__ = ["MASK", "StoredBind", "Workload"]

MASK: Final = "[masked]"
"""What stands in arguments and values where a secret was."""


class StoredBind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True):
    """A `--bind` as text: `source` outside, `target` inside."""

    source: str
    target: str
    writable: bool = False


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
