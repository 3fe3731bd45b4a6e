"""What `trace` was given beyond the profile, in the formats that have words for it; the rest is said."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings

from harden.model.limit import RLIMIT_NAMES
from harden.model.path_text import to_text
from harden.model.profile import Profile
from harden.model.stored_isolation import (
    StoredDevice,
    StoredDisk,
    StoredIsolation,
    StoredOverlay,
    StoredRlimit,
    StoredTmpfs,
)
from harden.render.formats import FORMATS
from tests.recordings import profile_of, run
from tests.render.hostile import paths, words
from tests.render.readers import unit_settings, unit_words

LEARNED = {"memory_cgroup_bytes": 40.0 * (1 << 20), "pids": 33.0, "open_files": 300.0}
ALL = StoredIsolation(
    hostname="box",
    rootfs="/srv/root",
    groups=(7, 9),
    tmpfs=(StoredTmpfs(target="/scratch/a,b", size=1 << 20), StoredTmpfs(target="/tmp")),
    overlays=(StoredOverlay(lower="/srv/a", target="/srv/b"),),
    devices=(StoredDevice(path="/dev/fuse", access="rw"),),
    rlimits=(StoredRlimit(name="nofile", soft=64, hard=128), StoredRlimit(name="core")),
    cpus=1.5,
    memory=512 << 20,
    memory_high=256 << 20,
    swap=64 << 20,
    pids=20,
    io=(StoredDisk(path="/dev/sda", rbps=1000, wiops=5),),
    cpuset="0-1,3",
)


def asked(**changes: Any) -> Profile:
    profile = profile_of(run(peaks=LEARNED))
    isolation = msgspec.structs.replace(ALL, **changes)
    return msgspec.structs.replace(profile, workload=msgspec.structs.replace(profile.workload, isolation=isolation))


def left_out(name: str, profile: Profile) -> str:
    found = [warning for warning in FORMATS[name].render(profile).warnings if "give the consumer's own" in warning]
    return found[0].partition(": ")[2] if found else ""


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_engines(engine: str) -> None:
    words = shlex.split(FORMATS[engine].render(asked()).content.decode(), comments=True)
    assert {
        *("--cpus=1.5", "--cpuset-cpus=0-1,3", "--hostname=box", "--group-add=7", "--group-add=9"),
        *(f"--memory={512 << 20}", f"--memory-swap={576 << 20}", "--pids-limit=20"),
        *("--ulimit=nofile=64:128", "--ulimit=core=-1:-1", "--device=/dev/fuse:/dev/fuse:rw"),
        *('--mount=type=tmpfs,"target=/scratch/a,b",tmpfs-size=1048576', "--mount=type=tmpfs,target=/tmp"),
    } <= set(words)
    assert not {"--tmpfs=/tmp", "--ulimit=nofile=1024:1024", "--ulimit=core=0:0"} & set(words)
    assert left_out(engine, asked()) == (
        f"--memory-high {256 << 20} --rootfs /srv/root --io /dev/sda:rbps=1000,wiops=5 --overlay /srv/a:/srv/b"
    )


def test_what_an_engine_cannot_take_is_said() -> None:
    odd = asked(
        rlimits=(StoredRlimit(name="as", soft=1, hard=1),),
        devices=(StoredDevice(path="/dev/a:b", access="r"),),
        tmpfs=(StoredTmpfs(target="/a\\xff"), StoredTmpfs(target="/a\\x0ab")),
    )
    rendered = FORMATS["docker"].render(odd)
    assert not {b"as=1", b"/dev/a:b", b"\xff"} & {part for part in rendered.content.split() if b"as=1" in part}
    said = "\n".join(rendered.warnings)
    for option in ("--rlimit as: left out", "--device /dev/a:b: left out", "/a\\xff: left out", "/a\\x0ab: left out"):
        assert option in said
    no_memory = profile_of(run())
    workload = msgspec.structs.replace(no_memory.workload, isolation=StoredIsolation(swap=0))
    for name in ("docker", "oci-bundle"):
        rendered = FORMATS[name].render(msgspec.structs.replace(no_memory, workload=workload))
        assert any(warning.startswith("--swap 0: left out") for warning in rendered.warnings)
        assert b"swap" not in rendered.content


def test_oci_bundle() -> None:
    document = json.loads(FORMATS["oci-bundle"].render(asked()).content)
    resources = document["linux"]["resources"]
    assert resources["cpu"] == {"quota": 150_000, "period": 100_000, "cpus": "0-1,3"}
    assert resources["memory"] == {"limit": 512 << 20, "swap": 576 << 20}
    assert resources["pids"] == {"limit": 20}
    assert document["hostname"] == "box"
    assert document["process"]["user"]["additionalGids"] == [7, 9]
    assert document["process"]["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128},
        {"type": "RLIMIT_CORE", "soft": 2**64 - 1, "hard": 2**64 - 1},
    ]
    mounts = [(mount["destination"], mount["type"], mount["options"]) for mount in document["mounts"]]
    assert ("/scratch/a,b", "tmpfs", ["nosuid", "nodev", "mode=1777", "size=1048576"]) in mounts
    assert left_out("oci-bundle", asked()) == (
        f"--memory-high {256 << 20} --rootfs /srv/root --io /dev/sda:rbps=1000,wiops=5 --device /dev/fuse:rw "
        "--overlay /srv/a:/srv/b"
    )


def test_outer_mounts_come_first() -> None:
    profile = asked(tmpfs=(StoredTmpfs(target="/usr/share/x"), StoredTmpfs(target="/a")))
    places = [mount["destination"] for mount in json.loads(FORMATS["oci-bundle"].render(profile).content)["mounts"]]
    assert places.index("/usr") < places.index("/usr/share/x")
    words = shlex.split(FORMATS["bubblewrap"].render(profile).content.decode(), comments=True)
    assert words.index("/usr") < words.index("/usr/share/x")


def test_bubblewrap() -> None:
    text = FORMATS["bubblewrap"].render(asked()).content.decode()
    words = shlex.split(text, comments=True)
    at = words.index("/scratch/a,b")
    assert words[at - 5 : at] == ["--perms", "1777", "--size", "1048576", "--tmpfs"]
    assert words[words.index("--hostname") + 1] == "box"
    assert left_out("bubblewrap", asked()).startswith("--cpus 1.5 --memory ")


def test_kubernetes() -> None:
    pod, _ = yaml.safe_load_all(FORMATS["kubernetes"].render(asked()).content)
    assert pod["spec"]["securityContext"] == {"supplementalGroups": [7, 9]}
    assert pod["spec"]["containers"][0]["resources"] == {"limits": {"memory": str(512 << 20), "cpu": "1500m"}}
    assert "--cpus " not in left_out("kubernetes", asked())
    assert "--hostname box" in left_out("kubernetes", asked())


def of_systemd(profile: Profile) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in unit_settings(FORMATS["systemd"].render(profile).content):
        found.setdefault(key, []).append(value)
    return found


def test_systemd() -> None:
    written = of_systemd(asked())
    expected = {
        "CPUQuota": "150.00%",
        "AllowedCPUs": "0-1,3",
        "MemoryMax": str(512 << 20),
        "MemoryHigh": str(256 << 20),
        "MemorySwapMax": str(64 << 20),
        "TasksMax": "20",
        "LimitNOFILE": "64:128",
        "LimitCORE": "infinity:infinity",
        "SupplementaryGroups": "7 9",
        "IOReadBandwidthMax": '"/dev/sda" 1000',
        "IOWriteIOPSMax": '"/dev/sda" 5',
        "DeviceAllow": '"/dev/fuse" rw',
    }
    assert {key: written[key] for key in expected} == {key: [value] for key, value in expected.items()}
    assert written["TemporaryFileSystem"][-2:] == ['"/scratch/a,b:mode=1777,size=1048576"', '"/tmp:mode=1777"']
    assert "PrivateDevices" not in written
    assert left_out("systemd", asked()) == "--rootfs /srv/root --hostname box --overlay /srv/a:/srv/b"


@pytest.mark.requires("systemd-analyze")
def test_systemd_takes_every_line(tmp_path: Path) -> None:
    odd = asked(
        tmpfs=(
            StoredTmpfs(target='/a b"c%d', size=4096),
            StoredTmpfs(target="/a:b"),
            StoredTmpfs(target="/a\\x5cb"),
            StoredTmpfs(target="/tmp"),
        ),
        rlimits=tuple(StoredRlimit(name=name, soft=5, hard=7) for name in sorted(RLIMIT_NAMES)),
    )
    path = tmp_path / "app.service"
    rendered = FORMATS["systemd"].render(odd)
    path.write_bytes(b"[Service]\nExecStart=/bin/true\n" + rendered.content)
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if str(path) in line and "system call, ignoring" not in line]
    assert (said, done.returncode) == ([], 0)
    for option in ("--tmpfs /a:b", "--tmpfs /a\\x5cb"):
        assert any(warning.startswith(f"{option}: left out") for warning in rendered.warnings)


@settings(max_examples=40)
@given(place=paths, device=paths, disk=paths, host=words)
def test_hostile_names_break_out_of_nothing(place: bytes, device: bytes, disk: bytes, host: bytes) -> None:
    hostile = asked(
        hostname=host.decode("utf-8", "replace")[:16],
        tmpfs=(StoredTmpfs(target=to_text(place), size=4096),),
        devices=(StoredDevice(path=to_text(device), access="r"),),
        io=(StoredDisk(path=to_text(disk), rbps=7),),
    )
    plain = of_systemd(asked(tmpfs=(), devices=(), io=()))
    unit = of_systemd(hostile)
    names = {"TemporaryFileSystem": place + b":mode=1777,size=4096", "DeviceAllow": device, "IOReadBandwidthMax": disk}
    assert unit.keys() - plain.keys() <= names.keys()
    for key, name in names.items():
        added = unit.get(key, [])[len(plain.get(key, [])) :]
        assert [unit_words(value)[0].encode() for value in added] in ([], [name])
    for engine in ("docker", "podman"):
        content = FORMATS[engine].render(hostile).content.decode("utf-8", "surrogateescape")
        words_ = [os.fsencode(word) for word in shlex.split(content, comments=True)]
        assert b"--hostname=" + hostile.workload.isolation.hostname.encode() in words_
        assert [word for word in words_ if word.startswith(b"--device=")] in (
            [],
            [b"--device=" + b":".join((device, device, b"r"))],
        )
        assert len([word for word in words_ if b"tmpfs-size=4096" in word]) <= 1
    script = FORMATS["bubblewrap"].render(hostile).content.decode("utf-8", "surrogateescape")
    bare = [os.fsencode(word) for word in shlex.split(script, comments=True)]
    assert bare[bare.index(b"4096") + 1 :][:2] == [b"--tmpfs", place]
    document = json.loads(FORMATS["oci-bundle"].render(hostile).content)
    mounted = [mount["destination"].encode() for mount in document["mounts"] if "size=4096" in mount["options"]]
    assert mounted in ([], [place])


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_each_option_is_written_or_said(name: str) -> None:
    """Without one option the file or the warnings are others."""
    whole = FORMATS[name].render(asked())
    for field in msgspec.structs.fields(StoredIsolation):
        less = FORMATS[name].render(asked(**{field.name: field.default}))
        assert (whole.content, whole.warnings) != (less.content, less.warnings), field.name
