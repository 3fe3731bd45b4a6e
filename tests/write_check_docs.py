"""Writes profiles/policies/README.md from the checks' own texts: `python -m tests.write_check_docs`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harden.check.registry import CHECKS
from harden.input_file import MAX_INPUT, MAX_PATTERNS, MAX_RULES
from harden.model.policy import MAX_EXPRESSION, OFF, POLICY_FORMAT
from harden.policy_source import PRESETS, load_policy

FILE: Final = Path(__file__).resolve().parent.parent / "profiles/policies/README.md"
COMMAND: Final = "python -m tests.write_check_docs"
_HEAD: Final = f"""\
# Policies and checks

`harden check` holds profiles against a policy. This page is written from the checks' own texts (`{COMMAND}`).

A policy is a TOML file. Unknown words in it are refused, with line and column; its JSON Schema is
[policy.json](../schema/policy.json).

```toml
format = "{POLICY_FORMAT}"
description = "What our web tier keeps to."
extends = "baseline"                      # minimal, baseline, strict, or a file beside this one

[checks]                                  # a check's severity: info, low, medium, high, critical, or off
shell-exec = "high"
program-changed = "off"

[demand]                                  # what must and must not be in a profile
forbidden_syscalls = ["ptrace", "mount"]
required_syscalls = ["exit_group"]
forbidden_while_serving = ["execve", "CAP_SETUID"]    # only the start may need them: the recording tells
allowed_capabilities = ["CAP_NET_BIND_SERVICE", "CAP_SETUID", "CAP_SETGID", "CAP_CHOWN"]
allowed_families = ["AF_UNIX", "AF_INET", "AF_INET6"]
allowed_network = ["bind tcp *:80", "bind tcp *:8000-8999", "connect tcp 10.0.0.0/8:5432", "* unix /run/app/**"]
forbidden_network = ["connect * 169.254.169.254/32:*"]
allowed_programs = ["/usr/lib/**"]        # beside the workload's own program; a dynamic loader counts
completeness = "complete"
required_limits = ["pids"]                # a profile must limit these, however high
min_runs = 2
min_coverage = 0.95                       # of what further runs do, at least that was seen: the recording tells
max_age_days = 180                        # since it was last committed
exports = [{{ format = "seccomp", file = "{{name}}.seccomp.json" }}]

[demand.forbidden_files]
"/home/**" = "read write"

[demand.forbidden_arguments]
mmap = [["PROT_WRITE|PROT_EXEC"]]

[demand.most]
syscalls = 90
capabilities = 4

[demand.controls]
landlock = "required"
memory = "required"                       # the limit below is enforced, or the program is not started

[demand.max_limits]                       # a profile must limit these, and not higher
memory = "512M"

[[scope]]                                 # for some profiles only, by name or by file
profiles = ["nginx*"]
paths = ["services/edge/**"]
checks.shell-exec = "critical"
demand.most.network = 3

[[waiver]]                                # all globs that are given must match
check = "writable-executable"
profile = "renderer"
subject = "mmap"
reason = "the JavaScript engine compiles at run time"
until = 2099-12-31

[[expression]]                            # CEL: true when the profile is as it should be
id = "one-listener"
expression = "network.filter(rule, rule.startsWith('bind ')).size() <= 1"
message = "a service listens on one address"
severity = "high"
```

Where a policy extends another, and where a scope adds to it, lists of what is forbidden or required grow; everything
else is replaced. A waiver hides a finding until its last day; after that the finding counts again and the waiver itself
is one. A waiver that nothing needs is a finding too.

`forbidden_while_serving` and `min_coverage` are judged by the recording beside the profile; where there is none, that
is a finding. A policy that names what is no demand is refused, not ignored.

## Presets

| preset | for |
|---|---|
"""
_MIDDLE: Final = f"""
`minimal` and `baseline` pass on what `harden trace` writes for ordinary tools and servers (ls, sqlite3, nginx).
`strict` does not without work: it wants two runs at least, and no shell among the programs.

## Limits

A profile, policy, baseline or foreign file of more than {MAX_INPUT} bytes is refused before it is parsed, and so is a
profile of more than {MAX_RULES} rights or {MAX_PATTERNS} file rules with wildcards: exit status 2.

## expressions

An expression is CEL, the Common Expression Language, of at most {MAX_EXPRESSION} characters (`pip install
'harden[expressions]'`). It is asked of harden profiles only, and sees

| name | what |
|---|---|
| `name`, `file` | the profile's name and file |
| `syscalls`, `capabilities`, `architectures` | sorted lists of text |
| `files` | path pattern to a list of rights |
| `network` | a list of rules, such as `bind tcp 0.0.0.0:80` |
| `profile` | the whole document, as the [schema](../schema/profile.json) describes it |

What is no CEL, has no value, or is neither true nor false ends `harden check` with status 2 and its place in the
policy.

## Checks

Severities are those of a policy that says nothing, and of minimal, baseline and strict. A check stays silent where a
foreign format cannot say what it asks for.
"""


def text() -> str:
    """The content of the page."""
    chains = {name: load_policy(name) for name in PRESETS}
    presets = "".join(f"| `{name}` | {chain.files[-1].policy.description} |\n" for name, chain in chains.items())
    parts = [_HEAD, presets, _MIDDLE]
    for check in CHECKS.values():
        levels: list[str] = [check.severity.value]
        for chain in chains.values():
            level: str = check.severity.value
            for file in chain.files:
                level = file.policy.checks.get(check.id, level)
            levels.append("off" if level == OFF else level)
        parts.append(
            f"\n### {check.id}\n\n*{check.title}* · {levels[0]} · minimal: {levels[1]}, baseline: {levels[2]}, "
            f"strict: {levels[3]}\n\n{check.why}\n\n{check.fix}\n"
        )
    return "".join(parts)


if __name__ == "__main__":
    FILE.write_text(text())
