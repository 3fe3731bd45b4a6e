"""Every output of a profile, one row each. Heavy renderers are imported when their row is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from harden import shipped
from harden.errors import Inexpressible
from harden.model.arch import Arch
from harden.model.profile import Profile
from harden.model.program_rights import ProgramRights
from harden.model.runtime_calls import Runtime
from harden.render.apparmor_library import Library
from harden.render.isolation_text import isolation_options
from harden.render.rendered import Limit, Rendered

__all__ = ["FORMATS", "PLAIN", "Format", "Options", "Renderer"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What an export can be asked for beside its format."""

    runtime: Runtime | None = None
    """Add what this container runtime calls itself."""
    arch: Arch | None = None
    """Write for this architecture, whatever the profile was recorded on."""
    children: ProgramRights | None = None
    """A profile for each program that is started, and only its own part for the workload's."""
    parser: tuple[int, int] = (3, 0)
    """The version of apparmor_parser that has to take the text."""
    abstractions: Library | None = None
    """What AppArmor's own files grant, where their abstractions and variables may be used."""


PLAIN: Final = Options()


class Renderer(msgspec.Struct, frozen=True):
    """What is in the module of a format."""

    limits: tuple[Limit, ...]
    render: Callable[[Profile, Options], Rendered]
    isolation: frozenset[str] = frozenset()
    """The fields of `[workload.isolation]` that it writes, or says itself why not."""


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """One output."""

    name: str
    suffix: str
    """What the names of such files end in."""
    description: str
    load: Callable[[], Renderer]
    options: frozenset[str] = frozenset()
    """The options of `harden export` that it takes."""

    def render(self, profile: Profile, options: Options = PLAIN) -> Rendered:
        """The file, with what the format cannot express of this profile among the warnings.

        Raises Inexpressible where it cannot hold the profile, as a compiled filter those of another architecture.
        """
        notes: tuple[str, ...] = ()
        if options.arch and "arch" not in self.options:
            raise Inexpressible(
                f"--arch {options.arch}: the filter is compiled for the machine that exports",
                hint=f"export {self.name} on {options.arch}",
            )
        if options.arch:
            from harden.render.foreign_arch import on_arch

            profile, notes = on_arch(profile, options.arch)
        if options.runtime and "runtime" in self.options:
            from harden.render.runtime_rights import with_runtime

            profile, added = with_runtime(profile, options.runtime)
            notes += added
        renderer = self.load()
        rendered = renderer.render(profile, options)
        limits = tuple(f"cannot express: {limit.text}" for limit in renderer.limits if limit.applies(profile))
        given = isolation_options(profile.workload.isolation, without=renderer.isolation)
        if given:
            notes += (f"left out, give the consumer's own: {' '.join(given)}",)
        return msgspec.structs.replace(rendered, warnings=(*limits, *notes, *rendered.warnings))


def _seccomp() -> Renderer:
    from harden.render.seccomp import LIMITS, render_seccomp

    return Renderer(LIMITS, lambda profile, _: render_seccomp(profile))


def _bpf() -> Renderer:
    from harden.render.seccomp_bpf import LIMITS, render_bpf

    return Renderer(LIMITS, lambda profile, _: render_bpf(profile))


def _bubblewrap_filter() -> Renderer:
    from harden.render.bubblewrap import FILTER_LIMITS, render_bubblewrap_filter

    return Renderer(FILTER_LIMITS, lambda profile, _: render_bubblewrap_filter(profile))


def _apparmor() -> Renderer:
    from harden.render.apparmor import LIMITS, render_apparmor

    template = shipped.text("templates/apparmor.j2")
    return Renderer(
        LIMITS,
        lambda profile, options: render_apparmor(
            profile, template, programs=options.children, parser=options.parser, library=options.abstractions
        ),
    )


def _capabilities() -> Renderer:
    from harden.render.capabilities import LIMITS, render_capabilities

    return Renderer(LIMITS, lambda profile, _: render_capabilities(profile))


def _landlock() -> Renderer:
    from harden.render.landlock import LIMITS, render_landlock

    return Renderer(LIMITS, lambda profile, _: render_landlock(profile))


def _landlock_toml() -> Renderer:
    from harden.render.landlock import LIMITS, render_landlock_toml

    return Renderer(LIMITS, lambda profile, _: render_landlock_toml(profile))


def _systemd() -> Renderer:
    from harden.render.systemd import ISOLATION, LIMITS, render_systemd

    template = shipped.text("templates/systemd.j2")
    return Renderer(LIMITS, lambda profile, _: render_systemd(profile, template), ISOLATION)


def _kubernetes() -> Renderer:
    from harden.render.kubernetes import ISOLATION, LIMITS, render_kubernetes

    return Renderer(LIMITS, lambda profile, _: render_kubernetes(profile), ISOLATION)


def _spo() -> Renderer:
    from harden.render.spo import LIMITS, render_spo

    return Renderer(LIMITS, lambda profile, _: render_spo(profile))


def _docker() -> Renderer:
    from harden.render.container_command import ISOLATION, LIMITS, render_docker

    return Renderer(LIMITS, lambda profile, _: render_docker(profile), ISOLATION)


def _podman() -> Renderer:
    from harden.render.container_command import ISOLATION, LIMITS, render_podman

    return Renderer(LIMITS, lambda profile, _: render_podman(profile), ISOLATION)


def _oci_bundle() -> Renderer:
    from harden.render.oci_bundle import ISOLATION, LIMITS, render_oci_bundle

    return Renderer(LIMITS, lambda profile, _: render_oci_bundle(profile), ISOLATION)


def _bubblewrap() -> Renderer:
    from harden.render.bubblewrap import ISOLATION, LIMITS, render_bubblewrap

    return Renderer(LIMITS, lambda profile, _: render_bubblewrap(profile), ISOLATION)


def _selinux() -> Renderer:
    from harden.render.selinux import LIMITS, render_selinux

    template = shipped.text("templates/selinux.j2")
    return Renderer(LIMITS, lambda profile, _: render_selinux(profile, template))


_ARCH: Final = frozenset({"arch"})
"""What bpf and bubblewrap lack: they come with a filter that is compiled for the machine that exports."""
_FILTER: Final = frozenset({"arch", "runtime"})
_APPARMOR: Final = frozenset({"abstractions", "arch", "apparmor_dir", "children", "parser"})

FORMATS: Final[Mapping[str, Format]] = {
    row.name: row
    for row in (
        Format(
            name="seccomp",
            suffix=".seccomp.json",
            description="OCI runtime-spec seccomp section",
            load=_seccomp,
            options=_FILTER,
        ),
        Format(name="bpf", suffix=".bpf", description="compiled filter, struct sock_filter[]", load=_bpf),
        Format(name="apparmor", suffix=".apparmor", description="AppArmor profile", load=_apparmor, options=_APPARMOR),
        Format(
            name="capabilities",
            suffix=".caps.json",
            description="OCI capability sets",
            load=_capabilities,
            options=_ARCH,
        ),
        Format(
            name="landlock", suffix=".landlock.json", description="landlockconfig rules", load=_landlock, options=_ARCH
        ),
        Format(
            name="landlock-toml",
            suffix=".landlock.toml",
            description="landlockconfig rules as TOML",
            load=_landlock_toml,
            options=_ARCH,
        ),
        Format(name="systemd", suffix=".systemd.conf", description="systemd drop-in", load=_systemd, options=_ARCH),
        Format(
            name="kubernetes",
            suffix=".kubernetes.yaml",
            description="Pod and NetworkPolicy",
            load=_kubernetes,
            options=_ARCH,
        ),
        Format(
            name="spo", suffix=".spo.yaml", description="Security Profiles Operator objects", load=_spo, options=_FILTER
        ),
        Format(name="docker", suffix=".docker.sh", description="docker command", load=_docker, options=_ARCH),
        Format(name="podman", suffix=".podman.sh", description="podman command", load=_podman, options=_ARCH),
        Format(
            name="oci-bundle",
            suffix=".config.json",
            description="OCI runtime-spec config.json",
            load=_oci_bundle,
            options=_FILTER,
        ),
        Format(name="bubblewrap", suffix=".bwrap.sh", description="bwrap command", load=_bubblewrap),
        Format(
            name="bubblewrap-filter",
            suffix=".bwrap.bpf",
            description="compiled filter with what bwrap calls itself",
            load=_bubblewrap_filter,
        ),
        Format(name="selinux", suffix=".cil", description="SELinux module in CIL", load=_selinux, options=_ARCH),
    )
}
"""Every format by name."""
