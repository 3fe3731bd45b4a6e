"""Landlock rules for paths without symbolic links: harden-exec grants nothing for a path that holds one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

import msgspec

from harden.errors import KernelError
from harden.launch.ops import Code
from harden.launch.symlinks import follow, is_below
from harden.launch.tree import Tree
from harden.model.sandbox import LandlockRules, View

__all__ = ["resolve_rules"]

_ROOT_LINKS: Final = (b"/bin", b"/sbin", b"/lib", b"/lib32", b"/lib64", b"/libx32", b"/var/run", b"/var/lock")
"""Links of the host that distributions have; the minimal view makes its own ones."""
_SYSTEM: Final = (b"/usr", b"/etc/alternatives")
"""Trees of the host whose links are its administrator's."""


def resolve_rules(rules: LandlockRules, tree: Tree) -> LandlockRules:
    """The rules with the links followed that the view made itself or that are the host administrator's.

    A link anywhere else can be the program's own, left by an earlier run: it is not followed here, and harden-exec
    refuses to follow it.
    """
    made = {step.strings[1]: step.strings[0] for step in tree.inside if step.code is Code.SYMLINK}
    writable = (*tree.spec.writable, *(bind.target for bind in tree.spec.binds))
    root = tree.spec.isolation.rootfs or b""
    if tree.spec.view is View.HOST or root:
        made |= {link: os.readlink(root + link) for link in _ROOT_LINKS if os.path.islink(root + link)}
    made = {link: to for link, to in made.items() if not any(is_below(link, path) for path in writable)}
    files = tuple(msgspec.structs.replace(rule, path=_follow(rule.path, made, writable, root)) for rule in rules.files)
    return msgspec.structs.replace(rules, files=files)


def _follow(path: bytes, made: Mapping[bytes, bytes], writable: tuple[bytes, ...], root: bytes) -> bytes:
    """`path` as it stands after its known links; as it was where they lead in a circle, which grants nothing."""
    try:
        return follow(path, lambda step: made.get(step) or _system_link(step, writable, root))
    except KernelError:
        return path


def _system_link(path: bytes, writable: tuple[bytes, ...], root: bytes) -> bytes | None:
    if not any(is_below(path, system) for system in _SYSTEM) or any(is_below(path, own) for own in writable):
        return None
    try:
        return os.readlink(root + path)
    except OSError:
        # Not there or no link: the path stands as it is.
        return None
