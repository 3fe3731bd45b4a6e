"""AppArmor in the running kernel: what is loaded, what confines us, and loading one profile more.

Sources: apparmor_parser(8), aa-enforce(8), Documentation/admin-guide/LSM/apparmor.rst.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from harden.errors import HardenError

__all__ = ["is_enabled", "load_problem", "load_profile"]

_ENABLED: Final = Path("/sys/module/apparmor/parameters/enabled")
_LOADED: Final = Path("/sys/kernel/security/apparmor/profiles")
_OWN_LABEL: Final = Path("/proc/self/attr/apparmor/current")
_PARSER_PATH: Final = "/usr/sbin:/sbin:/usr/bin:/bin"
_PARSER_TIMEOUT_S: Final = 120


def is_enabled() -> bool:
    """Whether AppArmor is one of the kernel's active security modules."""
    try:
        return _ENABLED.read_text().strip() == "Y"
    except OSError:
        return False


def load_problem() -> str:
    """What stands in the way of loading a profile and entering it, as a clause; empty when nothing does."""
    if os.geteuid() != 0:
        return "only root can load an AppArmor profile"
    try:
        own = _OWN_LABEL.read_text().strip()
    except OSError as error:
        return f'open("{_OWN_LABEL}"): {error.strerror}'
    if own != "unconfined":
        return f"harden itself is confined by the AppArmor profile {own}"
    if not _LOADED.exists():
        return f"{_LOADED} is not there: securityfs must be mounted at /sys/kernel/security"
    return "" if _parser() else "apparmor_parser is not installed"


def load_profile(name: str, text: bytes) -> None:
    """Have the kernel enforce the profile `text`, which must define `name`; nothing is done where it already does.

    Raises HardenError with what the parser or the kernel said.
    """
    if _is_enforced(name):
        return
    import subprocess  # most runs load nothing

    parser = _parser()
    if parser is None:
        raise HardenError("apparmor_parser is not installed", hint="apt-get install apparmor")
    # The host's own options in parser.conf, such as complain mode for everything, are not for this profile.
    command = [parser, "--config-file=/dev/null", "--skip-cache", "--quiet", "--replace"]
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, check=False, env={"PATH": _PARSER_PATH}, timeout=_PARSER_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HardenError(f"{parser} --replace: {error}", hint="check the installation of AppArmor") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split()) or f"status {done.returncode}"
        raise HardenError(f"{parser} --replace: {said}", hint="`harden export --format apparmor` shows the profile")
    if not _is_enforced(name):
        raise HardenError(f"{parser} --replace: the kernel does not enforce {name}", hint="aa-status lists them")


def _is_enforced(name: str) -> bool:
    try:
        return f"{name} (enforce)" in _LOADED.read_text().splitlines()
    except OSError as error:
        raise HardenError(
            f'open("{_LOADED}"): {error.strerror}', hint="mount securityfs at /sys/kernel/security, and run as root"
        ) from None


def _parser() -> str | None:
    paths = (os.path.join(folder, "apparmor_parser") for folder in _PARSER_PATH.split(":"))
    return next((path for path in paths if os.access(path, os.X_OK)), None)
