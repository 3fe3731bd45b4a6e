"""What the payload does to itself, in order, until it becomes the program."""

from __future__ import annotations

from harden.errors import HardenError
from harden.kernel.features import Features
from harden.launch.controls import ControlPlan, is_enforced
from harden.launch.filters import base_filter, notify_filter, shows_host_writable
from harden.launch.idmaps import needs_ranges
from harden.launch.ops import Check, Code, Flag, Op, Stage, op
from harden.launch.rlimits import rlimit_ops, rlimits_of
from harden.launch.tree import text
from harden.model.control import Control
from harden.model.sandbox import AppArmorLabel, LandlockRules, SandboxSpec

__all__ = ["base_filter_op", "exec_ops", "identity_ops", "landlock_ops", "payload_ops", "process_check"]


def base_filter_op(spec: SandboxSpec) -> Op:
    """Load the filter that everything in the sandbox is under, the profile's filter or not."""
    host_writable = shows_host_writable(spec)
    return op(
        Stage.PAYLOAD,
        Code.SECCOMP,
        "load the base seccomp filter: TIOCSTI and TIOCLINUX are refused"
        + (", and so are set-id bits and devices, and calls that hide them (ENOSYS)" if host_writable else ""),
        blob=base_filter(host_writable=host_writable),
        sentence="seccomp: cannot load the base filter",
    )


def _groups_ops(groups: tuple[int, ...]) -> list[Op]:
    if not groups:
        return []
    words = f"set the supplementary groups {', '.join(map(str, groups))}"
    return [op(Stage.PAYLOAD, Code.GROUPS, words, strings=(" ".join(map(str, groups)).encode(),))]


def identity_ops(spec: SandboxSpec, euid: int, egid: int) -> list[Op]:
    """Bounding set, groups, ids, and then the capabilities, in the only order that works.

    `euid`, `egid`: who harden runs as. A single id map leaves no way to change the groups (user_namespaces(7)).
    """
    mask = sum(1 << capability for capability in spec.capabilities)
    uid = spec.uid if spec.uid is not None else euid
    gid = spec.gid if spec.gid is not None else egid
    groups = spec.isolation.groups
    drop_groups = _drops_groups(spec, euid, egid) and not groups
    return [
        op(
            Stage.PAYLOAD,
            Code.BOUNDING,
            f"limit the capability bounding set to {len(spec.capabilities)} capabilities",
            numbers=(mask,),
            sentence="capabilities: cannot limit the bounding set",
        ),
        *_groups_ops(groups),
        op(
            Stage.PAYLOAD,
            Code.IDS,
            f"become uid {uid}, gid {gid}",
            numbers=(uid, gid),
            flags=Flag.SET_GROUPS if drop_groups else Flag.NONE,
        ),
        op(
            Stage.PAYLOAD,
            Code.CAPABILITIES,
            f"set the permitted, effective, inheritable and ambient capabilities to {mask:#x}",
            numbers=(mask,),
            sentence="capabilities: cannot set them",
        ),
    ]


def process_check(spec: SandboxSpec, euid: int, egid: int) -> Op:
    """At the barrier: who the program is, by its maps; that it has no filter too few and no descriptor too many; and
    that init has no rights. Groups that cannot be changed are told, and compared with nothing.
    """
    uid = spec.uid if spec.uid is not None else euid
    gid = spec.gid if spec.gid is not None else egid
    groups = " ".join(map(str, spec.isolation.groups))
    if not groups and not _drops_groups(spec, euid, egid):
        groups = "*"
    return op(
        Stage.CHECK,
        Code.CHECK,
        "verify user, groups, filters and descriptors",
        strings=(b"", f"{uid} {gid} {groups}".encode(), b"", b""),
        slots=(Check.PROCESS, 2),
        numbers=(0,),
        sentence="the kernel says that the program's process is not as asked",
        hint="the program was not started; please report this with the output of `harden doctor`",
    )


def _drops_groups(spec: SandboxSpec, euid: int, egid: int) -> bool:
    """Only with ranges of ids: with a single one the kernel wants setgroups(2) switched off (user_namespaces(7))."""
    return euid == 0 or needs_ranges(spec, euid, egid)


def landlock_ops(rules: LandlockRules) -> list[Op]:
    """Build the ruleset; a path that does not exist when it is built is granted nothing."""
    sentence = "landlock: cannot build the rules"
    hint = "`harden doctor` shows the kernel's Landlock ABI"
    ops = [
        op(
            Stage.PAYLOAD,
            Code.LANDLOCK,
            f"make a Landlock ruleset with {len(rules.files)} path rules and "
            f"{len(rules.bind_tcp) + len(rules.connect_tcp)} port rules",
            numbers=(rules.handled_files, rules.handled_network, rules.scoped),
            sentence=sentence,
            hint=hint,
        )
    ]
    for rule in rules.files:
        words = f"grant {text(rule.path)} the Landlock rights {rule.access:#x}"
        ops.append(
            op(
                Stage.PAYLOAD,
                Code.LANDLOCK_PATH,
                words,
                strings=(rule.path,),
                numbers=(rule.access,),
                sentence=f"landlock: cannot {words}",
                hint=hint,
            )
        )
    for access, ports, verb in ((1, rules.bind_tcp, "bind"), (2, rules.connect_tcp, "connect")):
        for port in ports:
            words = f"grant {verb} of TCP port {port}"
            ops.append(
                op(
                    Stage.PAYLOAD,
                    Code.LANDLOCK_PORT,
                    words,
                    numbers=(access, port),
                    sentence=f"landlock: cannot {words}",
                    hint=hint,
                )
            )
    return ops


def payload_ops(
    spec: SandboxSpec,
    features: Features,
    controls: tuple[ControlPlan, ...],
    landlock: LandlockRules | None,
    userns: bool,
) -> list[Op]:
    """From the payload's birth to its own ids, capabilities and working folder.

    Landlock's rules are opened while it still may reach every path; they are enforced later.
    """
    pay = Stage.PAYLOAD
    ops = []
    if is_enforced(controls, Control.UTS_NAMESPACE):
        words = f"set the host name {spec.hostname}"
        ops.append(op(pay, Code.HOSTNAME, words, strings=(spec.hostname.encode(),)))
    if is_enforced(controls, Control.NETWORK_NAMESPACE):
        ops.append(op(pay, Code.LOOPBACK, "bring the loopback interface up"))
    if features.works("session-keyring"):
        ops.append(op(pay, Code.KEYRING, "join an empty session keyring"))
    ops.append(op(pay, Code.WAIT_FOR_ROOT, "wait until init has built the root"))
    if userns:
        ops.append(op(pay, Code.COPY_MOUNTS, "copy the mount namespace, which locks every mount"))
    if landlock is not None:
        ops += landlock_ops(landlock)
    uid = spec.uid if spec.uid is not None else features.euid
    words = "leave the caller's session and terminals; where a stream is one, become a job on the sandbox's own"
    ops.append(op(pay, Code.SESSION, words, numbers=(uid,)))
    ops += identity_ops(spec, features.euid, features.egid)
    if is_enforced(controls, Control.APPARMOR):
        ops.append(_apparmor_op(spec.apparmor))
    ops.append(
        op(
            pay,
            Code.CWD,
            f"change to {text(spec.cwd)} and check that it lies in the new root",
            strings=(spec.cwd,),
            sentence=f"cannot change to the working folder {text(spec.cwd)} of the sandbox",
            hint="show it with --bind, or choose another with --cwd",
        )
    )
    return ops


def _apparmor_op(label: AppArmorLabel | None) -> Op:
    name = "" if label is None else label.name
    words = f"enter the AppArmor profile {name} at exec"
    return op(
        Stage.PAYLOAD,
        Code.APPARMOR,
        words,
        strings=(name.encode(),),
        sentence=f"apparmor: cannot {words}",
        hint="it must be loaded, in enforce mode (aa-status lists both), and harden must be allowed to enter it",
    )


def _listen_op(cookie: int) -> Op:
    return op(
        Stage.PAYLOAD,
        Code.NOTIFY,
        "load a filter that hands every call to the recorder, and give the recorder its listener",
        blob=notify_filter(cookie),
        numbers=(cookie,),
        sentence="recording by user notification",
        hint="it needs Linux 5.5, and nothing else that holds a seccomp listener, such as a container's; "
        "`harden doctor` tries it",
    )


def exec_ops(spec: SandboxSpec, controls: tuple[ControlPlan, ...], *, landlocked: bool) -> list[Op]:
    """The last steps: no_new_privs, Landlock, the gate, and seccomp right before execve.

    The recorder's filter comes first of them: of those that come after, refusals go before it.
    """
    pay = Stage.PAYLOAD
    ops = [op(pay, Code.NO_NEW_PRIVS, "set no_new_privs", sentence="no-new-privs: cannot set it")]
    if landlocked:
        ops.append(
            op(
                pay,
                Code.LANDLOCK_RESTRICT,
                "enforce the Landlock ruleset",
                sentence="landlock: cannot enforce the ruleset",
            )
        )
    ops.append(
        op(
            pay,
            Code.GATE,
            "wait at the gate",
            sentence="the program was not started",
            hint="the supervisor traces it up to its exec, to verify it: kernel.yama.ptrace_scope must not be 3",
        )
    )
    if spec.listener_cookie is not None:
        ops.append(_listen_op(spec.listener_cookie))
    passed = spec.isolation.pass_fds
    for number in passed:
        ops.append(op(pay, Code.PASS_FD, f"keep descriptor {number} for the program", numbers=(number,)))
    kept = ", ".join(map(str, (0, 1, 2, *passed)))
    ops.append(op(pay, Code.CLOSE_FDS, f"close every descriptor but {kept}"))
    # Not before: descriptors above the limit could not be used any more.
    ops += rlimit_ops(rlimits_of(spec))
    ops.append(base_filter_op(spec))
    cookie = 0
    flags = Flag.NONE
    if spec.seccomp is not None and is_enforced(controls, Control.SECCOMP):
        program = spec.seccomp.program
        if not program or len(program) % 8 or len(program) > 4096 * 8:
            raise HardenError(
                f"seccomp: a filter of {len(program)} bytes is no classic BPF program of at most 4096 instructions",
                hint="generate the profile again",
            )
        words = f"load the profile's seccomp filter, {len(program) // 8} instructions"
        ops.append(op(pay, Code.SECCOMP, words, blob=program, sentence="seccomp: cannot load the profile's filter"))
        if spec.seccomp.exec_cookie is not None:
            cookie, flags = spec.seccomp.exec_cookie, Flag.COOKIE
    words = f"execute {text(spec.program)}" + (", with the one-shot cookie" if flags else "")
    ops.append(
        op(
            pay,
            Code.EXEC,
            words,
            strings=(spec.program,),
            lists=(spec.argv, spec.environment),
            numbers=(cookie, len(spec.argv), len(spec.environment)),
            flags=flags,
            sentence=f"cannot execute {text(spec.program)}",
            hint="it, its interpreter and its loader must be visible in the sandbox and executable under the profile",
        )
    )
    return ops
