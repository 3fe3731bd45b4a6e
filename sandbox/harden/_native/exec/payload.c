/* PID 2: takes everything away from itself in the order of the plan, and becomes the program. */
#include "inherited.h"
#include "pty.h"
#include "run.h"
#include "sys.h"
#include "text.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>

int op_hostname(const struct op *op)
{
	const char *name = plan_string(&run.plan, op->s[0]);
	struct utsname names = { 0 };

	if (syscall(SYS_sethostname, name, strlen(name)) < 0)
		return fail("sethostname");
	if (uname(&names) < 0)
		return fail("uname");
	return strncmp(names.nodename, name, sizeof(names.nodename)) == 0 ? 0 : (not_done(), fail("sethostname"));
}

int op_loopback(const struct op *op)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = made(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), result;

	(void)op;
	if (fd < 0)
		return fail("socket");
	result = ioctl(fd, SIOCSIFFLAGS, &request);
	request.ifr_flags = 0;
	if (result == 0)
		result = ioctl(fd, SIOCGIFFLAGS, &request);
	if (result == 0 && !(request.ifr_flags & IFF_UP))
		result = not_done();
	if (result < 0)
		fail("ioctl");
	close(fd);
	return result;
}

int op_keyring(const struct op *op)
{
	long serial = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);

	(void)op;
	if (serial == 0)
		serial = not_done();
	return serial < 0 ? fail("keyctl") : 0;
}

/* One byte from init; an end of file means that init failed and has said why. */
static void wait_for_init(void)
{
	char byte;
	ssize_t got;

	do
		got = read(run.to_payload[0], &byte, 1);
	while (got < 0 && errno == EINTR);
	if (got != 1)
		_exit(EXIT_HARDEN);
}

int op_wait_for_root(const struct op *op)
{
	(void)op;
	wait_for_init();
	return 0;
}

/* Every mount of a copy has a number of its own. */
int op_copy_mounts(const struct op *op)
{
	uint64_t before = mount_id_of("/"), after;

	(void)op;
	if (unshare(CLONE_NEWNS) < 0)
		return fail("unshare");
	after = mount_id_of("/");
	return before && after && before != after ? 0 : (not_done(), fail("unshare"));
}

int op_rlimit(const struct op *op)
{
	struct rlimit limit = { .rlim_cur = op->n[1], .rlim_max = op->n[2] };

	return sys_prlimit((int)op->n[0], &limit, NULL) < 0 ? fail("prlimit") : 0;
}

/* The caller's session and terminal are left behind in any case: nothing can be typed into it, and no signal reaches
 * the caller's process group. */
int op_session(const struct op *op)
{
	if (run.own_session)
		return setpgid(0, 0) < 0 ? fail("setpgid") : 0;
	if ((op->flags & OPF_ALWAYS) || !run.terminals)
		return setsid() <= 0 ? fail("setsid") : 0;
	return pty_enter((unsigned)op->n[0]);
}

int op_bounding(const struct op *op)
{
	for (unsigned long cap = 0; cap < 64; cap++) {
		if (op->n[0] >> cap & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		/* EINVAL: past the last capability of this kernel */
		return errno == EINVAL && cap > CAP_AUDIT_READ ? 0 : fail("prctl");
	}
	return 0;
}

int op_ids(const struct op *op)
{
	uid_t uid = (uid_t)op->n[0];
	gid_t gid = (gid_t)op->n[1];

	if ((op->flags & OPF_SET_GROUPS) && syscall(SYS_setgroups, 0, NULL) < 0)
		return fail("setgroups");
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return fail("prctl");
	if (syscall(SYS_setresgid, gid, gid, gid) < 0)
		return fail("setresgid");
	if (syscall(SYS_setresuid, uid, uid, uid) < 0)
		return fail("setresuid");
	if (run.plan.header.mode == MODE_ENTER)
		return 0;
	/* Changing ids made this process unreadable for the supervisor of an ordinary user, who has to verify it. */
	return prctl(PR_SET_DUMPABLE, 1) < 0 ? fail("prctl") : 0;
}

int op_capabilities(const struct op *op)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (unsigned i = 0; i < 2; i++) {
		uint32_t set = (uint32_t)(op->n[0] >> (32 * i));

		data[i] = (struct __user_cap_data_struct){ set, set, set };
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return fail("capset");
	for (unsigned long cap = 0; cap < 64; cap++)
		if ((op->n[0] >> cap & 1) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return fail("prctl");
	return prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0 ? fail("prctl") : 0;
}

/* Through the procfs that harden mounted itself, by descriptor, and over no mount point or link: what lies at /proc in
 * the sandbox's tree cannot take the write (CVE-2019-16884, CVE-2025-52881). The read-back sees what came of it. */
int op_apparmor(const struct op *op)
{
	struct text path, label;
	int fd;

	text_begin(&path);
	text_begin(&label);
	text_number(&path, getpid());
	text_add(&path, "/attr/apparmor/exec");
	fd = sys_openat2(run.proc_fd, text_string(&path), O_WRONLY,
			 RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return fail("openat2");
	text_add(&label, "exec ");
	text_add(&label, plan_string(&run.plan, op->s[0]));
	if (write(fd, label.bytes, label.length) != (ssize_t)label.length)
		return fail("write");
	return close(fd);
}

int op_cwd(const struct op *op)
{
	const char *wanted = plan_string(&run.plan, op->s[0]);
	struct stat there = { 0 }, here = { 0 };
	char path[PATH_MAX] = "";

	if (chdir(wanted) < 0)
		return fail("chdir");
	if (stat(wanted, &there) < 0 || stat(".", &here) < 0)
		return fail("stat");
	if (!here.st_ino || here.st_ino != there.st_ino || here.st_dev != there.st_dev)
		return not_done(), fail("chdir");
	/* A folder outside the root has no path inside: getcwd(2) fails, or answers "(unreachable)...". */
	if (syscall(SYS_getcwd, path, sizeof(path)) < 0)
		return fail("getcwd");
	return path[0] == '/' ? 0 : fail_detail("getcwd", ENOENT, "the folder lies outside the new root");
}

int op_no_new_privs(const struct op *op)
{
	(void)op;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? fail("prctl") : 0;
}

/* Its number comes with the packet: the supervisor attaches while init is still busy with the root. */
static void tell_birth(void)
{
	char byte = PACKET_BORN;

	begin_gate();
	if (send(run.control[1], &byte, 1, MSG_NOSIGNAL) != 1)
		die("send");
}

/* All but the filter is in force. The supervisor's answer says that it is attached and that the gate is open; if there is
 * nobody who opens one, it may have come long ago. */
int op_gate(const struct op *op)
{
	char byte = PACKET_READY;
	ssize_t got;

	(void)op;
	atomic_store(&run.shared->at_gate, 1);
	if (run.plan.header.gate_fd >= 0 && send(run.control[1], &byte, 1, MSG_NOSIGNAL) != 1)
		return fail("send");
	do
		got = recv(run.control[1], &byte, 1, 0);
	while (got < 0 && errno == EINTR);
	if (got != 1)
		_exit(EXIT_HARDEN);
	return 0;
}

int op_close_fds(const struct op *op)
{
	(void)op;
	if (run.original_files.rlim_max && sys_prlimit(RLIMIT_NOFILE, &run.original_files, NULL) < 0)
		return fail("prlimit");
	if (sigprocmask(SIG_SETMASK, &run.original_mask, NULL) < 0)
		return fail("rt_sigprocmask");
	return close_not_passed() ? 0 : fail("close_range");
}

int op_seccomp(const struct op *op)
{
	struct sock_fprog filter = { .len = (unsigned short)(op->n[1] / 8),
				     .filter = (struct sock_filter *)(uintptr_t)(run.plan.blobs + op->n[0]) };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0 ? fail("seccomp") : 0;
}

/* execve with a value in the argument register that it ignores: a filter can allow this one call and no other. */
static long execve_cookie(const char *path, char **argv, char **environment, uint64_t cookie)
{
	return syscall(SYS_execve, path, argv, environment, 0UL, 0UL, (unsigned long)cookie);
}

int op_exec(const struct op *op)
{
	if (execve_cookie(plan_string(&run.plan, op->s[0]), run.argv, run.environment, op->n[0]) == 0)
		not_done();
	return fail("execve");
}

/* The filter may forbid even exit_group: then the processor ends this process. */
static _Noreturn void vanish(void)
{
	syscall(SYS_exit_group, EXIT_HARDEN);
	for (;;)
		__builtin_trap();
}

_Noreturn void payload_main(void)
{
	run.op = run.plan.first[STAGE_PAYLOAD];
	if (run.to_payload[1] >= 0)
		close(run.to_payload[1]);
	if (run.to_payload[0] >= 0) {
		wait_for_init();
		tell_birth();
	}
	/* Python ignores these two and a program inherits that. */
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	run_stage(STAGE_PAYLOAD);
	vanish();
}
