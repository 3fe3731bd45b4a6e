"""How long it takes to start /bin/true, beside other launchers: all in turns, in one run.

    python -m tests.bench.start FOLDER RESULT.json

FOLDER holds true.profile.toml. It runs in a mount namespace of its own where /sys/fs/cgroup is the v2 hierarchy alone:
crun refuses any other. A launcher that does not start here is listed with what it said. Every row is a whole process,
from posix_spawn(3) to its end; nothing is subtracted.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from harden.enforce import enforcement, load, locate
from harden.kernel.executable import HARDEN_EXEC
from harden.kernel.idmap import claim_id_range
from harden.launch import cached_plan
from harden.launch.encode import Header, encode
from tests.conftest import ROOT

TURNS = 21
TRUE = "/bin/true"
HARDEN = ROOT / ".venv/bin/harden"
BESIDE = "bwrap"
BARS = {"harden-exec, ready plan": ("bwrap", 1.0), "harden run, warm": ("runc", 0.7)}


def ready_plan(folder: Path) -> list[str]:
    """The plan of the profile, encoded; its range of ids is held by this process."""
    files = locate(folder / "true.profile.toml")
    ready = enforcement(load(files), folder=files.folder, caller_environment=os.environ, environment={})
    ids = claim_id_range()
    names = {"cgroup_leaf": b"harden-bench/payload", "cgroup_top": b"harden-bench"}
    header = Header(cgroup_fd=200, cgroup_base_fd=201, **names)  # type: ignore[arg-type]
    (folder / "plan").write_bytes(encode(ready.plan.ops, header, first_id=ids.first))
    program = folder / "ready_plan"
    source = Path(__file__).with_name("ready_plan.c")
    flags = ["-O2", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-D_GNU_SOURCE"]
    subprocess.run(["gcc", *flags, str(source), "-o", str(program)], check=True)
    assert ready.plan.cgroup is not None
    return [str(program), str(HARDEN_EXEC), str(folder / "plan"), os.fsdecode(ready.plan.cgroup)]


def bundle(folder: Path) -> Path:
    """An OCI bundle with a static `true` and every namespace, as `runc spec` writes it."""
    made = folder / "bundle"
    (made / "rootfs/bin").mkdir(parents=True)
    code = "int main(void) { return 0; }"
    subprocess.run(
        ["gcc", "-O2", "-static", "-x", "c", "-", "-o", str(made / "rootfs/bin/true")],
        input=code,
        text=True,
        check=True,
    )
    subprocess.run(["runc", "spec"], cwd=made, check=True)
    spec = json.loads((made / "config.json").read_text())
    spec["process"] |= {"terminal": False, "args": [TRUE]}
    (made / "config.json").write_text(json.dumps(spec))
    return made


def commands(folder: Path) -> dict[str, list[str]]:
    """Row → command."""
    oci = str(bundle(folder)) if shutil.which("runc") else ""
    run = [str(HARDEN), "run", "-p", "true.profile.toml"]
    return {
        "bare": [TRUE],
        "bwrap": ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", TRUE],
        "crun": ["crun", "--cgroup-manager=disabled", "run", "--bundle", oci, "harden-bench-crun"],
        "runc": ["runc", "run", "--bundle", oci, "harden-bench-runc"],
        "firejail": ["firejail", "--quiet", "--noprofile", TRUE],
        "python -I -c pass": [sys.executable, "-I", "-c", "pass"],
        "harden-exec, ready plan": ready_plan(folder),
        "harden run, warm": run,
        "harden run, cold": run,
    }


def forget_plans() -> None:
    """The next start is a cold one."""
    place = Path(cached_plan.runtime_folder() or "/run", cached_plan.FOLDER)
    for path in place.iterdir() if place.is_dir() else ():
        path.unlink(missing_ok=True)


def seconds(command: list[str], folder: Path) -> float | str:
    """The wall-clock time; what it said, if it failed."""
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - begin
    lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
    return lines[-1] if done.returncode else elapsed


def measure(folder: Path) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Times of each row, and the rows that do not start here."""
    rows = {name: command for name, command in commands(folder).items() if shutil.which(command[0])}
    first = {name: seconds(command, folder) for name, command in rows.items()}
    refused = {name: said for name, said in first.items() if isinstance(said, str)}
    times: dict[str, list[float]] = {name: [] for name in rows if name not in refused}
    for _ in range(TURNS):
        for name in times:
            if name == "harden run, cold":
                forget_plans()
            found = seconds(rows[name], folder)
            assert isinstance(found, float), (name, found)
            times[name].append(found)
    return times, refused


def main() -> None:
    subprocess.run(["mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"], check=True)
    # What an installed harden has: the interpreter compiles nothing.
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "sandbox/harden")], check=True)
    times, refused = measure(Path(sys.argv[1]))
    rows = []
    for name, taken in times.items():
        ratio = statistics.median(mine / other for mine, other in zip(taken, times[BESIDE], strict=True))
        row = {"what": f"start, {name}", "beside": BESIDE, "ratio": round(ratio, 2), "seconds": taken}
        bar = ""
        if name in BARS and BARS[name][0] in times:
            other, limit = BARS[name]
            beside = statistics.median(mine / each for mine, each in zip(taken, times[other], strict=True))
            bar = f"   {beside:.2f} x {other}, bar {limit:.1f}"
            row["bar"] = {"beside": other, "ratio": round(beside, 2), "limit": limit}
        rows.append(row)
        print(f"start, {name:25} {ratio:8.2f} x {BESIDE}   {1000 * statistics.median(taken):6.1f} ms{bar}", flush=True)
    for name, said in refused.items():
        print(f"start, {name:25} does not start here: {said}", flush=True)
    Path(sys.argv[2]).write_text(json.dumps({"rows": rows, "refused": refused}))


if __name__ == "__main__":
    main()
