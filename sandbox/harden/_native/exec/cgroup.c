#include "cgroup.h"

#include "run.h"
#include "sys.h"
#include "text.h"

#include <errno.h>
#include <string.h>
#include <time.h>

void cgroup_kill(void)
{
	ssize_t ignored;
	int fd;

	if (run.plan.header.cgroup_fd < 0)
		return;
	fd = openat(run.plan.header.cgroup_fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* A kernel without that file ends the sandbox by the signal to init. */
	ignored = write(fd, "1", 1);
	(void)ignored;
	close(fd);
}

/* rmdir(2) answers EBUSY for a moment after the last process was reaped. */
static void remove_one(const char *name)
{
	struct timespec pause = { .tv_nsec = 1000000 };

	for (unsigned attempt = 0; *name && attempt < 200; attempt++) {
		if (unlinkat(run.plan.header.cgroup_base_fd, name, AT_REMOVEDIR) == 0 || errno != EBUSY)
			return;
		nanosleep(&pause, NULL);
	}
}

void cgroup_remove(void)
{
	struct text name;

	text_begin(&name);
	if (run.plan.header.cgroup_base_fd < 0)
		return;
	text_add(&name, plan_string(&run.plan, run.plan.header.cgroup_leaf));
	text_string(&name);
	/* The leaf, then each folder that it lies in below the top. */
	for (char *slash = strrchr(name.bytes, '/'); slash; slash = strrchr(name.bytes, '/')) {
		remove_one(name.bytes);
		*slash = 0;
	}
	remove_one(plan_string(&run.plan, run.plan.header.cgroup_top));
}
