"""The shipped profiles, as real as profiles get, in every format: each consumer's own tool takes them."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml

from harden.enforce import load, locate
from harden.model.profile import Profile
from harden.render.formats import FORMATS
from tests.conftest import ROOT
from tests.render.kubernetes_api import check_object
from tests.render.readers import cil, command_of_script

PROFILES = sorted((ROOT / "profiles/shipped").rglob("*.profile.toml"))
DATA = ROOT / "tests/data"

every = pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.name.partition(".")[0])


@cache
def profile(path: Path) -> Profile:
    return load(locate(path), trust=True)


def content(path: Path, name: str) -> bytes:
    return FORMATS[name].render(profile(path)).content


def test_there_are_some():
    assert len(PROFILES) >= 8


@pytest.mark.requires("systemd-analyze")
@every
def test_systemd_takes_the_drop_in(path, tmp_path):
    unit = tmp_path / "app.service"
    unit.write_bytes(b"[Service]\nExecStart=/bin/true\n" + content(path, "systemd"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "Failed to parse system call" not in line]
    assert (done.returncode, complaints) == (0, [])


@pytest.mark.requires("apparmor-parser")
@every
def test_apparmor_parser_takes_the_profile(path):
    command = ["apparmor_parser", "-K", "-Q", "--kernel-features=/etc/apparmor.d/abi/3.0", "--warn=all", "--Werror"]
    done = subprocess.run(command, input=content(path, "apparmor"), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.requires("secilc")
@every
def test_secilc_takes_the_module(path, tmp_path):
    module = tmp_path / "app.cil"
    module.write_bytes(content(path, "selinux"))
    command = ["secilc", "-o", str(tmp_path / "policy"), "-f", str(tmp_path / "contexts")]
    done = subprocess.run([*command, str(DATA / "selinux_base.cil"), str(module)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert cil(module.read_text())


@every
def test_the_objects_keep_to_their_schemas(path):
    for document in yaml.safe_load_all(content(path, "kubernetes")):
        check_object(document)
    operator = jsonschema.Draft202012Validator(json.loads((DATA / "security_profiles_operator.json").read_text()))
    for document in yaml.safe_load_all(content(path, "spo")):
        operator.validate(document)
    landlock = jsonschema.Draft202012Validator(json.loads((DATA / "landlockconfig.json").read_text()))
    landlock.validate(json.loads(content(path, "landlock")))


@every
def test_a_shell_takes_the_scripts(path, tmp_path):
    for name, program in (("docker", "docker"), ("podman", "podman"), ("bubblewrap", "bwrap")):
        words = command_of_script(
            content(path, name), tmp_path, program=program, image="" if program == "bwrap" else "i"
        )
        assert len(words) > 10
