"""A Kubernetes Pod whose securityContext confines it, and its NetworkPolicy (v1, networking.k8s.io/v1).

Source: kubernetes.io/docs, "Configure a Security Context for a Pod or Container" and "Network Policies".
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from harden.model.guarded_root import PRIVATE, is_beneath
from harden.model.network_rule import ANY_PORT, NetworkOperation, NetworkRule
from harden.model.path_text import to_text
from harden.model.profile import Profile
from harden.model.resource_limit import LimitName
from harden.render.ability import has_arguments, has_files, has_inet, has_other_limits, inet_rules, reaches_outside
from harden.render.apparmor import apparmor_label
from harden.render.asked_limits import limits_of
from harden.render.command import command_of
from harden.render.host_view import PRIVATE_FOLDERS
from harden.render.plain_name import dns_label, file_name, plain_name
from harden.render.rendered import Limit, Rendered
from harden.render.sandbox_paths import sandbox_paths
from harden.render.yaml_text import render_yaml

__all__ = ["ISOLATION", "LIMITS", "render_kubernetes"]

ISOLATION: Final = frozenset({"cpus", "groups", "memory"})

LIMITS: Final = (
    Limit("file rights: the AppArmor profile has them, and has to be loaded on every node", has_files),
    Limit("arguments of system calls and what else the seccomp file cannot say: see seccomp", has_arguments),
    Limit("UNIX and raw sockets and loopback: a NetworkPolicy rules TCP and UDP between pods", has_inet),
    Limit("who connects: any address may, to the ports that the program binds", has_inet),
    Limit("files of the host: an image has its own", has_files),
    Limit("processes and open files: the kubelet limits processes for all pods of a node alike", has_other_limits),
)
_LABEL: Final = "app.kubernetes.io/name"
_PROTOCOLS: Final = {"tcp": "TCP", "tcp6": "TCP", "udp": "UDP", "udp6": "UDP"}


def render_kubernetes(profile: Profile) -> Rendered:
    """Both objects as YAML; the name of the image is the user's to give."""
    warnings: list[str] = []
    text = render_yaml(
        _pod(profile, warnings),
        _network_policy(profile, warnings),
        comment=f"Written by harden from the profile {plain_name(profile)}: put your image in.\n"
        f"{file_name(profile, '.seccomp.json')} belongs below /var/lib/kubelet/seccomp/profiles on every node.",
    )
    return Rendered(content=text.encode("ascii"), warnings=tuple(warnings))


def _pod(profile: Profile, warnings: list[str]) -> dict[str, Any]:
    name = dns_label(profile)
    container: dict[str, Any] = {"name": name, "image": "IMAGE"} | _command(profile, warnings)
    paths, folder = sandbox_paths(profile), command_of(profile).cwd
    written = [*paths.writable, *(path for path in paths.folders if path != folder)]
    writable = [path for path in written if not any(is_beneath(path, root) for root in PRIVATE)]
    if writable:
        shown = ", ".join(to_text(path) for path in writable[:3])
        warnings.append(f"readOnlyRootFilesystem: left out, the program writes {shown}{' …' if writable[3:] else ''}")
    names = sorted(capability.name.removeprefix("CAP_") for capability in profile.rights.all_capabilities())
    context: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": not writable,
        "capabilities": {"drop": ["ALL"]} | ({"add": names} if names else {}),
        "seccompProfile": {
            "type": "Localhost",
            "localhostProfile": f"profiles/{file_name(profile, '.seccomp.json')}",
        },
        "appArmorProfile": {"type": "Localhost", "localhostProfile": apparmor_label(profile)},
    }
    if profile.workload.uid:
        context |= {"runAsNonRoot": True, "runAsUser": profile.workload.uid}
    if profile.workload.gid:
        context |= {"runAsGroup": profile.workload.gid}
    container["securityContext"] = context
    limits = _resource_limits(profile)
    if limits:
        container["resources"] = {"limits": limits}
    folders = [folder.decode("ascii") for folder in (*PRIVATE_FOLDERS, b"/dev/shm")]
    groups = list(profile.workload.isolation.groups)
    volumes = {folder[1:].replace("/", "-"): folder for folder in folders}
    container["volumeMounts"] = [{"name": volume, "mountPath": folder} for volume, folder in volumes.items()]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {_LABEL: name}},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "hostIPC": False,
            "hostNetwork": False,
            "hostPID": False,
            **({"securityContext": {"supplementalGroups": groups}} if groups else {}),
            "containers": [container],
            "volumes": [{"name": volume, "emptyDir": {"medium": "Memory"}} for volume in volumes],
        },
    }


def _resource_limits(profile: Profile) -> dict[str, str]:
    """Memory in bytes, processor time in thousandths of a processor."""
    memory, cpus = limits_of(profile).get(LimitName.MEMORY), profile.workload.isolation.cpus
    found = {} if memory is None else {"memory": str(memory)}
    return found if cpus is None else {**found, "cpu": f"{max(1, round(cpus * 1000))}m"}


def _command(profile: Profile, warnings: list[str]) -> dict[str, Any]:
    """The command as it was recorded, or the image's own where YAML cannot hold it."""
    command = command_of(profile)
    warnings += command.warnings
    try:
        words = [_literal(word) for word in (command.program, *command.arguments)]
        environment = [{"name": name.decode("utf-8"), "value": _literal(value)} for name, value in command.environment]
        folder = command.cwd.decode("utf-8")
    except UnicodeDecodeError:
        warnings.append("command: left out, it is not UTF-8; the image's own is run")
        return {}
    found: dict[str, Any] = {"command": words[:1], "args": words[1:], "workingDir": folder}
    return found | ({"env": environment} if environment else {})


def _literal(word: bytes) -> str:
    """The kubelet expands `$(NAME)` and takes `$$` for a dollar sign."""
    return word.decode("utf-8").replace("$", "$$")


def _network_policy(profile: Profile, warnings: list[str]) -> dict[str, Any]:
    name = dns_label(profile)
    binds = _ruled(profile, NetworkOperation.BIND, warnings)
    connects = _ruled(profile, NetworkOperation.CONNECT, warnings)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "podSelector": {"matchLabels": {_LABEL: name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": _unique([_port(rule) for rule in binds])}] if binds else [],
            "egress": [
                {"to": [{"ipBlock": {"cidr": _block(rule)}}], "ports": [_port(rule)]}
                for rule in connects
                if not ipaddress.ip_address(rule.address).is_unspecified
            ],
        },
    }


def _ruled(profile: Profile, operation: NetworkOperation, warnings: list[str]) -> list[NetworkRule]:
    """The rules that reach outside the pod and that a policy can have."""
    found = []
    for rule in inet_rules(profile.rights, operation):
        if not reaches_outside(rule):
            continue
        if rule.protocol not in _PROTOCOLS:
            warnings.append(f"{rule.render()}: left out, a NetworkPolicy knows TCP and UDP")
        elif rule.port in (0, ANY_PORT):
            warnings.append(f"{rule.render()}: every port, the kernel chose the one that was seen")
            found.append(rule)
        else:
            found.append(rule)
    return found


def _port(rule: NetworkRule) -> dict[str, Any]:
    protocol = {"protocol": _PROTOCOLS[rule.protocol]}
    return protocol if rule.port in (0, ANY_PORT) else {**protocol, "port": rule.port}


def _unique(ports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [port for index, port in enumerate(ports) if port not in ports[:index]]


def _block(rule: NetworkRule) -> str:
    return f"{rule.address}/{128 if ':' in rule.address else 32}"
