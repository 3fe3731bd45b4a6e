"""Secrets in well-known places, masked before a recording is written: files that are committed must not hold them.

Masking is by shape and errs towards masking. A masked argument cannot be replayed; `is_masked` tells.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from harden.model.recording import Run
from harden.model.workload import MASK, Workload

__all__ = ["MASK", "is_masked", "redact_command", "redact_run", "redact_text", "redact_workload"]

_WORDS: Final = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|auth|api[-_.]?key|access[-_.]?key|private[-_.]?key|"
    r"client[-_.]?secret|session[-_.]?key|signing[-_.]?key|encryption[-_.]?key"
)
_SECRET_NAME: Final = re.compile(
    rf"(?i:(?:^|[-_.])(?:{_WORDS})$|(?:password|passwd|passphrase|secret|token|apikey)$)|^(?!PWD$|OLDPWD$)[A-Z0-9_]*(?:PWD|KEY)$"
)
_ASSIGNED: Final = re.compile(
    rf"(?P<keep>(?:^|[-_.\s?&;,\"'{{])(?:{_WORDS})[\"']?\s*[=:]\s*[\"']?)(?P<secret>[^\s&;,\"'}}]+)", re.IGNORECASE
)
_JOINED: Final = re.compile(
    r"(?P<keep>(?<![A-Za-z0-9_])(?:(?i:[a-z0-9_.-]*(?:password|passwd|passphrase|secret|token|apikey))"
    r"|(?!PWD=|OLDPWD=)[A-Z0-9_]*(?:PWD|KEY))=[\"']?)(?P<secret>[^\s&;,\"'}]+)"
)
"""`PGPASSWORD=…`: the word is the end of a longer name, with nothing between."""
_NEXT: Final = re.compile(
    rf"(?P<keep>(?:^|\s)--?(?:[A-Za-z0-9]+[-_.])*(?:{_WORDS})\s+[\"']?)(?P<secret>[^\s\"'-][^\s\"']*)", re.IGNORECASE
)
_MYSQL: Final = r"(?:mysql|mysqldump|mysqladmin|mysqlimport|mariadb|mariadb-dump|mariadb-admin|sshpass)"
_TOKENS: Final = (
    re.compile(r"(?P<keep>)(?P<secret>\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*)"),
    re.compile(r"(?P<keep>)(?P<secret>(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9]))"),
    re.compile(r"(?P<keep>)(?P<secret>(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{20,})"),
    re.compile(r"(?P<keep>)(?P<secret>(?<![A-Za-z0-9])(?:github_pat_|glpat-|AIza)[A-Za-z0-9_-]{16,})"),
    re.compile(r"(?P<keep>)(?P<secret>(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{8,})"),
)
"""Tokens that look like nothing else: masked wherever they are, in paths and addresses too."""
_SHAPES: Final = (
    *_TOKENS,
    re.compile(r"(?P<keep>[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@?#]*:)(?P<secret>[^\s/?#]+)(?=@)"),
    re.compile(r"(?P<keep>\b(?:Bearer|Basic|Token)\s+)(?P<secret>[A-Za-z0-9+/=._~-]{8,})", re.IGNORECASE),
    re.compile(r"(?P<keep>)(?P<secret>\b(?:npm_|pypi-|hvs\.|sk-|sk_live_|rk_live_)[A-Za-z0-9_-]{16,})"),
    re.compile(r"(?P<keep>-----BEGIN [A-Z ]*PRIVATE KEY-----)(?P<secret>[^-]+)"),
    re.compile(rf"(?P<keep>(?:^|[\s/;&|(]){_MYSQL}\s(?:[^;&|\n]*?\s)?-p[\"']?)(?P<secret>[^\s;&|\"']+)"),
    re.compile(
        r"(?P<keep>(?:^|\s)(?:-u|-U|--user|--proxy-user)[\s=]*[\"']?(?P<user>[^\s:\"'=-][^\s:\"']*):)"
        r"(?!//|(?:[0-9]+|(?P=user))(?:[\s\"']|$))(?P<secret>[^\s\"']+)"
    ),
)
_SHORT_PASSWORD: Final = {
    "-p": frozenset(
        {"mysql", "mysqldump", "mysqladmin", "mysqlimport", "mariadb", "mariadb-dump", "mariadb-admin", "sshpass"}
    ),
    "-a": frozenset({"redis-cli", "redis-benchmark"}),
    "-w": frozenset({"ldapsearch", "ldapmodify", "ldapadd", "ldapwhoami"}),
}
"""Options of one letter that take a secret, by the programs in which they do."""
_FREE: Final = frozenset(
    {
        *("path", "address", "addresses", "host", "filesystem", "executable", "interpreter", "libraries"),
        *("program", "cwd", "detail", "source", "target", "symbol"),
    }
)
"""Fields of a recording whose text is not one of a fixed set of words."""
_USER: Final = frozenset({"-u", "-U", "--user", "--proxy-user"})
"""Options that take NAME:SECRET. NAME:NAME and numbers are a user and a group, as in chown(1)."""


def redact_text(text: str, patterns: Sequence[str] = ()) -> str:
    """`text` with secrets of a well-known shape, and what matches one of `patterns` (regular expressions), masked."""
    return _mask(text, (*_SHAPES, _ASSIGNED, _JOINED, _NEXT), patterns)


def redact_command(words: Sequence[str]) -> str:
    """A command line for a person to read, masked as the arguments of a recording are."""
    return redact_text(" ".join(_redact_arguments(tuple(words), ())))


def _mask(text: str, shapes: Sequence[re.Pattern[str]], patterns: Sequence[str]) -> str:
    for shape in shapes:
        text = shape.sub(lambda match: match["keep"] + MASK, text)
    for pattern in patterns:
        text = re.sub(pattern, MASK, text)
    return text


def is_masked(workload: Workload) -> bool:
    """Whether something that the program was given is not known any more."""
    return any(MASK in text for text in (*workload.argv, *workload.environment_values.values()))


def redact_workload(workload: Workload, patterns: Sequence[str] = ()) -> Workload:
    """`workload` with secrets in its arguments and in the values of variables masked."""
    return msgspec.structs.replace(
        workload,
        argv=_redact_arguments(workload.argv, patterns),
        environment_values={
            name: MASK if _SECRET_NAME.search(name) else redact_text(value, patterns)
            for name, value in workload.environment_values.items()
        },
    )


def redact_run(run: Run, patterns: Sequence[str] = ()) -> Run:
    """`run` with secrets masked in its workload and arguments.

    In everything else (paths, addresses) only tokens that look like nothing else are masked, and what matches one of
    `patterns`: a masked path is not the path any more, and cannot be granted.
    """
    replace = msgspec.structs.replace
    told = replace(
        run,
        workload=redact_workload(run.workload, patterns),
        executables=tuple(replace(seen, argv0=redact_text(seen.argv0, patterns)) for seen in run.executables),
    )
    masked = msgspec.convert(_masked(msgspec.to_builtins(told), "", patterns), Run)
    return replace(
        masked,
        executables=tuple(sorted(masked.executables)),
        syscalls=tuple(sorted(masked.syscalls)),
        arguments=tuple(sorted(masked.arguments)),
        capabilities=tuple(sorted(masked.capabilities)),
        files=tuple(sorted(masked.files)),
        sockets=tuple(sorted(masked.sockets)),
        mounts=tuple(sorted(masked.mounts)),
        lookups=tuple(sorted(masked.lookups)),
        changes=tuple(sorted(masked.changes)),
        gaps=tuple(sorted(masked.gaps)),
    )


def _masked(value: Any, field: str, patterns: Sequence[str]) -> Any:
    """Every string in `value`, which is the content of `field`, without its unmistakable tokens."""
    match value:
        case str():
            return _mask(value, _TOKENS, patterns if field in _FREE else ())
        case list() | tuple():
            return [_masked(each, field, patterns) for each in value]
        case dict():
            return {key: _masked(each, key, patterns) for key, each in value.items()}
        case _:
            return value


def _redact_arguments(argv: tuple[str, ...], patterns: Sequence[str]) -> tuple[str, ...]:
    program = argv[0].rpartition("/")[2] if argv else ""
    named: set[str] = set()
    """Words so far that can be the program: `env mysql …` starts one that is not the first."""
    out: list[str] = []
    secret_next, user_next = False, False
    for position, argument in enumerate(argv):
        option = argument[:2]
        takers = _SHORT_PASSWORD.get(option, frozenset())
        if secret_next and not argument.startswith("--"):
            out.append(MASK)
            secret_next = False
        elif user_next:
            out.append(redact_text(f"-u {argument}", patterns).removeprefix("-u "))
            user_next = False
        elif position and (program in takers or (len(argument) > 2 and named & takers)):
            out.append(option + MASK if len(argument) > 2 else argument)
            secret_next = len(argument) == 2
        else:
            out.append(redact_text(argument, patterns))
            secret_next = bool(position) and argument.startswith("-") and _SECRET_NAME.search(argument) is not None
            user_next = bool(position) and argument in _USER
        named.add(argument.rpartition("/")[2])
    return tuple(out)
