/* A helper command inside the namespaces of a running sandbox, in another cgroup and under the base filter alone. What
 * it executes may be the workload's own work: it gets no right that the workload has not. */
#include "run.h"
#include "sys.h"
#include "text.h"

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static _Noreturn void report_and_exit(void)
{
	const struct shared *shared = run.shared;
	struct text message;
	bool exec = run.plan.ops[shared->error_op].code == OP_EXEC;

	text_begin(&message);
	text_add(&message, "harden: ");
	text_safe(&message, plan_string(&run.plan, run.plan.ops[shared->error_op].sentence));
	text_add(&message, ": ");
	text_safe(&message, shared->error_call);
	text_add(&message, ": ");
	text_add(&message, errno_name(shared->error_number));
	text_add(&message, " (");
	text_add(&message, errno_sentence(shared->error_number));
	text_add(&message, ")\n");
	text_write(&message, STDERR_FILENO);
	if (!exec)
		_exit(EXIT_HARDEN);
	_exit(shared->error_number == ENOENT || shared->error_number == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

/* All namespaces are joined, or none: the root of the mount namespace tells. */
int op_join(const struct op *op)
{
	uint64_t before = mount_id_of("/"), after;

	if (setns(run.plan.header.target_fd, (int)op->n[0]) < 0)
		return fail("setns");
	after = mount_id_of("/");
	return before && after && before != after ? 0 : (not_done(), fail("setns"));
}

_Noreturn void enter(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	int status;
	pid_t ended;
	long pid;

	if (run.plan.header.cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)run.plan.header.cgroup_fd;
	}
	/* Until it has given everything away, nobody inside may look into it or take it over (ptrace(2)). */
	if (prctl(PR_SET_DUMPABLE, 0) < 0) {
		fail("prctl");
		report_and_exit();
	}
	if (run_stage(STAGE_OUTSIDE) < 0)
		report_and_exit();
	if (sigprocmask(SIG_SETMASK, NULL, &run.original_mask) < 0) {
		fail("rt_sigprocmask");
		report_and_exit();
	}
	/* A pid namespace is joined by children only. */
	pid = sys_clone3(&args);
	if (pid < 0) {
		fail("clone3");
		report_and_exit();
	}
	if (pid == 0)
		payload_main();
	while ((ended = waitpid((pid_t)pid, &status, 0)) < 0 && errno == EINTR)
		continue;
	if (ended != pid)
		fail("wait4");
	if (atomic_load(&run.shared->failed))
		report_and_exit();
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}
