"""A systemd drop-in: every restriction of a service that the profile permits. Source: systemd.exec(5).

A setting is written only where what it refuses is not granted, so a service that keeps to the profile does not notice
it. System calls are listed by name: `@` groups change with every version.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from harden.model.network_rule import ANY_PORT, NetworkOperation
from harden.model.profile import Profile, Rights
from harden.model.resource_limit import LimitName
from harden.model.syscall_argument_names import ADDRESS_FAMILIES
from harden.model.widening import Widening
from harden.render import ability
from harden.render.asked_limits import limits_of
from harden.render.plain_name import plain_name
from harden.render.quoted import Quoted, fill
from harden.render.rendered import Limit, Rendered
from harden.render.systemd_asked import ISOLATION, asked_settings
from harden.render.systemd_files import Setting, device_settings, file_settings
from harden.render.systemd_filter import architectures, syscall_filter
from harden.render.widening_text import summarize

__all__ = ["ISOLATION", "LIMITS", "render_systemd"]

_CLOCK_CALLS: Final = ("clock_settime", "clock_settime64", "settimeofday", "adjtimex", "clock_adjtime", "stime")
_MODULE_CALLS: Final = ("init_module", "finit_module", "delete_module", "create_module")
_LIMIT_KEYS: Final = {
    LimitName.MEMORY: "MemoryMax",
    LimitName.PIDS: "TasksMax",
    LimitName.NOFILE: "LimitNOFILE",
}
_CURRENT_PERSONALITY: Final = frozenset({0, 0xFFFFFFFF})


def _lacks_exec(profile: Profile) -> bool:
    return not ability.is_granted(profile.rights, "execve")


LIMITS: Final = (
    Limit("arguments of system calls, except by MemoryDenyWriteExecute=, RestrictNamespaces= and the like",
          ability.has_arguments),
    Limit("which error a refused call gives: all give ENOSYS, so that a C library falls back"),
    Limit("calls that the host's libseccomp has no name for: systemd says so in the journal and passes over them"),
    Limit("no execve: systemd needs it to start the service; harden run allows it once", _lacks_exec),
    Limit("which files are read: all that the service's user may read, but those in InaccessiblePaths=",
          ability.has_files),
    Limit("writing, creating and removing are one right in ReadWritePaths=", ability.has_files),
    Limit("socket types and protocols; UNIX socket addresses; ports that are connected to", ability.has_network),
    Limit("/run is private: Type=notify and the D-Bus socket need a BindPaths= of yours"),
)  # fmt: skip


class _Section(msgspec.Struct, frozen=True):
    title: Quoted
    settings: list[tuple[Quoted, Quoted]]


def render_systemd(profile: Profile, template: str) -> Rendered:
    """The text of a drop-in; `template` is the content of templates/systemd.j2."""
    warnings: list[str] = []
    widenings: list[Widening] = []
    parts = {
        "System calls": _calls(profile.rights, warnings),
        "Privileges": _privileges(profile.rights),
        "Files": file_settings(profile, warnings, widenings),
        "Devices": device_settings(profile, warnings),
        "Kernel": _kernel(profile.rights),
        "Network": _network(profile, warnings),
        "Limits": _limits(profile),
        "Asked for": asked_settings(profile, warnings),
    }
    written = {title: [(Quoted(key), value) for key, value in settings] for title, settings in parts.items()}
    sections = [_Section(Quoted(title), settings) for title, settings in written.items() if settings]
    text = fill(template, {"name": Quoted(plain_name(profile)), "sections": sections})
    return Rendered(content=text.encode(), warnings=(*warnings, *summarize(sorted(set(widenings)))))


def _on(key: str) -> Setting:
    return key, Quoted("yes")


def _calls(rights: Rights, warnings: list[str]) -> Iterator[Setting]:
    yield "SystemCallArchitectures", architectures(rights)
    yield "SystemCallErrorNumber", Quoted("ENOSYS")
    for value in syscall_filter(rights, warnings):
        yield "SystemCallFilter", value
    if not ability.makes_executable(rights):
        yield _on("MemoryDenyWriteExecute")
    personalities = rights.argument_values("personality")
    if not ability.is_granted(rights, "personality") or (
        personalities is not None and all(row[0] in _CURRENT_PERSONALITY for row in personalities)
    ):
        yield _on("LockPersonality")
    if not ability.is_granted(rights, "sched_setscheduler", "sched_setattr"):
        yield _on("RestrictRealtime")
    if not ability.is_granted(rights, "openat2"):
        # It answers ENOSYS to openat2, whose mode no filter can see.
        yield _on("RestrictSUIDSGID")


def _privileges(rights: Rights) -> Iterator[Setting]:
    names = Quoted(" ".join(sorted(capability.name for capability in rights.all_capabilities())))
    yield _on("NoNewPrivileges")
    yield "CapabilityBoundingSet", names
    yield "AmbientCapabilities", names
    kinds = ability.namespaces(rights)
    if kinds != ability.NAMESPACE_FLAGS.keys():
        yield "RestrictNamespaces", Quoted(" ".join(sorted(kinds)) or "yes")
    if not names and not kinds:
        yield _on("PrivateUsers")
    yield "KeyringMode", Quoted("private")
    yield _on("PrivateMounts")
    yield _on("PrivateIPC")


def _kernel(rights: Rights) -> Iterator[Setting]:
    granted = list(rights.all_files())
    names = {capability.name for capability in rights.all_capabilities()}
    others_calls = ability.is_granted(rights, "process_vm_readv", "process_vm_writev", "ptrace", "pidfd_getfd")
    if not others_calls and "CAP_SYS_PTRACE" not in names:
        yield "ProtectProc", Quoted("invisible")
    if not _uses_whole_proc(granted):
        yield "ProcSubset", Quoted("pid")
    if not ability.is_granted(rights, "sethostname", "setdomainname"):
        yield _on("ProtectHostname")
    if not ability.is_granted(rights, *_CLOCK_CALLS) and not names & {"CAP_SYS_TIME", "CAP_WAKE_ALARM"}:
        yield _on("ProtectClock")
    if not ability.changes_beneath(granted, b"/proc", b"/sys"):
        yield _on("ProtectKernelTunables")
    modules = ability.uses_beneath(granted, b"/usr/lib/modules", b"/lib/modules")
    if not ability.is_granted(rights, *_MODULE_CALLS) and "CAP_SYS_MODULE" not in names and not modules:
        yield _on("ProtectKernelModules")
    logs = ability.uses_beneath(granted, b"/dev/kmsg", b"/proc/kmsg")
    if not ability.is_granted(rights, "syslog") and "CAP_SYSLOG" not in names and not logs:
        yield _on("ProtectKernelLogs")
    if not ability.changes_beneath(granted, b"/sys/fs/cgroup"):
        yield _on("ProtectControlGroups")


def _limits(profile: Profile) -> Iterator[Setting]:
    for name, most in limits_of(profile).items():
        yield _LIMIT_KEYS[name], Quoted(str(most))


def _uses_whole_proc(granted: ability.Granted) -> bool:
    """Whether the program reads more of /proc than what is about processes."""
    own = ("/proc/self", "/proc/thread-self", "/proc/@{pid}")
    return any(pattern.text.startswith("/proc/") and not pattern.text.startswith(own) for pattern, _ in granted)


def _network(profile: Profile, warnings: list[str]) -> Iterator[Setting]:
    rights = profile.rights
    families = ability.socket_families(rights)
    if families is not None:
        known = sorted(families & set(ADDRESS_FAMILIES.values()))
        for family in sorted(families - set(known)):
            warnings.append(f"address family {family}: left out, it has no name")
        yield "RestrictAddressFamilies", Quoted(" ".join(known) or "none")
    inet = families is None or families & {"AF_INET", "AF_INET6"}
    if not inet and not ability.has_inet(profile):
        yield _on("PrivateNetwork")
    yield "SocketBindDeny", Quoted("any")
    for value in sorted(set(_binds(rights, warnings))):
        yield "SocketBindAllow", Quoted(value)
    binds = ability.inet_rules(rights, NetworkOperation.BIND)
    if any(ability.reaches_outside(rule) for rule in binds):
        warnings.append("IPAddressAllow=: left out, a server answers any address")
        return
    yield "IPAddressDeny", Quoted("any")
    peers = {rule.address for rule in ability.inet_rules(rights, NetworkOperation.CONNECT)}
    loopback = any(not ability.reaches_outside(rule) for rule in binds)
    if peers or loopback:
        yield "IPAddressAllow", Quoted(" ".join(["localhost"] * loopback + sorted(peers)))


def _binds(rights: Rights, warnings: list[str]) -> Iterator[str]:
    for rule in ability.inet_rules(rights, NetworkOperation.BIND):
        protocol = rule.protocol.removesuffix("6")
        if protocol not in ("tcp", "udp"):
            continue
        family = "ipv6" if rule.family == "AF_INET6" else "ipv4"
        if rule.port in (0, ANY_PORT):
            warnings.append(f"{rule.render()}: every {protocol} port may be bound, SocketBindAllow= has no port 0")
            yield f"{family}:{protocol}"
        else:
            yield f"{family}:{protocol}:{rule.port}"
