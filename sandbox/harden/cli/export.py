"""`harden export`: write a profile in somebody else's format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harden.cli import output
from harden.errors import HardenError, Inexpressible, UsageError
from harden.kernel import atomic_file
from harden.output_target import check_target

if TYPE_CHECKING:
    from harden.folder import ProfileFiles
    from harden.model.arch import Arch
    from harden.model.profile import Profile
    from harden.model.program_rights import ProgramRights
    from harden.model.runtime_calls import Runtime
    from harden.render.apparmor_library import Library
    from harden.render.formats import Format, Options

__all__ = ["command"]


@click.command("export")
@click.argument("profile", type=click.Path(path_type=Path))
@click.option("--format", "name", metavar="FORMAT", help="One of the formats below.")
@click.option("--all", "folder", type=click.Path(), metavar="DIR", help="Every format, into DIR.")
@click.option(
    "-o", "--output", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write here.  [default: stdout]"
)
@click.option(
    "--runtime",
    metavar="NAME",
    help="seccomp, spo, oci-bundle: add what this container runtime calls itself: runc, crun.",
)
@click.option(
    "--arch", metavar="ARCH", help="For another architecture than the recorded one: aarch64. Not bpf, bubblewrap."
)
@click.option(
    "--children", is_flag=True, help="apparmor: a profile for each program it starts, each with its own rights."
)
@click.option("--parser", metavar="VERSION", help="apparmor: for apparmor_parser from 3.0 or 4.0 on.  [default: 3.0]")
@click.option(
    "--abstractions",
    is_flag=True,
    help="apparmor: use AppArmor's abstractions and variables where they cover what was recorded. Each grants more, "
    "and is said.",
)
@click.option(
    "--apparmor-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="apparmor: where --abstractions reads them.  [default: /etc/apparmor.d]",
)
@click.option("--trust", is_flag=True, help="Read a profile that somebody else owns or can write to.")
def command(
    profile: Path, name: str | None, folder: str | None, target: Path | None, trust: bool, **asked: Any
) -> None:
    """Write a profile for other tools to enforce. What a format cannot express is said on stderr.

    \b
    Formats:
      seccomp       OCI runtime-spec section, for docker, podman and Kubernetes
      bpf           the compiled filter
      apparmor      a profile for apparmor_parser
      capabilities  the five sets of the runtime-spec
      landlock      landlockconfig JSON
      landlock-toml  the same as TOML
      systemd       a drop-in with every restriction that the profile permits
      kubernetes    a Pod's securityContext and a NetworkPolicy
      spo           SeccompProfile and AppArmorProfile of the Security Profiles Operator
      docker        a script that starts the workload with docker
      podman        the same with podman
      oci-bundle    config.json for runc and crun
      bubblewrap    a script that starts the workload with bwrap
      bubblewrap-filter  the filter that this script reads
      selinux       a module in CIL

    \b
    Example:
      harden export nginx.profile.toml --format seccomp --runtime crun -o nginx.seccomp.json
      harden export nginx.profile.toml --all exported/
    """
    from harden.enforce import load, locate
    from harden.render.formats import FORMATS

    if (name is None) == (folder is None):
        raise UsageError("give one of --format and --all", hint=f"the formats are {', '.join(FORMATS)}")
    if folder == "":
        raise UsageError("--all '': is not the name of a folder", hint="--all . writes into the current one")
    if name is not None and name not in FORMATS:
        raise UsageError(f"unknown format {name!r}", hint=f"one of {', '.join(FORMATS)}")
    wanted = [FORMATS[name]] if name is not None else list(FORMATS.values())
    files = locate(profile)
    loaded = load(files, trust=trust)
    options = _options(wanted, asked, loaded, files)
    if folder is not None:
        if target:
            raise UsageError("--all names the files itself: leave out --output")
        _write_all(Path(folder), loaded, wanted, options, files)
        return
    if target:
        check_target(target, files.all)
    rendered = wanted[0].render(loaded, options)
    _warn(wanted[0], rendered.warnings)
    if target:
        atomic_file.deliver(target, rendered.content)
    else:
        output.bytes_out(rendered.content)


def _options(wanted: list[Format], asked: Mapping[str, Any], profile: Profile, files: ProfileFiles) -> Options:
    from harden.render.formats import Options

    for option, value in asked.items():
        if value and not any(option in each.options for each in wanted):
            raise UsageError(f"{wanted[0].name} takes no --{option.replace('_', '-')}")
    if asked["apparmor_dir"] and not asked["abstractions"]:
        raise UsageError("--apparmor-dir is for --abstractions alone")
    children = _children(profile, files) if asked["children"] else None
    return Options(
        runtime=_runtime(asked["runtime"]),
        arch=_arch(asked["arch"]),
        children=children,
        parser=_parser(asked["parser"]),
        abstractions=_library(asked["apparmor_dir"]) if asked["abstractions"] else None,
    )


def _arch(name: str | None) -> Arch | None:
    from harden.render.foreign_arch import TARGETS

    if name is None:
        return None
    found = next((arch for arch in TARGETS if arch == name), None)
    if found is None:
        raise UsageError(f"--arch {name}: filters are written for {', '.join(TARGETS)}")
    return found


def _parser(version: str | None) -> tuple[int, int]:
    known = {"3.0": (3, 0), "4.0": (4, 0)}
    if version is not None and version not in known:
        raise UsageError(f"--parser {version}: rules are written for {' or '.join(known)}")
    return known[version or "3.0"]


def _library(folder: Path | None) -> Library:
    from harden.kernel.apparmor_files import FOLDER, read_texts
    from harden.render.apparmor_library import parse_library

    return parse_library(read_texts(folder or FOLDER))


def _children(profile: Profile, files: ProfileFiles) -> ProgramRights:
    from harden.generate.child_rights import rights_by_program

    recording = files.load_recording()
    if recording is None:
        raise UsageError(
            f"--children: {files.recording} is not there, and only a recording tells which program did what",
            hint="keep it beside the profile, or trace again",
        )
    return rights_by_program(profile, recording)


def _runtime(name: str | None) -> Runtime | None:
    from harden.render.runtime_rights import runtimes

    if name is None:
        return None
    known = runtimes()
    if name not in known:
        raise UsageError(f"unknown runtime {name!r}", hint=f"one of {', '.join(known)}")
    return known[name]


def _warn(format: Format, warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        output.note(f"{format.name}: {warning}")


def _write_all(folder: Path, profile: Profile, wanted: list[Format], options: Options, read: ProfileFiles) -> None:
    """Nothing is written before everything is rendered; each file is replaced whole."""
    from harden.render.plain_name import file_name

    files: dict[Path, bytes] = {}
    refused: list[HardenError] = []
    for each in wanted:
        try:
            rendered = each.render(profile, options)
        except Inexpressible as error:
            refused.append(Inexpressible(f"{each.name}: not written: {error.message}", hint=error.hint))
            continue
        _warn(each, rendered.warnings)
        path = folder / file_name(profile, each.suffix)
        check_target(path, read.all)
        files[path] = rendered.content
    atomic_file.make_folder(folder)
    for path, content in files.items():
        atomic_file.replace(path, content)
        output.line(str(path))
    for problem in refused[:-1]:
        output.error(problem)
    if refused:
        raise refused[-1]
