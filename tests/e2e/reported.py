"""A program that is run with `--report`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec

from harden.model.document import parse_json
from harden.model.end_report import REPORT_FORMAT, Ending, EndReport
from tests.e2e.jobs import HARDEN, environment

SCRIPT = """\
while read how; do
    case $how in
    end) exit 3 ;;
    die) kill -SEGV $$ ;;
    work) head -c 96M /dev/zero | tail -c 96M | wc -c ;;
    say) echo ready ;;
    esac
done
"""
SAID = b"say\nwork\ndie\n"


class App:
    """A program that does what its standard input says, with a profile for all of it."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.folder = folder
        self.report = folder / "report.json"
        words = [str(HARDEN), "trace", "--name", "app", "--", *(command or ("/bin/sh", "-c", SCRIPT))]
        subprocess.run(words, cwd=folder, env=environment(), input=SAID, capture_output=True, check=False)

    def run(
        self, *options: str, say: str = "", by: tuple[str, ...] = (str(HARDEN),)
    ) -> subprocess.CompletedProcess[str]:
        command = [*by, "run", "--report", str(self.report), *options]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment(),
            input=say,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def told(self) -> EndReport:
        found = parse_json(self.report.read_bytes(), EndReport, format=REPORT_FORMAT, file=str(self.report))
        if found.ending not in (Ending.UNFINISHED, Ending.NOT_STARTED):
            # What is not known has a reason and no number, and the other way round.
            values = msgspec.structs.asdict(found.usage)
            assert {name for name, value in values.items() if value is None} == found.unknown.keys()
            assert all(found.unknown.values())
        return found
