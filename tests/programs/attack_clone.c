/* attack_clone: every way into a new user namespace or out of the own ones, and last what a program does need: a
 * thread and a process. */
#include "attempt.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long by_clone3(uint64_t flags)
{
	struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(0);
	return pid;
}

static long by_clone(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid;
}

static int child(void *nothing)
{
	(void)nothing;
	return 0;
}

static void *thread(void *nothing)
{
	return nothing;
}

int main(void)
{
	static char stack[65536];
	pthread_t id;

	attempt("clone3-user", by_clone3(CLONE_NEWUSER));
	attempt("clone3-none", by_clone3(0));
	attempt("clone-user", by_clone(CLONE_NEWUSER));
	/* The flags are an unsigned long, whose high half the kernel ignores here. */
	attempt("clone-user-high", by_clone(CLONE_NEWUSER | 1UL << 40));
	attempt("clone-user-mount", by_clone(CLONE_NEWUSER | CLONE_NEWNS));
	attempt("clone-library", clone(child, stack + sizeof(stack), CLONE_NEWUSER | SIGCHLD, NULL));
	attempt("setns-self", setns(open("/proc/self/ns/user", O_RDONLY), CLONE_NEWUSER));
	attempt("setns-init", setns(open("/proc/1/ns/mnt", O_RDONLY), CLONE_NEWNS));
	attempt("setns-pidfd", setns((int)syscall(SYS_pidfd_open, 1, 0), CLONE_NEWUSER | CLONE_NEWNS));
	/* After the others: it changes who this process is. */
	attempt("unshare-user", unshare(CLONE_NEWUSER));
	errno = pthread_create(&id, NULL, thread, NULL);
	attempt("thread", errno ? -1 : pthread_join(id, NULL));
	attempt("process", by_clone(0));
	while (wait(NULL) > 0)
		continue;
	return 0;
}
