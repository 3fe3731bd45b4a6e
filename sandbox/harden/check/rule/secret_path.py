"""secret-path: a file that by its name holds a secret can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from harden.check.case import Case, Check, Hit
from harden.check.grant import hit
from harden.check.subject import Facet
from harden.model.recording import FileOperation
from harden.model.severity import Severity

__all__ = ["CHECK"]

_SECRET: Final = re.compile(
    r"/(id_(rsa|dsa|ecdsa|ed25519)[^/]*|\.netrc|\.pgpass|\.my\.cnf|\.git-credentials|\.env(\.[^/]+)?|\.htpasswd|htpasswd"
    r"|[^/]*(secret|password|passwd|credential|token|apikey|api_key|private)[^/]*"
    r"|[^/]*\.(key|p12|pfx|jks|keystore|kdbx|ovpn)|[^/]*[-_.]key\.pem|privkey[^/]*\.pem)$"
    r"|/\.(aws|azure|gnupg|kube|docker)/|/gcloud/",
    re.IGNORECASE,
)
_PUBLIC: Final = re.compile(
    r"/etc/passwd-?$|\.pub$|^/usr/(share|lib)/|^/proc/|^/sys/|\.so(\.[0-9]+)*$|\.(py|pyc|rb|js|h|html|css)$"
)


def _run(case: Case) -> Iterator[Hit]:
    for grant in case.subject.files or ():
        text = grant.text
        if FileOperation.READ in grant.operations and _SECRET.search(text) and not _PUBLIC.search(text):
            yield hit(grant, "can be read, and its name is that of a secret")


CHECK: Final = Check(
    id="secret-path",
    severity=Severity.LOW,
    title="a secret can be read",
    why="What the program reads, an intruder in it reads too. It is often meant; then it should be known.",
    fix="Give the program its own secret with the least rights, and waive this with the reason; remove the rule if "
    "it is not needed.",
    needs=(Facet.FILES,),
    run=_run,
)
