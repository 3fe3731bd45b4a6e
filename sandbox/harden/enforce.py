"""The enforcing workflow: a profile and the host's features give the plan of a sandbox that grants just the profile."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from harden.bpf.compile import compile_filter
from harden.confinement import confinement
from harden.errors import UsageError
from harden.folder import ProfileFiles
from harden.folder_guard import check_results, guards, shown_writable
from harden.kernel.probe import probe
from harden.kernel.program import find
from harden.launch.made_folders import made_elsewhere
from harden.launch.plan import Plan, plan
from harden.launch.root_accounts import user_numbers
from harden.launch.rootfs import find_in_root, host_path
from harden.model.control import DEFAULT_REQUIREMENTS, Control, Enforcement, Requirement
from harden.model.guarded_root import is_beneath
from harden.model.isolation import Isolation
from harden.model.limit import LearnedLimits
from harden.model.local_merge import merge_local
from harden.model.path_text import from_text
from harden.model.profile import Profile, folders_made
from harden.model.recording import Completeness
from harden.model.sandbox import (
    AppArmorLabel,
    Bind,
    LandlockRules,
    NetworkMode,
    SandboxSpec,
    SeccompFilter,
    UserNamespaceMode,
    View,
)
from harden.model.widening import Widening
from harden.model.workload import MASK, Workload
from harden.render.landlock import landlock_rules
from harden.render.sandbox_paths import SandboxPaths, sandbox_paths
from harden.stored_options import HOST_NAME, Given, joined_binds, joined_isolation, restored, restored_binds
from harden.way import Way

__all__ = ["Prepared", "enforcement", "load", "locate", "sandbox_spec"]


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that is ready to run, and what the user should know of it."""

    profile: Profile
    plan: Plan
    notes: tuple[str, ...]
    """What is not in force, or not granted although the profile asks for it."""
    widenings: tuple[Widening, ...]
    """Where more is granted than the profile asks for, because the control cannot be narrower."""


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """What a command line says instead of the profile's workload; None: as the profile has it."""

    network: NetworkMode | None = None
    user_namespace: UserNamespaceMode | None = None
    view: View | None = None
    binds: tuple[Bind, ...] = ()
    cwd: bytes | None = None
    user: tuple[int | None, int | None] = (None, None)
    hostname: str | None = None
    isolation: Isolation = Isolation()

    @property
    def given(self) -> Given:
        """What is added to stored options."""
        return Given(binds=self.binds, isolation=self.isolation)

    def apply(self, spec: SandboxSpec) -> SandboxSpec:
        """`spec` with what was given, but for binds and isolation, which it has already."""
        given = {
            "network": self.network,
            "user_namespace": self.user_namespace,
            "view": self.view,
            "cwd": self.cwd,
            "uid": self.user[0],
            "gid": self.user[1],
            "hostname": self.hostname,
        }
        return msgspec.structs.replace(spec, **{name: value for name, value in given.items() if value is not None})


def locate(path: Path | None) -> ProfileFiles:
    """The files of the profile at `path`, or of the only one in the current folder."""
    return ProfileFiles.of_profile(path) if path else ProfileFiles.only_one_in(Path())


def load(files: ProfileFiles, *, trust: bool = False) -> Profile:
    """The profile with the user's own file merged in."""
    profile = files.load_profile(trust=trust)
    local = files.load_local(trust=trust)
    return merge_local(profile, local, file=str(files.local)) if local else profile


def enforcement(
    profile: Profile,
    *,
    folder: Path,
    command: Sequence[str] = (),
    caller_environment: Mapping[str, str],
    environment: Mapping[str, str],
    timeout_s: float | None = None,
    allow_degraded: frozenset[Control] = frozenset(),
    extra_binds: tuple[Bind, ...] = (),
    results: tuple[Way, ...] = (),
    when_judged: Callable[[], None] | None = None,
    apparmor: str | None = None,
    dry: bool = False,
    measured: bool = False,
    overrides: Overrides | None = None,
) -> Prepared:
    """The plan that runs `command`, or the profile's own workload, under `profile`, which was read from `folder`.

    `results` lead to files that the program must not be able to change; `when_judged` is called when it cannot exchange
    the way to them, and an earlier run cannot have. `apparmor` names a loaded AppArmor profile to enter
    instead of the profile's own. `dry`: nothing will be run, so nothing is made and no AppArmor profile is loaded.
    `measured`: as for plan().
    Raises ControlUnavailable when the host cannot enforce a required control, ProgramNotFound or NotExecutable for the
    program.
    """
    if apparmor is not None:
        asked = profile.controls | {Control.APPARMOR: Requirement.REQUIRED}
        profile = msgspec.structs.replace(profile, controls=asked)
    overrides = overrides or Overrides()
    isolation = joined_isolation(restored(profile.workload.isolation), overrides.given)
    empty = tuple(mount.target for mount in isolation.tmpfs)
    mounted = (*empty, *(mount.target for mount in isolation.overlays))
    binds = joined_binds((*restored_binds(profile.workload.binds), *extra_binds), overrides.given)
    paths = sandbox_paths(profile, mounted)
    elsewhere = made_elsewhere(
        folders_made(profile.rights.all_files()),
        writable=paths.writable,
        binds=binds,
        rootfs=isolation.rootfs or b"",
    )
    if elsewhere:
        paths = sandbox_paths(profile, mounted, elsewhere)
    rules, narrowest = landlock_rules(profile, empty, elsewhere)
    check_results(results, shown_writable(paths.writable, binds, rootfs=isolation.rootfs))
    if when_judged is not None:
        when_judged()
    features = probe()
    spec = sandbox_spec(
        profile,
        paths=paths,
        landlock=rules,
        command=command,
        environment=_environment(profile.workload, caller_environment, environment),
        timeout_s=timeout_s,
        allow_degraded=allow_degraded,
        binds=binds,
        apparmor=confinement(profile, features, name=apparmor, load=not dry),
        isolation=isolation,
    )
    spec = overrides.apply(_as_user(spec, profile.workload, overrides))
    _check_rootfs(spec, folder)
    guarded = guards(folder, spec, also=results, make_missing=not dry)
    planned = plan(msgspec.structs.replace(spec, binds=(*spec.binds, *guarded)), features, measured=measured)
    widenings = (*paths.widenings, *narrowest)
    return Prepared(
        profile=profile,
        plan=planned,
        notes=(
            *(() if command else _replaced_program(profile.workload, spec.isolation.rootfs)),
            *_recording_notes(profile),
            *_not_in_force(planned),
            *planned.notes,
            *(str(each) for each in widenings if not each.granted),
        ),
        widenings=tuple(each for each in widenings if each.granted),
    )


def _as_user(spec: SandboxSpec, workload: Workload, overrides: Overrides) -> SandboxSpec:
    """With the numbers that this host, or another root file system, has for the user whom the workload names."""
    if not workload.user or overrides.user[0] is not None:
        return spec
    given, rootfs = f"the profile runs as {workload.user}", spec.isolation.rootfs
    uid, gid = user_numbers(workload.user, given=given, rootfs=rootfs)
    return msgspec.structs.replace(spec, uid=uid, gid=gid)


def _check_rootfs(spec: SandboxSpec, folder: Path) -> None:
    rootfs = spec.isolation.rootfs
    if rootfs is not None and is_beneath(os.fsencode(folder.resolve()), rootfs):
        raise UsageError(
            f"the profile lies in {os.fsdecode(rootfs)}, where the program could change it",
            hint="keep the profile outside of the root file system",
        )


def _recording_notes(profile: Profile) -> tuple[str, ...]:
    completeness = profile.generated.completeness
    if completeness is Completeness.COMPLETE:
        return ()
    return (f"{profile.name} was generated from a recording that is {completeness}: `harden show` says why",)


def _replaced_program(workload: Workload, rootfs: bytes | None) -> tuple[str, ...]:
    """A note when the program's file is not the one that was recorded: what was learned may not fit it."""
    if not workload.digest:
        return ()
    try:
        path = from_text(workload.program)
        with open(path if rootfs is None else host_path(path, rootfs) or b"", "rb") as file:
            found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError:
        return ()
    return () if found == workload.digest else (f"{workload.program} is not the file that was recorded",)


def _not_in_force(planned: Plan) -> tuple[str, ...]:
    """One line per control that is required unless somebody waived it, and is not wholly in force."""
    return tuple(
        f"{each.control} is {each.enforcement}: {each.reason}"
        for each in planned.controls
        if each.enforcement is not Enforcement.FULLY_ENFORCED
        and DEFAULT_REQUIREMENTS.get(each.control) is Requirement.REQUIRED
    )


def sandbox_spec(
    profile: Profile,
    *,
    paths: SandboxPaths,
    landlock: LandlockRules,
    command: Sequence[str],
    environment: Mapping[str, str],
    timeout_s: float | None,
    allow_degraded: frozenset[Control],
    binds: tuple[Bind, ...],
    apparmor: AppArmorLabel | None = None,
    isolation: Isolation,
) -> SandboxSpec:
    """The sandbox in which `profile` and nothing else is granted."""
    workload, rights = profile.workload, profile.rights
    requirements = {**DEFAULT_REQUIREMENTS, **profile.controls}
    program, argv = _program(workload, command, environment, isolation.rootfs)
    return SandboxSpec(
        program=program,
        argv=argv,
        environment=tuple(os.fsencode(f"{name}={value}") for name, value in environment.items()),
        cwd=from_text(workload.cwd),
        view=View.MINIMAL,
        network=workload.network,
        user_namespace=workload.user_namespace,
        uid=workload.uid,
        gid=workload.gid,
        binds=binds,
        visible=(*paths.visible, *(path for path in paths.looked_at if not os.path.isdir(path))),
        writable=paths.writable,
        outlines=tuple(path for path in paths.looked_at if os.path.isdir(path)),
        folders=paths.folders,
        capabilities=frozenset(int(capability) for capability in rights.all_capabilities()),
        seccomp=_filter(profile) if requirements[Control.SECCOMP] is not Requirement.OFF else None,
        landlock=landlock if requirements[Control.LANDLOCK] is not Requirement.OFF else None,
        timeout_s=timeout_s,
        apparmor=apparmor,
        hostname=workload.isolation.hostname or HOST_NAME,
        isolation=isolation,
        requirements=profile.controls,
        learned=LearnedLimits(**{name.value: most for name, most in profile.limits().items()}),
        allow_degraded=allow_degraded,
    )


def _filter(profile: Profile) -> SeccompFilter:
    cookie = None if "execve" in profile.rights.all_syscalls() else _random_cookie()
    compiled = compile_filter(profile.rights, exec_cookie=cookie)
    return SeccompFilter(program=compiled.program, exec_cookie=compiled.exec_cookie)


def _random_cookie() -> int:
    """64 random bits with neither half zero: a register must not hold them by accident."""
    return (secrets.randbelow(0xFFFFFFFF) + 1) << 32 | (secrets.randbelow(0xFFFFFFFF) + 1)


def _program(
    workload: Workload, command: Sequence[str], environment: Mapping[str, str], rootfs: bytes | None
) -> tuple[bytes, tuple[bytes, ...]]:
    if not command:
        if any(MASK in word for word in (workload.program, *workload.argv)):
            raise UsageError(
                f"the stored arguments of {workload.program} hold secrets that were masked when it was recorded",
                hint="give the whole command: harden run -p PROFILE -- CMD ARGS...",
            )
        return from_text(workload.program), tuple(from_text(argument) for argument in workload.argv)
    path = environment.get("PATH")
    if rootfs is None:
        program = find(command[0], cwd=os.getcwd(), path=path or os.defpath)
    else:
        program = find_in_root(command[0], rootfs=rootfs, cwd="/", path=path)
    return os.fsencode(program), tuple(os.fsencode(argument) for argument in command)


def _environment(workload: Workload, caller: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The variables the program had when it was recorded: stored values first, then the caller's, then `given`."""
    values = workload.environment_values.items()
    stored = {os.fsdecode(from_text(name)): os.fsdecode(from_text(value)) for name, value in values}
    kept = {name: value for name, value in stored.items() if MASK not in value}
    names = (os.fsdecode(from_text(name)) for name in workload.environment)
    inherited = {name: caller[name] for name in (*names, *stored) if name in caller}
    return {**inherited, **kept, **given}
