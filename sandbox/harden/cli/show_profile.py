"""How `harden show` prints a profile: what is granted, each with its origin."""

from __future__ import annotations

from harden.cli import output
from harden.model.control import DEFAULT_REQUIREMENTS
from harden.model.origin import Origin
from harden.model.profile import Profile
from harden.render.isolation_text import isolation_options

__all__ = ["show_profile"]


def show_profile(profile: Profile) -> None:
    """Print `profile` by kind of right."""
    workload, rights = profile.workload, profile.rights
    output.line(f"profile {profile.name}: {' '.join(workload.argv)}")
    generated = profile.generated
    output.line(f"  from {len(generated.runs)} run(s), {generated.completeness}: {' '.join(generated.runs)}")
    for bind in workload.binds:
        output.line(f"  --bind {bind.source}:{bind.target}{':rw' if bind.writable else ''}")
    for option in isolation_options(workload.isolation):
        output.line(f"  {option}")
    for text in generated.notes:
        output.line(f"  note: {text}")
    for title, by_origin in (
        ("system calls", rights.syscalls),
        ("capabilities", rights.capabilities),
        ("network", rights.network),
    ):
        _show_lists(title, by_origin)
    output.line()
    output.line(f"ruled arguments ({len(rights.arguments)} calls)")
    for name in sorted(rights.arguments):
        for origin, rows in rights.arguments[name].items():
            output.line(f"  {name}: {'; '.join(', '.join(row) for row in rows)}  [{origin}]")
    files = sum(len(granted) for granted in rights.files.values())
    output.line()
    output.line(f"files ({files})")
    for origin in Origin:
        output.table([("", text, path, f"[{origin}]") for path, text in sorted(rights.files.get(origin, {}).items())])
    output.line()
    output.line(f"limits ({len(rights.all_limits())})")
    for origin in Origin:
        limits = sorted(rights.limits.get(origin, {}).items())
        output.table([("", name, str(value), f"[{origin}]") for name, value in limits])
    if profile.widened:
        output.line()
        output.line("widened (granted <- seen)")
        for granted, seen in sorted(profile.widened.items()):
            output.line(f"  {granted} <- {', '.join(seen)}")
    output.line()
    output.line("controls")
    requirements = {**DEFAULT_REQUIREMENTS, **profile.controls}
    output.table([("", control, requirement) for control, requirement in sorted(requirements.items())])


def _show_lists(title: str, by_origin: dict[Origin, tuple[str, ...]]) -> None:
    output.line()
    output.line(f"{title} ({sum(len(names) for names in by_origin.values())})")
    for origin in Origin:
        if by_origin.get(origin):
            output.line(
                f"  [{origin}] {' '.join(by_origin[origin]) if title != 'network' else '; '.join(by_origin[origin])}"
            )
