"""`make fuzz`: libFuzzer on the plan decoder under AddressSanitizer and UndefinedBehaviorSanitizer.

    python -m tests.launch.fuzz SECONDS [FOLDER]

FOLDER keeps what was found from one run to the next; an input that breaks the decoder is kept there as crash-*.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harden.launch.encode import Header, encode
from tests.launch.plans import small_plan
from tests.sandboxes import ROOT, plan_of, shell

EXEC = ROOT / "sandbox/harden/_native/exec"
SOURCES = (ROOT / "tests/launch/plan_fuzz.c", ROOT / "tests/launch/plan_read.c", EXEC / "plan.c")
SANITIZERS = "-fsanitize=fuzzer,address,undefined"


def build(folder: Path) -> Path:
    """The fuzzer, compiled anew."""
    program = folder / "plan_fuzz"
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-g", "-O1", SANITIZERS, "-fno-sanitize-recover=all", f"-I{EXEC}"]
    subprocess.run(["clang", *flags, *map(str, SOURCES), "-o", str(program)], check=True)
    return program


def fuzz(seconds: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it for so long, at the lowest priority; its status is not 0 when it found something."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    (corpus / "minimal").write_bytes(encode(small_plan().ops, Header()))
    (corpus / "host").write_bytes(encode(plan_of(shell("true")).ops, Header(timeout_s=1)))
    command = [str(build(folder)), f"-max_total_time={seconds}", "-max_len=65536", "-timeout=5"]
    command += [f"-artifact_prefix={folder}/", "-print_final_stats=1", str(corpus)]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, preexec_fn=lambda: os.nice(19))


if __name__ == "__main__":
    ended = fuzz(int(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "build/fuzz"))
    sys.stderr.write("\n".join([*ended.stderr.splitlines()[-12:], ""]))
    sys.exit(ended.returncode)
