"""A plan that was made before, if it would be made again: read, checked and started with next to no imports.

An entry holds the encoded plan, what it was made for (the key: command line, working folder, identity), and everything
that planning asked the system, with the answers: the *facts*, the versions of harden and of the interpreter among them.
It is used only if each question gets the same answer now; so the plan is the one that planning would give. Ids, cgroup,
descriptors and the one-shot cookie are of one run and are written in anew.

The command `harden` (_native/start) does the same before any Python.

Entries lie where no view of a sandbox shows them: in harden/plans of /run as root, of /run/user/UID else, if that is
$XDG_RUNTIME_DIR (file-hierarchy(7)); both end with the boot, as the plan does, and harden.folder_guard keeps every
program out of them, whatever its environment. `harden.launch.plan_cache` writes them.
"""

from __future__ import annotations

import fcntl
import os
import sys

from harden.errors import HardenError
from harden.kernel import caller, cgroup_owner
from harden.launch import fact

__all__ = [
    "FOLDER",
    "LARGEST",
    "MAGIC",
    "Entry",
    "encode_entry",
    "find",
    "key",
    "name_of",
    "read",
    "runtime_folder",
    "start",
    "status",
    "write_cookie",
]

MAGIC = b"HRDNCCH4"
FOLDER = "harden/plans"
LARGEST = 4 << 20
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_MFD_EXEC = 0x10
_PRIME = (1 << 127) - 1
_STATUS = (b"Uid:", b"Gid:", b"Groups:", b"NoNewPrivs:", b"Seccomp", b"Cap")


def key(argv: list[str]) -> list[bytes]:
    """What a plan is made for, as strings without NUL."""
    pages = b"%d" % os.sysconf("SC_PHYS_PAGES")
    # By its name alone the working folder could be another one that was mounted there.
    folder = os.stat(b".")
    words = [os.getcwdb(), b"%d:%d" % (folder.st_dev, folder.st_ino), pages, b"\n".join(status())]
    return words + [os.fsencode(argument) for argument in argv]


def status() -> list[bytes]:
    """Who this process is and what it may do, as lines of proc_pid_status(5)."""
    with open("/proc/self/status", "rb") as file:
        return [line for line in file.read().splitlines() if line.startswith(_STATUS)]


def name_of(words: list[bytes]) -> str:
    """File name for a key. Two keys may share one: the key itself is compared."""
    number = int.from_bytes(b"\0".join(words), "little")
    return f"{number % _PRIME:032x}"


def runtime_folder() -> str | None:
    """This user's folder for what ends with the boot; None where there is none, or one that no guard knows of."""
    if os.geteuid() == 0:
        return "/run"
    runtime = f"/run/user/{os.geteuid()}"
    return runtime if os.environ.get("XDG_RUNTIME_DIR") == runtime else None


class Entry:
    """An encoded plan and what is needed to use it again. Offsets are into `plan`."""

    __slots__ = (
        "cgroup",
        "cgroup_names",
        "controllers",
        "cookie",
        "facts",
        "fds",
        "filter_halves",
        "first_ids",
        "key",
        "notes",
        "owners",
        "plan",
        "program",
    )

    def __init__(self) -> None:
        self.key: list[bytes] = []
        self.facts: list[bytes] = []
        self.notes = b""
        """What the user is told on stderr."""
        self.plan = b""
        self.cgroup = b""
        """Folder in which the run's cgroup is made; b"": none."""
        self.program = b""
        """harden-exec's path."""
        self.controllers: list[bytes] = []
        """That the cgroup needs for its limits."""
        self.fds: list[int] = []
        """Of the descriptors of the cgroup's leaf and of the folder."""
        self.cgroup_names: list[int] = []
        """Of the 12 letters of the cgroup's name that are its own."""
        self.first_ids: list[int] = []
        """Of the 10 digits of the first id of the range; none: no range is needed."""
        self.owners: list[int] = []
        """Of ids of the range as 64-bit numbers, and after each how far it is above the first."""
        self.cookie: list[int] = []
        """Of the 64-bit cookie; none: the profile grants execve."""
        self.filter_halves: list[list[int]] = [[], []]
        """Of the low and the high half of the cookie in the filter."""

    def offsets(self) -> list[list[int]]:
        """All of them, in the order of the file."""
        return [self.fds, self.cgroup_names, self.first_ids, self.owners, self.cookie, *self.filter_halves]


def encode_entry(entry: Entry) -> bytes:
    """The bytes of an entry: strings separated by NUL, then the plan."""
    numbers = [b" ".join(b"%d" % offset for offset in offsets) for offsets in entry.offsets()]
    words = [entry.notes, entry.cgroup, entry.program, b" ".join(entry.controllers), *numbers, b"%d" % len(entry.plan)]
    head = b"\0".join([b"%d" % len(entry.key), *entry.key, *words, *entry.facts])
    return MAGIC + len(head).to_bytes(8, "little") + head + entry.plan


def _decode(data: bytes) -> Entry | None:
    size = int.from_bytes(data[8:16], "little")
    if data[:8] != MAGIC or size > len(data) - 16:
        return None
    words = data[16 : 16 + size].split(b"\0")
    entry = Entry()
    count = int(words[0])
    entry.key = words[1 : 1 + count]
    entry.notes, entry.cgroup, entry.program, controllers = words[1 + count : 5 + count]
    entry.controllers = controllers.split()
    numbers = [[int(number) for number in word.split()] for word in words[5 + count : 12 + count]]
    entry.fds, entry.cgroup_names, entry.first_ids, entry.owners, entry.cookie, *entry.filter_halves = numbers
    entry.facts = words[13 + count :]
    entry.plan = data[16 + size :]
    whole = len(entry.plan) == int(words[12 + count]) and len(entry.facts) % 3 == 0
    # Planning always asks: a plan that depends on nothing was not made by it.
    return entry if whole and entry.facts else None


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and status.st_mode & 0o077 == 0


def find(argv: list[str]) -> Entry | None:
    """The entry for this command line, if it still holds; None when planning has to be done."""
    try:
        words = key(argv)
    except OSError:
        # The working folder is gone: planning says so.
        return None
    entry = read(words)
    return entry if entry is not None and fact.holds(entry.facts) else None


def read(words: list[bytes]) -> Entry | None:
    """The entry for this key; None when there is none that can be trusted or understood."""
    runtime = runtime_folder()
    if runtime is None:
        return None
    try:
        at = os.open(f"{runtime}/{FOLDER}", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not _is_private(os.fstat(at)):
            return None
        file = os.open(name_of(words), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=at)
        try:
            status = os.fstat(file)
            if not _is_private(status) or status.st_mode & 0o170000 != 0o100000 or status.st_size > LARGEST:
                return None
            entry = _decode(os.read(file, LARGEST))
        finally:
            os.close(file)
    except (OSError, ValueError, IndexError, KeyError):
        return None
    finally:
        os.close(at)
    return entry if entry is not None and entry.key == words else None


def _sealed(name: str, content: bytes, flags: int) -> int:
    """`content`, or for an executable the file of that path, in a memfd that nobody can change."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | flags)
    if flags:
        source = os.open(content, os.O_RDONLY | os.O_CLOEXEC)
        while os.sendfile(descriptor, source, None, 1 << 24):
            pass
        os.close(source)
    elif os.write(descriptor, content) != len(content):
        raise OSError(28, "write")
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    return descriptor


def _write(plan: bytearray, offsets: list[int], value: bytes) -> None:
    for offset in offsets:
        plan[offset : offset + len(value)] = value


def write_cookie(plan: bytearray, entry: Entry) -> None:
    """Put in 64 random bits, of which neither half is in the plan already: no other constant is mistaken for one."""
    while True:
        cookie = os.urandom(8)
        low, high = cookie[:4], cookie[4:]
        if low != high and low not in entry.plan and high not in entry.plan and any(low) and any(high):
            break
    _write(plan, entry.cookie, cookie)
    _write(plan, entry.filter_halves[0], low)
    _write(plan, entry.filter_halves[1], high)


def _make_limited_cgroup(entry: Entry) -> tuple[int, int, str]:
    """One with controllers, whose way there can be long: by what a start without a kept plan does."""
    from harden.kernel.cgroupfs import make_cgroup

    made = make_cgroup(entry.cgroup, helper=False, controllers=[name.decode() for name in entry.controllers])
    return made.payload_fd, made.base_fd, made.name.removeprefix("harden-")


def _make_plain_cgroup(entry: Entry) -> tuple[int, int, str]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
    token = os.urandom(6).hex()
    base = os.open(entry.cgroup, flags)
    cgroup_owner.remove_stale(base)
    os.mkdir(f"harden-{token}", 0o755, dir_fd=base)
    os.mkdir(f"harden-{token}/limited", 0o755, dir_fd=base)
    os.mkdir(f"harden-{token}/limited/payload", 0o755, dir_fd=base)
    leaf = os.open(f"harden-{token}/limited/payload", flags, dir_fd=base)
    cgroup_owner.mark(leaf)
    return leaf, base, token


def _make_cgroup(plan: bytearray, entry: Entry) -> tuple[int, str]:
    if entry.controllers:
        leaf, base, token = _make_limited_cgroup(entry)
    else:
        leaf, base, token = _make_plain_cgroup(entry)
    for offset, descriptor in zip(entry.fds, (leaf, base), strict=True):
        os.set_inheritable(descriptor, True)
        _write(plan, [offset], descriptor.to_bytes(4, sys.byteorder))
    _write(plan, entry.cgroup_names, token.encode())
    return base, f"harden-{token}"


def start(entry: Entry) -> None:
    """Become harden-exec. Returns when something is not as it should be: planning anew will say what."""
    plan = bytearray(entry.plan)
    base, made = -1, ""
    try:
        for stream in range(3):
            os.fstat(stream)
        program = _sealed("harden-exec", entry.program, _MFD_EXEC)
        if entry.first_ids:
            from harden.kernel.idmap import claim_id_range

            ids = claim_id_range()
            os.set_inheritable(ids.lock, True)
            _write(plan, entry.first_ids, b"%d" % ids.first)
            for offset, above in zip(entry.owners[::2], entry.owners[1::2], strict=True):
                _write(plan, [offset], (ids.first + above).to_bytes(8, sys.byteorder))
        if entry.cookie:
            write_cookie(plan, entry)
        if entry.cgroup:
            base, made = _make_cgroup(plan, entry)
        encoded = _sealed("plan", bytes(plan), 0)
        os.set_inheritable(encoded, True)
        if entry.notes:
            os.write(2, entry.notes)
        os.execve(program, [b"harden-exec", b"%d" % encoded, b"%d" % caller.parent()], {})
    except (OSError, HardenError):
        for leaf in (f"{made}/limited/payload", f"{made}/limited", made) if made else ():
            os.rmdir(leaf, dir_fd=base)
