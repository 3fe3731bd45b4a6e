"""Writes the JSON Schemas of the document types into profiles/schema: `python -m tests.write_schemas`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import msgspec

from harden.check.attack_table import AttackTable
from harden.model.baseline import Baseline, Families
from harden.model.denial import Verified
from harden.model.document import schema
from harden.model.end_report import EndReport
from harden.model.policy import Policy
from harden.model.profile import Local, Profile
from harden.model.recording import Recording
from harden.model.runtime_calls import Runtimes
from harden.model.scenario import Scenario

FOLDER: Final = Path(__file__).resolve().parent.parent / "profiles/schema"
COMMAND: Final = "python -m tests.write_schemas"
TYPES: Final[dict[str, type[msgspec.Struct]]] = {
    "attacks": AttackTable,
    "baseline": Baseline,
    "families": Families,
    "local": Local,
    "policy": Policy,
    "profile": Profile,
    "recording": Recording,
    "report": EndReport,
    "runtimes": Runtimes,
    "scenario": Scenario,
    "verified": Verified,
}


def text(type_: type[msgspec.Struct]) -> str:
    """The content of the schema file of a document type."""
    return json.dumps(schema(type_), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    for name, type_ in TYPES.items():
        (FOLDER / f"{name}.json").write_text(text(type_))
