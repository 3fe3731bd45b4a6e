"""Which kind of file it is, and its reader. Kinds are told apart by content, then by the name's suffix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from harden.check.foreign.apparmor import is_apparmor, read_apparmor
from harden.check.foreign.docker import is_docker, read_docker
from harden.check.foreign.json_source import JsonSource
from harden.check.foreign.oci import read_oci
from harden.check.foreign.raw_bpf import is_raw_bpf, read_raw_bpf
from harden.check.foreign.seccomp_json import Assumptions
from harden.check.foreign.source import Source, check_size
from harden.check.foreign.systemd import read_systemd
from harden.check.subject import Subject
from harden.errors import DocumentError
from harden.model.arch import Arch
from harden.model.capability import DOCKER_DEFAULT, Capability

__all__ = ["read_foreign"]

_UNIT_SUFFIXES: Final = (".service", ".socket", ".mount", ".swap")
_UNIT_SECTION: Final = re.compile(r"(?m)^\[(?:Unit|Service|Socket|Mount|Swap|Install)\]\s*$")
_HINT: Final = (
    "harden check reads *.profile.toml, seccomp JSON of OCI, Docker and Podman, systemd units, AppArmor profiles and "
    "raw BPF filters"
)


def read_foreign(
    data: bytes,
    file: str,
    *,
    machine: Arch | None = None,
    capabilities: frozenset[Capability] = DOCKER_DEFAULT,
    kernel: tuple[int, int] | None = None,
    syscall_groups: Mapping[str, frozenset[str]] | None = None,
) -> Subject:
    """The subject in the file's bytes; DocumentError, with line and column where the format has lines.

    `machine` is the host's native ABI (as the file says, else x86_64), `capabilities` what a Docker profile's rules are
    resolved for, `kernel` its version (the newest), `syscall_groups` what systemd's @groups hold
    (`systemd_syscalls.parse_syscall_groups`; groups not given are opaque).
    """
    check_size(data, file)
    assumptions = Assumptions(
        machine=machine, capabilities=capabilities, kernel=kernel, syscall_groups=syscall_groups or {}
    )
    name = _name(file)
    if not data.strip():
        raise DocumentError(file, "is empty", hint=_HINT)
    if is_raw_bpf(data) or file.endswith(".bpf"):
        return read_raw_bpf(data, file, name, machine)
    if data.lstrip().startswith(b"{"):
        source = JsonSource(data, file)
        return (read_docker if is_docker(source.value) else read_oci)(source, name, assumptions)
    text = Source(data, file).text
    if file.endswith(_UNIT_SUFFIXES) or (_UNIT_SECTION.search(text) and not is_apparmor(text)):
        return read_systemd(data, file, name, assumptions)
    if is_apparmor(text):
        return read_apparmor(data, file, name)
    raise DocumentError(file, "is no profile of a kind that is known here", hint=_HINT)


def _name(file: str) -> str:
    base = file.rstrip("/").rpartition("/")[2]
    for suffix in (".json", ".bpf"):
        base = base.removesuffix(suffix)
    return base or file
