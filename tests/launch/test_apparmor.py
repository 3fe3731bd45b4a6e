"""AppArmor in the launcher: of it and Landlock one is enough; nothing in the tree can take the write of the label."""

from __future__ import annotations

import errno
import subprocess

import msgspec
import pytest

from harden.errors import ControlUnavailable
from harden.kernel.features import Features
from harden.launch.controls import ControlPlan, plan_controls
from harden.model.control import Control, Enforcement, Requirement
from harden.model.sandbox import AppArmorLabel, Bind, LandlockRules, SandboxSpec
from tests.sandboxes import features, harden_run, run, shell

NOTHING_GRANTED = LandlockRules(
    handled_files=1 << 1, handled_network=0, scoped=0, files=(), bind_tcp=(), connect_tcp=()
)
LABEL = AppArmorLabel(name="harden-test-wide")
LANDLOCK_CREATE_RULESET = 444


def host(*, landlock: bool, apparmor: bool) -> Features:
    return msgspec.structs.replace(features(), landlock_abi=7 if landlock else 0, apparmor=apparmor)


def spec(label: AppArmorLabel | None = LABEL, **changes) -> SandboxSpec:
    return shell("true", apparmor=label, landlock=NOTHING_GRANTED, **changes)


def decided(spec: SandboxSpec, host: Features) -> dict[Control, ControlPlan]:
    plans, _ = plan_controls(spec, host)
    return {plan.control: plan for plan in plans}


@pytest.mark.requires("userns", "seccomp")
class TestDecision:
    def test_both_are_in_force_where_both_are_there(self):
        found = decided(spec(), host(landlock=True, apparmor=True))
        assert found[Control.APPARMOR].enforcement is Enforcement.FULLY_ENFORCED
        assert found[Control.APPARMOR].expected == b"harden-test-wide"
        assert found[Control.LANDLOCK].enforcement is Enforcement.FULLY_ENFORCED

    def test_apparmor_is_enough_without_landlock(self):
        found = decided(spec(), host(landlock=False, apparmor=True))
        assert found[Control.APPARMOR].enforcement is Enforcement.FULLY_ENFORCED
        assert found[Control.LANDLOCK].enforcement is Enforcement.NOT_ENFORCED

    def test_landlock_is_enough_without_apparmor_and_that_is_reported(self):
        found = decided(spec(), host(landlock=True, apparmor=False))
        assert found[Control.APPARMOR].enforcement is Enforcement.NOT_ENFORCED
        assert found[Control.APPARMOR].reason == "AppArmor is not enabled in this kernel"

    def test_neither_stops_the_start(self):
        with pytest.raises(ControlUnavailable, match="landlock: cannot be enforced"):
            plan_controls(spec(), host(landlock=False, apparmor=False))

    def test_a_label_with_a_problem_is_not_in_force_and_does_not_stand_in_for_landlock(self):
        broken = AppArmorLabel(name="x", problem="the parser said no")
        found = decided(spec(broken), host(landlock=True, apparmor=True))
        assert found[Control.APPARMOR].reason == "the parser said no"
        with pytest.raises(ControlUnavailable, match="landlock: cannot be enforced"):
            plan_controls(spec(broken), host(landlock=False, apparmor=True))

    @pytest.mark.parametrize("control", [Control.LANDLOCK, Control.APPARMOR])
    def test_what_is_asked_for_by_name_is_required(self, control):
        asked = spec(requirements={control: Requirement.REQUIRED})
        lacking = host(landlock=control is not Control.LANDLOCK, apparmor=control is not Control.APPARMOR)
        with pytest.raises(ControlUnavailable, match=f"^{control}: cannot be enforced"):
            plan_controls(asked, lacking)
        waived = msgspec.structs.replace(asked, allow_degraded=frozenset({control}))
        assert decided(waived, lacking)[control].enforcement is Enforcement.NOT_ENFORCED

    def test_a_profile_without_apparmor_is_asked_for_nothing(self):
        assert Control.APPARMOR not in decided(spec(None), host(landlock=True, apparmor=True))


@pytest.fixture(scope="module")
def loaded() -> None:
    text = "profile harden-test-wide { file, capability, network, signal, ptrace, unix, }\n"
    subprocess.run(["apparmor_parser", "--replace", "-K"], input=text, text=True, check=True)


@pytest.mark.requires("apparmor", "apparmor-parser", "root", "landlock", "nobody")
@pytest.mark.usefixtures("loaded")
class TestInForce:
    def test_apparmor_holds_where_landlock_is_hidden(self):
        done = harden_run(spec(), refuse_before=(LANDLOCK_CREATE_RULESET,), errno=errno.ENOSYS)
        assert done.returncode == 0, done.stderr

    def test_the_same_without_apparmor_is_refused(self):
        done = harden_run(spec(None), refuse_before=(LANDLOCK_CREATE_RULESET,), errno=errno.ENOSYS)
        assert done.returncode == 125
        assert "landlock: cannot be enforced" in done.stderr

    def test_a_user_may_enter_a_loaded_label(self):
        done = harden_run(shell("cat /proc/self/attr/apparmor/current", apparmor=LABEL), uid=65534)
        assert (done.returncode, done.stdout) == (0, "harden-test-wide (enforce)\n"), done.stderr

    def test_a_file_that_is_bound_over_the_attribute_cannot_take_the_write(self, tmp_path):
        fake = tmp_path / "exec"
        fake.write_text("")
        bind = Bind(source=bytes(fake), target=b"/proc/2/attr/apparmor/exec", writable=True)
        done = harden_run(shell("true", apparmor=LABEL, binds=(bind,)))
        assert done.returncode == 125
        assert fake.read_text() == ""

    def test_the_program_is_confined_from_its_first_instruction(self):
        ended = run(shell("read label </proc/self/attr/apparmor/current; echo $label", apparmor=LABEL))
        assert ended.text == "harden-test-wide (enforce)\n"
        assert ended.outcome.enforced is not None
        (seen,) = (each for each in ended.outcome.enforced.controls if each.control is Control.APPARMOR)
        assert seen.enforcement is Enforcement.FULLY_ENFORCED
