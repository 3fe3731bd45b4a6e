"""One virtual machine: QEMU, with KVM where a trial shows that it boots, else with software emulation."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.vm.kernel import Kernel

__all__ = ["EMULATOR", "Machine", "emulator_command", "kvm_boots"]

EMULATOR: Final = "qemu-system-x86_64"
ALIVE: Final = b"harden-guest: alive"
READY: Final = b"harden-guest: ready"
_KVM_TRIAL_S: Final = 10.0


def emulator_command(
    kernel: Kernel, *, initramfs: Path, root: Path, share: Path, log: Path, kvm: bool
) -> tuple[str, ...]:
    """What starts a guest; its serial console is the file `log`."""
    # One thread for all processors: with several, QEMU 7.2 lets one see half of what another patches in the kernel.
    accelerator = ("-accel", "kvm", "-cpu", "host") if kvm else ("-accel", "tcg,thread=single,tb-size=1024")
    return (
        *("nice", EMULATOR, *accelerator, *(() if kvm else ("-cpu", "max"))),
        *("-smp", "2", "-m", "3G", "-display", "none", "-no-reboot", "-nodefaults", "-nic", "none"),
        *("-kernel", str(kernel.image), "-initrd", str(initramfs)),
        *("-append", "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on"),
        *("-serial", f"file:{log}", "-device", "virtio-rng-pci"),
        *("-drive", f"file={root},if=virtio,format=raw,snapshot=on"),
        *("-virtfs", f"local,path={share},mount_tag=share,security_model=none,multidevs=remap"),
    )


class Machine:
    """A guest that runs from the start of the `with` block and is ended with it."""

    def __init__(self, command: Sequence[str], *, log: Path) -> None:
        self.command = command
        self.log = log

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()

    def is_over(self) -> bool:
        """Whether it has switched itself off, or QEMU ended."""
        return self.process.poll() is not None

    def log_tail(self, lines: int = 60) -> str:
        """The last lines of the serial console, and what QEMU said if it is over."""
        said = self.process.stderr.read() if self.is_over() and self.process.stderr is not None else ""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join([*text.splitlines()[-lines:], *said.splitlines()])

    def was_ready(self) -> bool:
        """Whether the guest came as far as running its tests."""
        return self.log.exists() and READY in self.log.read_bytes()

    def is_alive_within(self, seconds: float) -> bool:
        """Whether the guest reaches its first process in that time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.is_over():
            if self.log.exists() and ALIVE in self.log.read_bytes():
                return True
            time.sleep(0.1)
        return False


def kvm_boots(kernel: Kernel, *, initramfs: Path, root: Path, share: Path, log: Path) -> bool:
    """Whether the kernel boots with KVM here: nested or restricted KVM may be there and not do it."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    command = emulator_command(kernel, initramfs=initramfs, root=root, share=share, log=log, kvm=True)
    with Machine(command, log=log) as machine:
        return machine.is_alive_within(_KVM_TRIAL_S)
