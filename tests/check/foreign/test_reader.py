"""Telling kinds apart, and input that is anything at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.bpf.instruction import RETURN, Instruction, encode
from harden.check.foreign import read_foreign
from harden.check.subject import Subject, SubjectKind
from harden.errors import DocumentError
from harden.model.arch import Arch
from harden.model.syscall import numbers

UNIT = b"[Unit]\nDescription=x\n\n[Service]\nSystemCallFilter=read \\\n  write\nCapabilityBoundingSet=~CAP_KILL\n"
APPARMOR = b"""@{X}=/a
profile web /usr/bin/web flags=(x) {
  "@{X}/{b,c}" rw, # c
  capability kill,
  ^hat {
    /x r,
  }
}
"""
DOCKER = json.dumps(
    {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {
                "names": ["read", "clone"],
                "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": 1, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
                "includes": {"caps": ["CAP_KILL"], "minKernel": "4.8"},
            }
        ],
    }
).encode()
OCI = b'{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}'
BPF = encode(
    (Instruction(0x20, 16), Instruction(0x15, 3, 0, 1), Instruction(RETURN, 0), Instruction(RETURN, 0x7FFF0000))
)
SAMPLES = {
    "web.service": (UNIT, SubjectKind.SYSTEMD_UNIT),
    "override.conf": (b"[Service]\nUser=web\n", SubjectKind.SYSTEMD_UNIT),
    "usr.bin.web": (APPARMOR, SubjectKind.APPARMOR),
    "docker.json": (DOCKER, SubjectKind.DOCKER_SECCOMP),
    "oci.json": (OCI, SubjectKind.OCI_SECCOMP),
    "filter": (BPF, SubjectKind.RAW_BPF),
}


@pytest.mark.parametrize("file", SAMPLES)
def test_kinds_are_told_by_content(file):
    data, kind = SAMPLES[file]
    assert read_foreign(data, file).kind is kind
    if not file.endswith((".conf", ".service")):
        assert read_foreign(data, "some-file").kind is kind


@pytest.mark.parametrize("data", [b"", b" \n\t", b"hello\n", b"format = 'harden-profile/1'\n", b"\xff\xfe", b"\0\1\2"])
def test_what_is_no_profile_is_refused(data):
    with pytest.raises(DocumentError) as caught:
        read_foreign(data, "thing")
    assert str(caught.value).startswith("thing")


def survive(data: bytes, file: str) -> None:
    try:
        subject = read_foreign(data, file)
    except DocumentError as error:
        problem = error.message
    else:
        use(subject)
        problem = ""
    assert "\n" not in problem


def use(subject: Subject) -> None:
    if subject.seccomp is not None:
        for arch in (Arch.X86_64, Arch.I386):
            for name in list(numbers(arch))[:60]:
                subject.seccomp.reach(arch, name)
        subject.seccomp.action(Arch.X86_64, "clone", (1, 2, 3, 4, 5, 6))


@given(st.binary(max_size=400), st.sampled_from([*SAMPLES, "x.bpf", "x.json"]))
def test_any_bytes(data, file):
    survive(data, file)


@given(st.sampled_from([*SAMPLES]), st.data())
def test_damaged_files(file, data):
    text = bytearray(SAMPLES[file][0])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 6))
        piece = data.draw(
            st.binary(max_size=5) | st.sampled_from([b"{", b"}", b'"', b"@{X}", b"\\", b"~", b",", b"null"])
        )
        text[at : at + cut] = piece
    survive(bytes(text), file)
