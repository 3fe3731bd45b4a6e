"""Makes the profiles in profiles/shipped from their scenarios: `python -m tests.write_shipped_profiles [NAME…]`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tests.shipped import PROGRAMS, Program, harden, surroundings


def write(program: Program) -> None:
    """Trace every scenario into one new recording; only the profile that comes of it is kept."""
    with tempfile.TemporaryDirectory(prefix="harden-shipped-") as name, surroundings(program):
        folder = Path(name)
        for scenario in program.scenarios:
            shutil.copy(program.folder / f"{scenario}.scenario.toml", folder)
            harden(
                program,
                "trace",
                "--name",
                program.name,
                "--scenario",
                f"{scenario}.scenario.toml",
                *program.options,
                cwd=folder,
            )
        shutil.copyfile(folder / f"{program.name}.profile.toml", program.folder / f"{program.name}.profile.toml")


if __name__ == "__main__":
    wanted = sys.argv[1:] or [program.name for program in PROGRAMS]
    for each in (program for program in PROGRAMS if program.name in wanted):
        write(each)
        sys.stdout.write(f"wrote {each.folder / each.name}.profile.toml\n")
