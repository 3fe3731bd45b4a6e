"""Records what planning asks the system: every question of `fact.QUESTIONS`, with its answer.

Planning asks through the functions of the module os, which are exchanged while it runs, so that no question can be
forgotten; files that are opened, processes and sockets are told by the interpreter (sys.addaudithook). What has no
question for it makes the plan one that is not kept.

A relative path is kept as one: where the working folder is mounted over, its absolute form is another file.
"""

from __future__ import annotations

import grp
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Final, Self

from harden.launch import fact
from harden.launch.accounts import is_of_file

__all__ = ["Lookups"]

_CODE: Final = (b".py", b".pyc", b".so", b".pth")
_CODE_FOLDERS: Final = tuple(
    os.fsencode(folder) + b"/" for folder in {sys.prefix, sys.base_prefix, os.path.dirname(os.path.dirname(__file__))}
)
"""Where the interpreter finds modules; elsewhere such a file is the program, or belongs to it."""
_DESCRIPTORS: Final = (b"/proc/self/fd/", b"/proc/self/fdinfo/")
"""What they say follows from the questions that opened the descriptor, and from the mount table."""
_ALWAYS: Final = (b"/proc/self/status",)
"""Part of the key."""
_KERNEL: Final = (b"/proc/", b"/sys/")
_TEXTS: Final = (b".toml",)
_HARMLESS: Final = {"open", "os.listdir", "os.scandir", "os.posix_spawn", "import", "compile", "exec"}
_CHANGES: Final = ("os.", "shutil.", "socket.", "subprocess.", "ctypes.", "urllib.", "pty.")
_ACCOUNTS: Final = ((pwd, "getpwnam", "passwd"), (grp, "getgrnam", "group"))
_active: list[Lookups] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _active and not _active[-1].asking:
        _active[-1].told(event, arguments)


class Lookups:
    """A context manager: records until it is left. One at a time; for a process of one thread."""

    def __init__(self) -> None:
        self.answers: dict[tuple[bytes, bytes], bytes] = {}
        self.unknown = ""
        """What was asked that cannot be asked again; "" if nothing."""
        self.asking = False
        self._real: dict[str, Callable[..., Any]] = {}
        self._accounts: dict[ModuleType, Callable[..., Any]] = {}

    def __enter__(self) -> Self:
        if not getattr(sys, "_harden_lookups", False):
            sys.addaudithook(_hook)
            sys._harden_lookups = True  # type: ignore[attr-defined]
        for name in ("stat", "lstat", "readlink", "access", "listdir", "scandir"):
            self._real[name] = getattr(os, name)
            setattr(os, name, self._recorded(name))
        for module, name, database in _ACCOUNTS:
            self._accounts[module] = getattr(module, name)
            setattr(module, name, self._looked_up(self._accounts[module], database))
        _active.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Record no more."""
        if self in _active:
            _active.remove(self)
        while self._real:
            name, function = self._real.popitem()
            setattr(os, name, function)
        for module, name, _ in _ACCOUNTS:
            if module in self._accounts:
                setattr(module, name, self._accounts.pop(module))

    def ask_account(self, database: str, word: str) -> None:
        """Note the files that tell of a user or group, by name or number; another source cannot be asked again."""
        try:
            found = is_of_file(database, word)
        except OSError:
            found = False
        if not found:
            self.unknown = self.unknown or f"{word} is not in /etc/{database}, or not only"

    def _looked_up(self, real: Callable[[str], Any], database: str) -> Callable[[str], Any]:
        def function(name: str) -> Any:
            self.ask_account(database, name)
            return real(name)

        return function

    def ask(self, question: bytes, path: bytes) -> None:
        """Note a question with the answer that it has now."""
        self.asking = True
        try:
            found = fact.answer(question, path)
        finally:
            self.asking = False
        self._note(question, path, found)

    def _note(self, question: bytes, path: bytes, found: bytes) -> None:
        if self.answers.setdefault((question, path), found) != found:
            self.unknown = self.unknown or f"{os.fsdecode(path)} changed"
        if found == fact.TOO_LARGE:
            self.unknown = self.unknown or f"{os.fsdecode(path)} is too large"

    def _recorded(self, name: str) -> Callable[..., Any]:
        real = self._real[name]

        def function(path: Any = b".", *arguments: Any, **options: Any) -> Any:
            if isinstance(path, int) or self.asking:
                return real(path, *arguments, **options)
            question = name.encode()
            if name == "access":
                question += b"%d" % arguments[0]
            elif name == "stat" and options.pop("follow_symlinks", True) is False:
                question = b"lstat"
                return self._asked(question, path, os.lstat, (), options)
            return self._asked(question, path, real, arguments, options)

        return function

    def _asked(self, question: bytes, path: Any, real: Callable[..., Any], arguments: Any, options: Any) -> Any:
        if options.get("dir_fd") is not None or question not in fact.QUESTIONS:
            self.unknown = self.unknown or f"{question.decode()} of {path!r}"
        self.ask(question, os.fsencode(os.fspath(path)))
        self.asking = True
        try:
            return real(path, *arguments, **options)
        finally:
            self.asking = False

    def told(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The interpreter is about to do this."""
        if event == "open":
            path, _, flags = arguments
            if not isinstance(path, int):
                self._opened(os.fsencode(os.fspath(path)), flags or 0)
        elif event == "os.posix_spawn" and list(arguments[1][:2]) == [b"harden-exec", b"probe"]:
            # What it finds follows from what is asked of the kernel below.
            self._kernel()
        elif event.startswith(_CHANGES) and (event not in _HARMLESS or event == "os.posix_spawn"):
            self.unknown = self.unknown or event

    def _opened(self, path: bytes, flags: int) -> None:
        is_code = path.endswith(_CODE) and path.startswith(_CODE_FOLDERS)
        if is_code or path.startswith(_DESCRIPTORS) or path in _ALWAYS:
            return
        if flags & os.O_PATH or flags & os.O_DIRECTORY == os.O_DIRECTORY:
            self.ask(b"lstat", path)
        elif flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            self.unknown = self.unknown or f"{os.fsdecode(path)} is written"
        elif path.endswith(_TEXTS):
            # First: /proc/self/cwd leads to such files too.
            self.ask(b"document", path)
        elif path.startswith(_KERNEL):
            # A cgroup is asked for its processes only to know whether this one is the only one.
            self.ask(b"alone" if path.endswith(b"/cgroup.procs") else b"content", path)
        else:
            self.ask(b"version", path)

    def _kernel(self) -> None:
        """What decides about what this process can do, beside what is in the key."""
        for path in (
            "/proc/sys/kernel/random/boot_id",
            "/proc/sys/kernel/unprivileged_userns_clone",
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "/proc/sys/vm/memfd_noexec",
            "/proc/self/attr/current",
            "/proc/self/mountinfo",
            "/proc/self/cgroup",
            *map(str, sorted(Path("/proc/sys/user").glob("max_*_namespaces"))),
        ):
            self.ask(b"content", os.fsencode(path))
        for name in ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"):
            self.ask(b"readlink", b"/proc/self/ns/" + name.encode())
