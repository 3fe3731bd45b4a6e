"""Landlock rules for paths without symbolic links: harden-exec grants nothing for a path that holds one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

import msgspec

from harden.errors import KernelError
from harden.launch.ops import Code
from harden.launch.symlinks import follow, leads_to_others, lies_in
from harden.launch.tree import Tree
from harden.model.sandbox import FileRule, LandlockRules, View

__all__ = ["resolve_rules"]

_ROOT_LINKS: Final = (b"/bin", b"/sbin", b"/lib", b"/lib32", b"/lib64", b"/libx32", b"/var/run", b"/var/lock")
"""Links of the host that distributions have; the minimal view makes its own ones."""
_SYSTEM: Final = (b"/usr", b"/etc/alternatives")
"""Trees of the host whose links are its administrator's."""
_CHANGES: Final = 1 << 1 | sum(1 << bit for bit in range(4, 15))
"""LANDLOCK_ACCESS_FS_WRITE_FILE, REMOVE_*, MAKE_*, REFER and TRUNCATE: linux/landlock.h."""

_Links = Callable[[bytes], bytes | None]


def resolve_rules(rules: LandlockRules, tree: Tree) -> LandlockRules:
    """The rules with the links followed that the view made itself or shows, or that are the host administrator's.

    A link in a folder that the program may write to can be its own, left by an earlier run: it is not followed here,
    and harden-exec refuses to follow it. A link to a folder of other programs gives no right to change that.
    """
    made = {step.strings[1]: step.strings[0] for step in tree.inside if step.code is Code.SYMLINK}
    added = tree.spec.isolation
    covered = (
        *tree.spec.writable,
        *(bind.target for bind in tree.spec.binds),
        *(mount.target for mount in added.tmpfs),
        *(mount.target for mount in added.overlays),
    )
    root = tree.spec.isolation.rootfs or b""
    if tree.spec.view is View.HOST or root:
        made |= {link: os.readlink(root + link) for link in _ROOT_LINKS if os.path.islink(root + link)}

    def link_at(path: bytes) -> bytes | None:
        if tree.guard.is_programs(root + path) or lies_in(path, covered):
            return None
        return made.get(path) or _host_link(path, (*_SYSTEM, *tree.shown), root)

    return msgspec.structs.replace(rules, files=tuple(_resolved(rule, link_at, root) for rule in rules.files))


def _resolved(rule: FileRule, link_at: _Links, root: bytes) -> FileRule:
    """The rule for where its path leads; as it was where links lead in a circle, which grants nothing."""
    try:
        path = follow(rule.path, link_at)
    except KernelError:
        return rule
    access = rule.access & ~_CHANGES if leads_to_others(rule.path, path, root) else rule.access
    return FileRule(path=path, access=access)


def _host_link(path: bytes, trees: tuple[bytes, ...], root: bytes) -> bytes | None:
    if not lies_in(path, trees):
        return None
    try:
        return os.readlink(root + path)
    except OSError:
        # Not there or no link: the path stands as it is.
        return None
