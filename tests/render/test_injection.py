"""Nothing that a program chose breaks out of an output: read back by its grammar, it holds the same rules or fewer."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import tomllib
from pathlib import Path
from typing import TypeGuard

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from harden.errors import Inexpressible
from harden.model.path_text import from_text
from harden.model.profile import Profile
from harden.render.formats import FORMATS
from harden.render.host_view import host_view
from harden.render.sandbox_paths import sandbox_paths
from tests.render.apparmor_dfa import WRITE, FileRules
from tests.render.hostile import hostile_profiles, written
from tests.render.readers import cil, command_of_script, expanded, unit_settings, unit_words

often = settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
seldom = settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

PATH_SETTINGS = {"ReadWritePaths", "ExecPaths", "InaccessiblePaths", "NoExecPaths"}
KEYS = re.compile(r"[A-Z][A-Za-z]+")


def command_words(profile: Profile) -> list[bytes]:
    return [from_text(profile.workload.program), *map(from_text, profile.workload.argv[1:])]


@often
@given(hostile_profiles())
def test_systemd_settings_hold_the_same_paths(profile):
    rendered = FORMATS["systemd"].render(profile)
    settings_ = unit_settings(rendered.content)
    assert "ExecStart" not in {key for key, _ in settings_}
    assert all(KEYS.fullmatch(key) for key, _ in settings_)
    paths = sandbox_paths(profile)
    may_write = {*paths.writable, *paths.folders} | {from_text(bind.target) for bind in profile.workload.binds}
    shown = set()
    for key, value in settings_:
        if key in ("ReadWritePaths", "BindPaths"):
            path = inside(key, value)
            assert path in may_write
            shown.add(path)
        elif key in PATH_SETTINGS and value != "/":
            assert len(unit_words(value)) == 1
    told = " ".join(rendered.warnings)
    for path in paths.writable:
        assert path in shown or "left out of" in told, "what is left out is said"


def inside(key: str, value: str) -> bytes:
    """The path that a service sees: BindPaths= takes what follows a colon, and its paths have none themselves."""
    (word,) = unit_words(value)
    assert word.startswith("-/")
    return (word.rpartition(":")[2] if key == "BindPaths" else word).removeprefix("-").encode()


def in_camel_case(text: bytes) -> dict[str, object]:
    """What landlockconfig's JSON says, of its TOML."""

    def name(key: str) -> str:
        first, *more = key.split("_")
        return first + "".join(map(str.capitalize, more))

    def table(value: dict[str, object]) -> dict[str, object]:
        return {name(key): [table(each) for each in inner] if _are_tables(inner) else inner
                for key, inner in value.items()}  # fmt: skip

    return table(tomllib.loads(text.decode()))


def _are_tables(value: object) -> TypeGuard[list[dict[str, object]]]:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


@often
@given(hostile_profiles())
def test_json_holds_the_same_command_and_mounts(profile):
    for name in ("seccomp", "capabilities", "landlock"):
        json.loads(FORMATS[name].render(profile).content)
    assert in_camel_case(FORMATS["landlock-toml"].render(profile).content) == json.loads(
        FORMATS["landlock"].render(profile).content
    )
    try:
        document = json.loads(FORMATS["oci-bundle"].render(profile).content)
    except Inexpressible:
        words = [*command_words(profile), from_text(profile.workload.cwd)]
        words += [from_text(text) for pair in profile.workload.environment_values.items() for text in pair]
        assert not all(is_utf8(word) for word in words)
        return
    assert [word.encode() for word in document["process"]["args"]] == command_words(profile)
    assert document["process"]["cwd"].encode() == from_text(profile.workload.cwd)
    view = {mount.target: mount for mount in host_view(profile).mounts}
    bound = {mount["destination"].encode(): mount for mount in document["mounts"] if mount["type"] == "bind"}
    assert bound.keys() == {target for target, mount in view.items() if is_utf8(target) and is_utf8(mount.source)}
    for target, mount in bound.items():
        assert mount["source"].encode() == view[target].source
        assert ("rw" in mount["options"]) == view[target].writable


def is_utf8(word: bytes) -> bool:
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True


@often
@given(hostile_profiles())
def test_yaml_holds_the_same_command(profile):
    pod, policy = yaml.safe_load_all(FORMATS["kubernetes"].render(profile).content)
    container = pod["spec"]["containers"][0]
    if "command" in container:
        words = [expanded(word).encode() for word in (*container["command"], *container["args"])]
        assert words == command_words(profile)
        assert container["workingDir"].encode() == from_text(profile.workload.cwd)
        env = {each["name"].encode(): expanded(each["value"]).encode() for each in container.get("env", ())}
        assert env == {from_text(name): from_text(value) for name, value in profile.workload.environment_values.items()}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert policy["kind"] == "NetworkPolicy"
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", pod["metadata"]["name"])
    assert re.fullmatch(
        r"profiles/[A-Za-z0-9._-]+\.seccomp\.json", container["securityContext"]["seccompProfile"]["localhostProfile"]
    )


@often
@given(hostile_profiles())
def test_objects_of_the_operator_hold_plain_paths_of_the_profile_only(profile):
    rendered = FORMATS["spo"].render(profile)
    _, apparmor = yaml.safe_load_all(rendered.content)
    abstract = apparmor["spec"]["abstract"]
    granted = {pattern.path for pattern, _ in profile.rights.all_files() if pattern.is_literal}
    for paths in (*abstract["filesystem"].values(), *abstract["executable"].values()):
        for path in paths:
            assert re.fullmatch(r"/[A-Za-z0-9._+:=/-]*", path)
            assert path.removesuffix("/").encode() in granted
    for paths in (abstract["filesystem"]["writeOnlyPaths"], abstract["filesystem"]["readWritePaths"]):
        for path in paths:
            assert path.removesuffix("/").encode() in written(profile) | locked(profile)


def locked(profile: Profile) -> set[bytes]:
    return {pattern.path for pattern, granted in profile.rights.all_files() if pattern.is_literal and "lock" in granted}


@seldom
@given(hostile_profiles())
@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_shell_gives_the_engine_the_same_words(engine, profile):
    with tempfile.TemporaryDirectory() as folder:
        words = command_of_script(
            FORMATS[engine].render(profile).content, Path(folder), program=engine, image="the image"
        )
    assert words[0] == b"run"
    assert words[-len(profile.workload.argv) :] == [b"the image", *command_words(profile)[1:]]
    options = words[1 : -len(profile.workload.argv)]
    assert b"--entrypoint=" + from_text(profile.workload.program) in options
    assert b"--privileged" not in options
    volumes = {each for each in options if each.startswith(b"--mount=type=bind")}
    assert len(volumes) <= len(profile.workload.binds)
    for volume in volumes:
        fields = csv_fields(volume.removeprefix(b"--mount="))
        source, target = fields[1].removeprefix(b"source="), fields[2].removeprefix(b"target=")
        bind = next(
            each
            for each in profile.workload.binds
            if from_text(each.target) == target and from_text(each.source) == source
        )
        assert fields[3:] == ([] if bind.writable else [b"readonly"])


def csv_fields(record: bytes) -> list[bytes]:
    """RFC 4180."""
    import csv

    (row,) = csv.reader([record.decode("utf-8")], strict=True)
    return [field.encode() for field in row]


@seldom
@given(hostile_profiles())
def test_a_shell_gives_bwrap_the_same_words(profile):
    with tempfile.TemporaryDirectory() as folder:
        words = command_of_script(FORMATS["bubblewrap"].render(profile).content, Path(folder), program="bwrap")
    at = len(words) - len(command_words(profile))
    assert words[at - 1] == b"--"
    assert words[at:] == command_words(profile)
    binds = {words[index + 2]: word for index, word in enumerate(words[:at]) if word == b"--bind-try"}
    assert binds.keys() == {mount.target for mount in host_view(profile).mounts if mount.writable}
    values = {words[index + 1]: words[index + 2] for index, word in enumerate(words[:at]) if word == b"--setenv"}
    assert values == {from_text(name): from_text(value) for name, value in profile.workload.environment_values.items()}


@often
@given(hostile_profiles())
def test_cil_labels_the_same_paths(profile):
    text = FORMATS["selinux"].render(profile).content.decode("ascii")
    (whole,) = cil(text)
    assert isinstance(whole, list)
    assert whole[0] == "block"
    name, statements = whole[1], whole[2:]
    assert re.fullmatch(r"harden_[A-Za-z0-9_]+", str(name))
    assert {statement[0] for statement in statements} <= {
        "blockinherit",
        "allow",
        "type",
        "roletype",
        "typeattributeset",
        "filecon",
    }
    writable = {
        str(statement[2])
        for statement in statements
        if statement[0] == "allow"
        and isinstance(statement[3], list)
        and {"write", "append", "create"} & set(map(str, statement[3][1]))
    }
    for statement in statements:
        if statement[0] != "filecon":
            continue
        expression = re.compile(str(statement[1]).strip('"').encode(), re.DOTALL)
        assert not expression.fullmatch(b"/etc/shadow")
        assert not re.search(r"\s", str(statement[1]))
        if str(statement[3][2]) in writable and not str(statement[1]).endswith('(/.*)?"'):
            assert all(expression.fullmatch(path) for path in written(profile) if path_of(str(statement[1])) == path)


def path_of(expression: str) -> bytes:
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), expression.strip('"').encode())


@pytest.mark.requires("apparmor-parser")
@seldom
@given(hostile_profiles())
def test_apparmor_policy_grants_no_other_path(profile):
    text = FORMATS["apparmor"].render(profile).content
    command = ["apparmor_parser", "-K", "--kernel-features=/etc/apparmor.d/abi/3.0"]
    names = subprocess.run([*command, "-N"], input=text, capture_output=True, check=True).stdout.decode().splitlines()
    assert len(names) == 1
    assert re.fullmatch(r"harden\.[A-Za-z0-9._-]+", names[0])
    policy = FileRules(subprocess.run([*command, "-S"], input=text, capture_output=True, check=True).stdout)
    granted = [pattern for pattern, _ in profile.rights.all_files()]
    for path in (b"/etc/shadow", b"/root/.ssh/id", b"/", b"/srv/app", b"/srv/app/other", b"/usr/bin/sh"):
        if not any(pattern.matches(path) or pattern.matches(path.rstrip(b"/")) for pattern in granted):
            assert policy.permissions(path) | policy.owner_permissions(path) == 0, path
    for pattern, operations in profile.rights.all_files():
        if pattern.is_literal and "write" in operations and len(pattern.path) < 1000:
            assert (policy.permissions(pattern.path) | policy.owner_permissions(pattern.path)) & WRITE
