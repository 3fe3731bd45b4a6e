"""`make demo`: traces a real nginx serving requests, reruns it under the profile it got, and shows what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e.jobs import HARDEN, NGINX, Job, environment, harden, run_in_network_of, started

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build/demo"
SHOWN = (
    "exec-shell",
    "read-shadow",
    "write-passwd",
    "connect-out",
    "socket-netlink",
    "ptrace-traceme",
    "io-uring",
    "unshare-user",
    "mount",
    "mmap-write-exec",
    "abi-i386",
)


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    (FOLDER / "nginx.scenario.toml").write_text(NGINX.scenario())
    _title("1. trace: nginx runs isolated and serves 200 requests while it is recorded")
    _harden("trace", "--scenario", "nginx.scenario.toml", "--", *NGINX.command)
    _show_profile()
    _title("2. run: the same nginx, allowed exactly that, enforced by the kernel")
    _serve(NGINX)
    _title("3. probe: what an attacker inside it could still do")
    _show_refusals()
    _title("4. export: the same profile for other tools")
    _export()
    print(f"\nEverything is in {FOLDER}:")
    for path in sorted(path for path in FOLDER.rglob("*") if path.is_file()):
        print(f"  {path.relative_to(FOLDER)}  {path.stat().st_size} bytes")


def _title(text: str) -> None:
    print(f"\n== {text}", flush=True)


def _harden(*arguments: str) -> None:
    print(f"$ harden {' '.join(repr(word) if ' ' in word else word for word in arguments)}", flush=True)
    done = subprocess.run([str(HARDEN), *arguments], cwd=FOLDER, env=environment(), check=False)
    if done.returncode:
        sys.exit(f"demo: harden {arguments[0]} ended with status {done.returncode}")


def _show_profile() -> None:
    profile = json.loads(harden("show", "nginx.profile.toml", "--json", cwd=FOLDER).stdout)
    rights = profile["rights"]
    print(f"system calls   {len(rights['syscalls']['observed'])} of {_known_calls()} observed")
    print(f"capabilities   {' '.join(rights['capabilities']['observed'])}")
    print(f"files          {len(rights['files']['observed'])}")
    print(f"network        {'; '.join(rights['network']['observed'])}")


def _export() -> None:
    print("$ harden export nginx.profile.toml --all exported")
    done = harden("export", "nginx.profile.toml", "--all", "exported", cwd=FOLDER)
    print(done.stdout, end="")
    print(f"  … and {len(done.stderr.splitlines())} lines on what the formats cannot say; `harden export` prints them")


def _known_calls() -> int:
    from harden.model.arch import Arch
    from harden.model.syscall import numbers

    return len(numbers(Arch.X86_64))


def _serve(job: Job) -> None:
    assert job.port
    print("$ harden run --enforced-json enforced.json", flush=True)
    argv = [str(HARDEN), "run", "--enforced-json", "enforced.json"]
    with started(argv, cwd=FOLDER, port=job.port) as (server, pid):
        page = run_in_network_of(pid, ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1/"))
        print(f"GET / inside its network namespace: HTTP {page}")
        server.terminate()
        server.wait(30)
    if page != "200":
        sys.exit(f"demo: nginx answered {page} under its profile")
    enforced = json.loads((FOLDER / "enforced.json").read_text())
    print(f"read back from the kernel: {enforced['result']}")
    for control in enforced["controls"]:
        if control["enforcement"] == "FULLY_ENFORCED":
            print(f"  {control['control']}: {control['value']}")


def _show_refusals() -> None:
    print("$ harden probe")
    report = json.loads(harden("probe", "--json", cwd=FOLDER).stdout)
    actions = {action["id"]: action for action in report["actions"]}
    for name in SHOWN:
        action = actions[name]
        print(f"  {action['result']:8} {action['errno']:7} by {action['by'] or '-':18} {action['about']}")
    attacks = [action for name, action in actions.items() if not name.startswith("twin-")]
    refused = sum(action["result"] in ("refused", "killed") for action in attacks)
    print(f"  … {refused} of {len(attacks)} attacks refused; `harden probe` lists them all")


if __name__ == "__main__":
    main()
