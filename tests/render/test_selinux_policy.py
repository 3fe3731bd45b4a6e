"""The exported modules in Debian's whole reference policy: its assertions hold, domains have their profiles' rights."""

from __future__ import annotations

import bz2
import re
import subprocess
from pathlib import Path

import pytest

from harden.enforce import load, locate
from harden.render.formats import FORMATS
from tests.conftest import ROOT
from tests.render.test_selinux import everything, label
from tests.shipped import FOLDER, PROGRAMS

MODULES = Path("/usr/share/selinux/default")
TO_CIL = "/usr/libexec/selinux/hll/pp"
CONTAINER = ROOT / "tests/data/selinux_container.cil"

pytestmark = [
    pytest.mark.requires("selinux-policy", "secilc", "selabel"),
    pytest.mark.xdist_group("selinux-policy"),
]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every module of the policy, in CIL."""
    folder = tmp_path_factory.mktemp("reference")
    for packed in MODULES.glob("*.pp.bz2"):
        module = subprocess.run(
            [TO_CIL, "-"], input=bz2.decompress(packed.read_bytes()), capture_output=True, check=True
        )
        (folder / f"{packed.name.removesuffix('.pp.bz2')}.cil").write_bytes(module.stdout)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def policy(reference: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the policy of all shipped profiles and of one with every right, and its file contexts."""
    folder = tmp_path_factory.mktemp("policy")
    profiles = [load(locate(FOLDER / each.name / f"{each.name}.profile.toml"), trust=True) for each in PROGRAMS]
    modules = []
    for profile in (*profiles, everything()):
        modules.append(folder / f"{profile.name}.cil")
        modules[-1].write_bytes(FORMATS["selinux"].render(profile).content)
    done = compiled(folder, [*reference, CONTAINER, *modules])
    assert done.returncode == 0, done.stderr
    return folder


def compiled(folder: Path, modules: list[Path]) -> subprocess.CompletedProcess[str]:
    words = ["secilc", "-o", str(folder / "policy"), "-f", str(folder / "contexts"), *map(str, modules)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def allowed(policy: Path, *words: str) -> set[tuple[str, str, str]]:
    """What sesearch finds: target type, class and permission."""
    done = subprocess.run(
        ["sesearch", "--allow", *words, str(policy / "policy")], capture_output=True, text=True, check=True
    )
    found = set()
    for target, kind, several, one in re.findall(
        r"^allow \S+ (\S+):(\S+) (?:\{ ([^}]*)\}|([^;]+));", done.stdout, re.MULTILINE
    ):
        found |= {(target, kind, permission) for permission in (several or one).split()}
    return found


def test_a_domain_has_the_rights_of_its_profile_and_none_on_what_is_secret(policy):
    own = allowed(policy, "-s", "harden_nginx.process", "-ds")
    log = label(policy / "contexts", b"/var/log/nginx/access.log").split(":")[2]
    page = label(policy / "contexts", b"/var/www/html/index.nginx-debian.html").split(":")[2]
    assert {permission for target, _, permission in own if target == log} == {"append", "getattr", "open"}
    assert ("file", "read") in {(kind, permission) for target, kind, permission in own if target == page}
    assert not {permission for target, _, permission in own if target == page} & {"write", "append", "create"}
    assert ("harden_nginx.process", "capability", "net_bind_service") in own
    assert ("harden_nginx.process", "capability", "sys_admin") not in own
    assert label(policy / "contexts", b"/etc/shadow").split(":")[2] == "shadow_t"
    for target in ("shadow_t", "kernel_t", "unconfined_t"):
        assert not allowed(policy, "-s", "harden_nginx.process", "-t", target, "-c", "file"), target
    assert allowed(policy, "-s", "passwd_t", "-t", "shadow_t", "-c", "file"), "some domain may"


def test_the_policy_asserts_something(reference, tmp_path):
    """A module that gives its domain what the reference policy keeps from every ordinary one is refused."""
    module = tmp_path / "bad.cil"
    module.write_text("(block bad (blockinherit container) (allow process shadow_t (file (read))))\n")
    done = compiled(tmp_path, [*reference, CONTAINER, module])
    assert done.returncode != 0
    assert "neverallow" in done.stderr
