"""pyseccomp, another way to libseccomp, compiles the same rules to the same answers."""

from __future__ import annotations

import errno
import os

import pytest

from harden.bpf.action import ALLOW, EPERM
from harden.bpf.decision import Decision, Table
from harden.bpf.instruction import decode
from harden.bpf.libseccomp import native_arch
from harden.bpf.simulate import Simulator
from harden.bpf.verification import boundaries
from tests.bpf.sample_rights import COOKIE, SAMPLES

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def export(table: Table) -> bytes:
    import pyseccomp

    context = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    for number, action in table.actions.items():
        if action != EPERM:
            context.add_rule(pyseccomp.ALLOW if action == ALLOW else pyseccomp.ERRNO(action & 0xFFFF), number)
    for number, conditions in table.conditions.items():
        for condition in conditions:
            rule = [pyseccomp.Arg(each.index, pyseccomp.MASKED_EQ, each.mask, each.value) for each in condition]
            context.add_rule(pyseccomp.ALLOW, number, *rule)
    with os.fdopen(os.memfd_create("second-opinion"), "r+b") as file:
        context.export_bpf(file)
        file.seek(0)
        return file.read()


@pytest.mark.parametrize("name", sorted(SAMPLES))
@pytest.mark.parametrize("cookie", [None, COOKIE])
def test_pyseccomp_agrees_on_every_known_call(name, cookie):
    native = native_arch()
    assert native is not None
    decision = Decision.of(SAMPLES[name], cookie, launcher=native)
    table = decision.tables[native]
    simulator = Simulator(decode(export(table)))
    asked = 0
    for point in boundaries(decision):
        if point.arch == native.audit_arch and (point.number in table.actions or point.number in table.conditions):
            for arguments in point.arguments:
                expected = decision.action(point.arch, point.number, arguments)
                assert simulator.run(point.arch, point.number, arguments) == expected
                asked += 1
    assert asked > 1000
