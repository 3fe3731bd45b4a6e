/* --pass-fd: descriptors that the program inherits under the numbers they have outside; --die-with-parent. */
#include "inherited.h"

#include "run.h"
#include "sys.h"

#include <sys/prctl.h>
#include <sys/stat.h>

bool is_folder(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

int op_pass_fd(const struct op *op)
{
	/* From it ".." leads to everything that the host has there. */
	if (is_folder((int)op->n[0]))
		return fail_detail("", 0, "it is a folder of the host, and a way out of the sandbox: --bind shows one");
	return fcntl((int)op->n[0], F_SETFD, 0) < 0 ? fail("fcntl") : 0;
}

/* plan.c has checked that they come in ascending order, and from 3 on. */
bool close_not_passed(void)
{
	unsigned first = 3;

	for (uint32_t i = run.plan.first[STAGE_PAYLOAD]; i < run.plan.first[STAGE_CHECK]; i++) {
		unsigned passed = (unsigned)run.plan.ops[i].n[0];

		if (run.plan.ops[i].code != OP_PASS_FD)
			continue;
		if (passed > first && sys_close_range(first, passed - 1, 0) < 0)
			return false;
		first = passed + 1;
	}
	return sys_close_range(first, ~0U, 0) == 0;
}

void drop_passed(void)
{
	for (uint32_t i = run.plan.first[STAGE_PAYLOAD]; i < run.plan.first[STAGE_CHECK]; i++)
		if (run.plan.ops[i].code == OP_PASS_FD)
			close((int)run.plan.ops[i].n[0]);
}

bool raise_file_limit(void)
{
	struct rlimit files;

	if (sys_prlimit(RLIMIT_NOFILE, NULL, &run.original_files) < 0)
		return false;
	files = run.original_files;
	files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
	if (files.rlim_cur < run.original_files.rlim_cur)
		files.rlim_cur = run.original_files.rlim_cur;
	return sys_prlimit(RLIMIT_NOFILE, &files, NULL) == 0;
}

static int parent = -1;

/* A pidfd tells the end of a process; PR_SET_PDEATHSIG that of the thread that made this one. */
bool watch_parent(bool *gone)
{
	/* Outside this pid namespace it has no number. */
	bool watched = run.parent ? (parent = sys_pidfd_open(run.parent)) >= 0 : prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;

	/* Whose parent ends has another one from then on. getppid(2) always succeeds and leaves errno alone. */
	*gone = getppid() != run.parent;
	return *gone || watched;
}

int parent_fd(void)
{
	return parent;
}
