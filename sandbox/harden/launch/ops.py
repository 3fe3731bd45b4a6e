"""The operations of a plan as values: each knows its words, what to say when it fails, and its encoding.

The numbers are those of `_native/exec/plan.h`; harden-exec refuses what does not fit its own table.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

__all__ = ["FIRST_ID", "Check", "Code", "Flag", "Op", "Stage", "op"]

FIRST_ID: Final = b"{first-id}"
"""Stands for the first id of the sandbox's range in id maps until the range is claimed, when the sandbox starts."""


class Stage(enum.IntEnum):
    """Which process carries an operation out."""

    OUTSIDE = 0
    INIT = 1
    PAYLOAD = 2
    CHECK = 3


class Code(enum.IntEnum):
    """enum op_code."""

    CLONE_INIT = 1
    MAP_IDS = 2
    STAGING = 3
    CLONE_TREE = 4
    SET_ATTRIBUTES = 5
    OVERLAY = 6
    TMPFS = 7
    PROC = 8
    CLONE_PAYLOAD = 9
    JOIN_NETWORK = 10
    SYSFS = 11
    DEVPTS = 12
    ROOT = 13
    ATTACH = 14
    FOLDER = 15
    SYMLINK = 16
    MASK = 17
    READ_ONLY = 18
    PIVOT = 19
    LOCK_DOWN = 20
    HOSTNAME = 21
    LOOPBACK = 22
    KEYRING = 23
    WAIT_FOR_ROOT = 24
    COPY_MOUNTS = 25
    RLIMIT = 26
    LANDLOCK = 27
    LANDLOCK_PATH = 28
    LANDLOCK_PORT = 29
    SESSION = 30
    BOUNDING = 31
    IDS = 32
    CAPABILITIES = 33
    APPARMOR = 34
    CWD = 35
    NO_NEW_PRIVS = 36
    LANDLOCK_RESTRICT = 37
    GATE = 38
    CLOSE_FDS = 39
    SECCOMP = 40
    EXEC = 41
    CHECK = 42
    JOIN = 43
    NOTIFY = 44
    LIMIT = 45
    DEVICES = 46
    MAP_RANGES = 47
    GROUPS = 48
    PASS_FD = 49
    DEVICE_NODE = 50


class Flag(enum.IntFlag):
    """enum op_flag."""

    NONE = 0
    RECURSIVE = 1 << 0
    IDMAP = 1 << 1
    MISSING_OK = 1 << 2
    MAKE_FOLDER = 1 << 3
    MAKE_FILE = 1 << 4
    DENY_SETGROUPS = 1 << 5
    USER_XATTR = 1 << 6
    OWN_NAMESPACE = 1 << 7
    COOKIE = 1 << 8
    SET_GROUPS = 1 << 9
    FOLLOW = 1 << 10
    ALWAYS = 1 << 11


class Check(enum.IntEnum):
    """enum check_kind: what is read back from the kernel for a control."""

    NOTHING = 0
    NAMESPACE = 1
    NO_NEW_PRIVS = 2
    SECCOMP = 3
    CAPABILITIES = 4
    ID_MAP = 5
    ROOT = 6
    LANDLOCK = 7
    APPARMOR = 8
    RLIMITS = 9
    LIMITS = 10
    DEVICES = 11
    PROCESS = 12


class Op(msgspec.Struct, frozen=True, kw_only=True):
    """One step. `blob` is a program (LOCK_DOWN, SECCOMP, NOTIFY, DEVICES); `lists` are argument vectors (EXEC)."""

    stage: Stage
    code: Code
    words: str
    flags: Flag = Flag.NONE
    strings: tuple[bytes, ...] = ()
    slots: tuple[int, ...] = ()
    numbers: tuple[int, ...] = ()
    blob: bytes = b""
    lists: tuple[tuple[bytes, ...], ...] = ()
    sentence: str = ""
    hint: str = ""

    def describe(self) -> str:
        """The step in words, for `harden run --plan`; nothing for what only passes data along."""
        return self.words


def op(
    stage: Stage,
    code: Code,
    words: str,
    *,
    strings: tuple[bytes, ...] = (),
    slots: tuple[int, ...] = (),
    numbers: tuple[int, ...] = (),
    flags: Flag = Flag.NONE,
    blob: bytes = b"",
    lists: tuple[tuple[bytes, ...], ...] = (),
    sentence: str = "",
    hint: str = "",
) -> Op:
    """An Op whose sentence, unless another is given, says that `words` failed."""
    return Op(
        stage=stage,
        code=code,
        words=words,
        flags=flags,
        strings=strings,
        slots=slots,
        numbers=numbers,
        blob=blob,
        lists=lists,
        sentence=sentence or f"cannot {words}",
        hint=hint or "run `harden doctor`: it says what this host lacks and how to fix it",
    )
