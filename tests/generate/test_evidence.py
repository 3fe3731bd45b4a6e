"""Comments that say why a rule is there."""

from __future__ import annotations

from harden.generate.evidence import evidence_of
from harden.model.phase import Phase
from harden.model.recording import Recording
from tests.recordings import arguments, capability, file, run, syscall

SERVING = (Phase.SERVING,)
BOTH = (Phase.INIT, Phase.SERVING)


def test_what_a_serving_program_needed_only_before_is_marked():
    recording = Recording.of(
        [
            run(
                syscalls=(syscall("bind"), syscall("accept", phases=SERVING), syscall("read", phases=BOTH)),
                arguments=(arguments("prctl", (15,)), arguments("prctl", (16,), phases=BOTH)),
                capabilities=(capability("CAP_SETUID", call="setuid"),),
                files=(file("/etc/app.conf", "read"), file("/srv/page", "read", phases=SERVING)),
            )
        ]
    )
    assert evidence_of(recording) == {
        ("syscalls", "bind"): "×1 app, init only",
        ("syscalls", "accept"): "×1 app",
        ("syscalls", "read"): "×1 app",
        ("arguments", "prctl", "PR_SET_NAME"): "×1 app, init only",
        ("arguments", "prctl", "PR_GET_NAME"): "×1 app",
        ("capabilities", "CAP_SETUID"): "×1 app in setuid, init only",
        ("files", "/etc/app.conf"): "init only",
    }


def test_a_right_that_another_run_needed_while_serving_is_not_init_only():
    served = run(syscalls=(syscall("read", phases=SERVING),))
    recording = Recording.of([run(syscalls=(syscall("read"),)), served])
    assert evidence_of(recording) == {("syscalls", "read"): "×2 app"}


def test_where_nothing_served_nothing_is_init_only():
    recording = Recording.of([run(syscalls=(syscall("read"),), files=(file("/etc/app.conf", "read"),))])
    assert evidence_of(recording) == {("syscalls", "read"): "×1 app"}
