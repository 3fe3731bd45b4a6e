/* PID 1 of the sandbox: builds the file system, starts the payload, reaps, and ends with the payload's status.
 *
 * Init stays in the outer of two user namespaces. The payload lives in an inner one that owns a copy of the mount
 * namespace, so that every mount is locked for it, whatever capabilities it holds (user_namespaces(7)). */
#include "pty.h"
#include "run.h"
#include "sys.h"
#include "text.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Kept after the lock-down, beside those of the terminal: the payload's pipe. */
enum { INIT_TO_PAYLOAD = PTY_INIT_FILES };

int op_clone_init(const struct op *op)
{
	struct clone_args args = {
		/* The descriptor table is shared until the pieces of the file system, which only the supervisor may
		 * make, have arrived in it. */
		.flags = op->n[0] | CLONE_PIDFD | CLONE_FILES | CLONE_CLEAR_SIGHAND,
		.pidfd = (uint64_t)(uintptr_t)&run.init_pidfd,
		.exit_signal = SIGCHLD,
	};
	long pid;

	if (run.plan.header.cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)run.plan.header.cgroup_fd;
	}
	pid = sys_clone3(&args);
	if (pid < 0)
		return fail("clone3");
	if (pid == 0)
		init_main();
	run.init_pid = (pid_t)pid;
	return 0;
}

static int write_file(int folder, const char *name, const char *content)
{
	int fd = openat(folder, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t length = strlen(content);
	ssize_t written;

	if (fd < 0)
		return fail("openat");
	written = write(fd, content, length);
	if (written != (ssize_t)length)
		fail("write");
	close(fd);
	return written == (ssize_t)length ? 0 : -1;
}

int write_id_maps(int process_fd, const char *uid_map, const char *gid_map, bool deny_setgroups)
{
	if (deny_setgroups && write_file(process_fd, "setgroups", "deny") < 0)
		return -1;
	if (write_file(process_fd, "uid_map", uid_map) < 0)
		return -1;
	return write_file(process_fd, "gid_map", gid_map);
}

/* Outside: init's maps, by the host's /proc; inside init: the payload's, by the sandbox's own. */
int op_map_ids(const struct op *op)
{
	bool outside = op->stage == STAGE_OUTSIDE;
	struct text path;
	int process, result;

	text_begin(&path);
	text_add(&path, outside ? "/proc/" : "");
	text_number(&path, outside ? run.init_pid : run.payload_pid);
	process = openat(outside ? AT_FDCWD : run.proc_fd, text_string(&path), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process < 0)
		return fail("openat");
	/* The folder was opened while the process was alive, so it is that process's and no later one's. */
	if (outside && sys_pidfd_send_signal(run.init_pidfd, 0) < 0)
		return fail("pidfd_send_signal");
	result = write_id_maps(process, plan_string(&run.plan, op->s[0]), plan_string(&run.plan, op->s[1]),
			       op->flags & OPF_DENY_SETGROUPS);
	close(process);
	if (result == 0 && !outside && write(run.to_payload[1], "M", 1) != 1)
		return fail("write");
	return result;
}

int op_clone_payload(const struct op *op)
{
	struct clone_args args = { .flags = op->n[0], .exit_signal = SIGCHLD };
	long pid = sys_clone3(&args);

	if (pid < 0)
		return fail("clone3");
	if (pid == 0)
		payload_main();
	run.payload_pid = (pid_t)pid;
	/* As everywhere, no stop that a terminal may ask for is for the payload's group: it has no parent in its session. */
	if (run.own_session && setsid() < 0)
		return fail("setsid");
	close(run.to_payload[0]);
	if (!(op->n[0] & CLONE_NEWUSER) && write(run.to_payload[1], "M", 1) != 1)
		return fail("write");
	return 0;
}

/* A sysfs shows the network devices of the namespace it is mounted in. */
int op_join_network(const struct op *op)
{
	struct stat wanted = { 0 }, found = { 0 };
	struct text path;
	int fd;

	text_begin(&path);
	(void)op;
	text_number(&path, run.payload_pid);
	text_add(&path, "/ns/net");
	fd = openat(run.proc_fd, text_string(&path), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail("openat");
	if (setns(fd, CLONE_NEWNET) < 0)
		return fail("setns");
	if (fstat(fd, &wanted) < 0 || fstatat(run.proc_fd, "self/ns/net", &found, 0) < 0)
		return fail("fstat");
	if (wanted.st_ino != found.st_ino)
		return not_done(), fail("setns");
	return close(fd);
}

int op_lock_down(const struct op *op)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct nothing[2] = { { 0 }, { 0 } };
	struct sock_fprog filter = { .len = (unsigned short)(op->n[1] / 8),
				     .filter = (struct sock_filter *)(uintptr_t)(run.plan.blobs + op->n[0]) };

	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail("prctl");
	if (prctl(PR_GET_DUMPABLE) != 0)
		return not_done(), fail("prctl");
	if (syscall(SYS_capset, &header, nothing) < 0)
		return fail("capset");
	if (run.terminals && pty_lock_down() < 0)
		return -1;
	if (dup2(run.to_payload[1], INIT_TO_PAYLOAD) != INIT_TO_PAYLOAD)
		return fail("dup2");
	/* The payload holds its own copies; init needs none, and a reader of a pipe must not wait for init. */
	if (sys_close_range(INIT_TO_PAYLOAD + 1, ~0U, 0) < 0 ||
	    (!run.terminals && sys_close_range(0, INIT_TO_PAYLOAD - 1, 0) < 0))
		return fail("close_range");
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0)
		return fail("seccomp");
	/* Only now: what the supervisor finds of init at the barrier is what stays. */
	return write(INIT_TO_PAYLOAD, "T", 1) == 1 ? 0 : fail("write");
}

static _Noreturn void reap(void)
{
	for (;;) {
		struct rusage usage;
		int status;
		pid_t pid = wait4(-1, &status, __WALL | WUNTRACED, &usage);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid == 0)
			(void)not_done();
		if (pid <= 0)
			die("wait4");
		if (pid != run.payload_pid)
			continue;
		if (WIFSTOPPED(status)) {
			pty_report_stop(WSTOPSIG(status));
			continue;
		}
		run.shared->payload_status = status;
		run.shared->payload_usage = usage;
		atomic_store(&run.shared->payload_ended, 1);
		/* The kernel kills what is left in the pid namespace and waits for it. */
		_exit(0);
	}
}

/* A packet from the supervisor; an end of file means that it is gone. */
static void wait_for_supervisor(void)
{
	char byte;

	if (recv(run.control[1], &byte, 1, 0) != 1)
		_exit(EXIT_HARDEN);
}

static void become_root_inside(void)
{
	bool mapped = false;

	for (uint32_t i = run.plan.first[STAGE_OUTSIDE]; i < run.plan.first[STAGE_INIT]; i++)
		if (run.plan.ops[i].code == OP_MAP_IDS || run.plan.ops[i].code == OP_MAP_RANGES) {
			mapped = true;
			if (!(run.plan.ops[i].flags & OPF_DENY_SETGROUPS) && setgroups(0, NULL) < 0)
				die("setgroups");
		}
	if (mapped && (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0))
		die("setresuid");
	if (mapped && (getuid() || geteuid() || getgid() || getegid()))
		(void)not_done(), die("setresuid");
	/* Changing ids cleared it; without it nobody may write the maps of the inner user namespace. */
	if (prctl(PR_SET_DUMPABLE, 1) < 0)
		die("prctl");
}

/* With the supervisor gone there is nobody to report to: the sandbox ends too. */
static void die_with_supervisor(void)
{
	int number = 0;
	char byte;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_GET_PDEATHSIG, &number) < 0)
		die("prctl");
	if (number != SIGKILL)
		(void)not_done(), die("prctl");
	/* It may have died before that call. */
	if (recv(run.control[1], &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		_exit(EXIT_HARDEN);
}

_Noreturn void init_main(void)
{
	run.op = run.plan.first[STAGE_INIT];
	wait_for_supervisor();
	/* No flag of unshare(2): it is refused. While the table is shared, what init closes the supervisor loses. */
	if (unshare(CLONE_FILES | 1) == 0)
		(void)not_done(), die("unshare");
	if (unshare(CLONE_FILES) < 0)
		die("unshare");
	close(run.control[0]);
	become_root_inside();
	die_with_supervisor();
	if (sys_pipe2(run.to_payload, O_CLOEXEC) < 0 || made(run.to_payload[0]) < 0)
		die("pipe2");
	if (run_stage(STAGE_INIT) < 0)
		_exit(EXIT_HARDEN);
	reap();
}
