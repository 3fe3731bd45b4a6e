"""sibling-gap: a call is refused, and another that does the same gets through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.passage import lets_through, reached
from harden.check.subject import Facet, Reach, Section
from harden.model.severity import Severity

__all__ = ["CHECK"]

_SAME: Final = (
    ("execve", ("execveat",)),
    ("ptrace", ("process_vm_readv", "process_vm_writev", "pidfd_getfd")),
    ("init_module", ("finit_module",)),
    ("kexec_load", ("kexec_file_load",)),
    ("mount", ("move_mount", "fsmount")),
    ("name_to_handle_at", ("open_by_handle_at",)),
    ("chroot", ("pivot_root",)),
    ("setuid", ("setreuid", "setresuid")),
    ("setgid", ("setregid", "setresgid")),
    ("settimeofday", ("clock_settime", "adjtimex", "clock_adjtime")),
    ("io_uring_setup", ("io_uring_register",)),
    ("iopl", ("ioperm",)),
)
"""The usual call, and the others that give the same to who is refused it."""
_SAME_WHERE_THE_REST_IS_OPEN: Final = (
    ("open", ("openat", "openat2", "creat")),
    ("unlink", ("unlinkat",)),
    ("rename", ("renameat", "renameat2")),
    ("chmod", ("fchmodat", "fchmodat2")),
    ("chown", ("fchownat", "lchown")),
    ("mknod", ("mknodat",)),
    ("link", ("linkat",)),
    ("symlink", ("symlinkat",)),
    ("mkdir", ("mkdirat",)),
    ("fork", ("vfork", "clone", "clone3")),
    ("kill", ("tkill", "tgkill", "pidfd_send_signal")),
)
"""In a list of what is allowed such a gap is a question of portability; in a list of what is forbidden, a hole."""


def _run(case: Case) -> Iterator[Hit]:
    facet = case.subject.seccomp
    assert facet is not None
    rows = _SAME + (_SAME_WHERE_THE_REST_IS_OPEN if lets_through(facet.unknown) else ())
    for usual, others in rows:
        if any(facet.reach(arch, usual) is not Reach.NEVER for arch in facet.architectures):
            continue
        for name, _, _ in reached(facet, others):
            yield Hit(
                message=f"{usual} is refused, but {name}, which does the same, is allowed",
                subject=name,
                section=Section.SYSCALL,
                word=name,
            )


CHECK: Final = Check(
    id="sibling-gap",
    severity=Severity.MEDIUM,
    title="a refused call has an allowed sibling",
    why="Several calls do the same work; refusing one of them refuses nothing to a program that makes another.",
    fix="Refuse the whole family, or allow the call that is meant.",
    needs=(Facet.SECCOMP,),
    run=_run,
)
