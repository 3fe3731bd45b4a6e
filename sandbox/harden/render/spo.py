"""Objects of the Security Profiles Operator: a SeccompProfile and an AppArmorProfile.

Source: the operator's custom resource definitions, group security-profiles-operator.x-k8s.io, version v1.
"""

from __future__ import annotations

import re
from typing import Any, Final

from harden.model.path_pattern import PathPattern
from harden.model.path_text import to_text
from harden.model.profile import Profile
from harden.model.recording import FileOperation
from harden.render.ability import CHANGES, has_files, has_network
from harden.render.plain_name import dns_label, plain_name
from harden.render.rendered import Limit, Rendered
from harden.render.seccomp import LIMITS as SECCOMP_LIMITS
from harden.render.seccomp import seccomp_document
from harden.render.yaml_text import render_yaml

__all__ = ["LIMITS", "render_spo"]

_PLAIN: Final = re.compile(rb"/[A-Za-z0-9._+:=/-]*")
"""What the operator's template, which quotes nothing, puts into a rule unharmed."""
_READS: Final = frozenset({FileOperation.READ, FileOperation.LIST, FileOperation.UNLINK, FileOperation.REFER})
_INET: Final = ("AF_INET", "AF_INET6")


LIMITS: Final = (
    *SECCOMP_LIMITS,
    Limit("defaultErrnoRet: the object has no such field, refused calls that are not listed give EPERM"),
    Limit("patterns of paths, and names with more than letters, digits and ._+:=/-: they are left out", has_files),
    Limit("single file rights: there are reading and writing, and writing also links and locks", has_files),
    Limit("UNIX sockets, families, addresses, ports: there are TCP, UDP and raw", has_network),
)


def render_spo(profile: Profile) -> Rendered:
    """Both objects as YAML."""
    seccomp, warnings = seccomp_document(profile)
    left_out: list[str] = []
    name = dns_label(profile)
    text = render_yaml(
        _object("SeccompProfile", name, _seccomp(seccomp)),
        _object("AppArmorProfile", name, {"mode": "Enforce", "abstract": _abstract(profile, left_out)}),
        comment=f"Written by harden from the profile {plain_name(profile)}.",
    )
    return Rendered(content=text.encode("ascii"), warnings=(*warnings, *_few(left_out)))


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "security-profiles-operator.x-k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def _seccomp(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "defaultErrnoRet"}


def _abstract(profile: Profile, left_out: list[str]) -> dict[str, Any]:
    executables, libraries = set[str](), set[str]()
    read_only, write_only, read_write = set[str](), set[str](), set[str]()
    for pattern, operations in profile.rights.all_files():
        path = _plain(pattern)
        if not operations - {FileOperation.STAT}:
            continue
        if path is None:
            left_out.append(pattern.text)
            continue
        if FileOperation.EXEC in operations:
            executables.add(path)
        elif FileOperation.MAP in operations:
            libraries.add(path)
        paths = {path, f"{path}/"} if FileOperation.LIST in operations and path != "/" else {path}
        if operations & (CHANGES | {FileOperation.LOCK}) and operations & _READS:
            read_write |= paths
        elif operations & (CHANGES | {FileOperation.LOCK}):
            write_only |= paths
        elif operations & _READS and not operations & {FileOperation.EXEC, FileOperation.MAP}:
            read_only |= paths
    sockets = {(rule.family, rule.protocol.removesuffix("6")) for rule in profile.rights.all_network()}
    protocols = {protocol for family, protocol in sockets if family in _INET}
    capabilities = sorted(cap.name.removeprefix("CAP_").lower() for cap in profile.rights.all_capabilities())
    return {
        "executable": {"allowedExecutables": sorted(executables), "allowedLibraries": sorted(libraries)},
        "filesystem": {
            "readOnlyPaths": sorted(read_only),
            "writeOnlyPaths": sorted(write_only),
            "readWritePaths": sorted(read_write),
        },
        "network": {
            "allowRaw": "raw" in protocols,
            "allowedProtocols": {"allowTcp": "tcp" in protocols, "allowUdp": "udp" in protocols},
        },
        "capability": {"allowedCapabilities": capabilities},
    }


def _plain(pattern: PathPattern) -> str | None:
    if not pattern.is_literal or not _PLAIN.fullmatch(pattern.path):
        return None
    return to_text(pattern.path)


def _few(left_out: list[str]) -> tuple[str, ...]:
    if not left_out:
        return ()
    return (f"left out of the AppArmorProfile: {', '.join(left_out[:3])}{' …' if left_out[3:] else ''}",)
