"""rule-without-origin: the generated file holds a right that no recording and no baseline gave it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from harden.check.case import Case, Check, Hit
from harden.check.growth import section_of
from harden.check.subject import Facet, Section
from harden.model.diff import added_rights
from harden.model.origin import Origin
from harden.model.profile import Profile
from harden.model.severity import Severity

__all__ = ["CHECK"]


def _run(case: Case) -> Iterator[Hit]:
    generated, source = case.around.generated, case.around.regenerated
    if generated is None:
        return
    rights = generated.rights
    by_hand = {
        Section.SYSCALL: rights.syscalls.get(Origin.MANUAL, ()),
        Section.CAPABILITY: rights.capabilities.get(Origin.MANUAL, ()),
        Section.FILE: tuple(rights.files.get(Origin.MANUAL, {})),
        Section.NETWORK: rights.network.get(Origin.MANUAL, ()),
        Section.ARGUMENT: tuple(name for name, rows in sorted(rights.arguments.items()) if Origin.MANUAL in rows),
    }
    for section, words in by_hand.items():
        for word in words:
            message = f"{word} stands as `manual` in the generated file, which nobody should write by hand"
            yield Hit(message=message, subject=word, section=section, word=word)
    if source is None or set(source.generated.runs) != set(generated.generated.runs):
        return
    for change in added_rights(source, generated if _same_harden(generated, source) else _observed(generated, source)):
        if change.rule not in by_hand.get(section_of(change), ()):
            yield Hit(
                message=f"{change.right} is in the profile, but the recording beside it does not ask for it",
                subject=change.right,
                section=section_of(change),
                word=change.rule,
            )


def _same_harden(one: Profile, other: Profile) -> bool:
    return one.generated.harden == other.generated.harden


def _observed(generated: Profile, source: Profile) -> Profile:
    """`generated` with what was observed alone: the baseline of another version of harden may be another one."""
    rights = generated.rights
    ruled = {name: rows for name, rows in rights.arguments.items() if Origin.OBSERVED in rows}
    observed = msgspec.structs.replace(
        rights,
        syscalls={Origin.OBSERVED: rights.syscalls.get(Origin.OBSERVED, ())},
        capabilities={Origin.OBSERVED: rights.capabilities.get(Origin.OBSERVED, ())},
        files={Origin.OBSERVED: rights.files.get(Origin.OBSERVED, {})},
        network={Origin.OBSERVED: rights.network.get(Origin.OBSERVED, ())},
        arguments={
            **source.rights.arguments,
            **{name: {Origin.OBSERVED: rows[Origin.OBSERVED]} for name, rows in ruled.items()},
        },
    )
    return msgspec.structs.replace(generated, rights=observed)


CHECK: Final = Check(
    id="rule-without-origin",
    severity=Severity.MEDIUM,
    title="a right that nothing explains",
    why="The generated file is written by harden alone: a right that its recording does not show was put there by "
    "hand, and "
    "nobody will know why.",
    fix="Move it to NAME.local.toml, where additions belong and are labelled `manual`, or generate the profile again.",
    needs=(Facet.PROFILE,),
    run=_run,
)
