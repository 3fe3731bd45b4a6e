/* Ids beyond the own one: a user's ranges through newuidmap(1) and newgidmap(1), and supplementary groups. */
#include "run.h"
#include "sys.h"
#include "text.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

enum { MOST_WORDS = 16, MOST_GROUPS = 32 };

/* Cuts `words` at its blanks into `out`; the number of words, or MOST_WORDS + 1 when there are more. */
static unsigned split(char *words, char **out)
{
	unsigned count = 0;

	for (char *at = words; *at;) {
		if (count == MOST_WORDS)
			return MOST_WORDS + 1;
		out[count++] = at;
		at += strcspn(at, " ");
		if (*at)
			*at++ = 0;
	}
	return count;
}

static _Noreturn void run_helper(char **argv)
{
	static char *const environment[] = { NULL };

	sigprocmask(SIG_SETMASK, &run.original_mask, NULL);
	execve(argv[0], argv, environment);
	_exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

/* `program`: newuidmap or newgidmap; both have the rights that an ordinary user lacks, and check /etc/subuid. */
static int map_with(const char *program, const char *ranges)
{
	char words[256], pid[24], *argv[MOST_WORDS + 3];
	struct text number;
	int status;
	struct clone_args args = { .exit_signal = SIGCHLD };
	pid_t child;

	text_begin(&number);
	if (strlen(ranges) >= sizeof(words))
		return fail_detail("", E2BIG, "the id ranges are too many");
	memcpy(words, ranges, strlen(ranges) + 1);
	text_number(&number, run.init_pid);
	memcpy(pid, text_string(&number), number.length + 1);
	argv[0] = (char *)(uintptr_t)program;
	argv[1] = pid;
	status = (int)split(words, argv + 2);
	if (status > MOST_WORDS)
		return fail_detail("", E2BIG, "the id ranges are too many");
	argv[2 + status] = NULL;
	child = (pid_t)sys_clone3(&args);
	if (child < 0)
		return fail("clone3");
	if (child == 0)
		run_helper(argv);
	if (waitpid(child, &status, 0) != child)
		return fail("waitpid");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return fail_detail(program, 0, "it refused the ranges of /etc/subuid or /etc/subgid");
}

int op_map_ranges(const struct op *op)
{
	if (map_with(plan_string(&run.plan, op->s[0]), plan_string(&run.plan, op->s[1])) < 0)
		return -1;
	/* Init is our unreaped child, so its number was nobody else's. */
	if (sys_pidfd_send_signal(run.init_pidfd, 0) < 0)
		return fail("pidfd_send_signal");
	return map_with(plan_string(&run.plan, op->s[2]), plan_string(&run.plan, op->s[3]));
}

int op_groups(const struct op *op)
{
	const char *at = plan_string(&run.plan, op->s[0]);
	gid_t groups[MOST_GROUPS];
	unsigned count = 0;

	while (*at) {
		gid_t group = 0;

		if (count == MOST_GROUPS || *at < '0' || *at > '9')
			return fail_detail("setgroups", EINVAL, "");
		for (; *at >= '0' && *at <= '9'; at++)
			group = group * 10 + (gid_t)(*at - '0');
		groups[count++] = group;
		at += *at == ' ';
	}
	return syscall(SYS_setgroups, count, groups) < 0 ? fail("setgroups") : 0;
}
