/* attack_survive: leaves processes behind in every way there is, each holding standard output open, and ends. Prints
 * the pid of each before it does. They would live for 60 seconds. */
#include "attempt.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int ready[2];

static _Noreturn void linger(const char *name)
{
	char line[64];
	int length = snprintf(line, sizeof(line), "%s %d\n", name, getpid());

	if (write(1, line, (size_t)length) != length || write(ready[1], "x", 1) != 1)
		_exit(1);
	for (unsigned left = 60; left; left = sleep(left))
		continue;
	_exit(0);
}

static void ignore_all(void)
{
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_IGN);
}

static void daemonise(const char *name)
{
	if (fork() == 0) {
		setsid();
		if (fork() == 0) {
			ignore_all();
			linger(name);
		}
		_exit(0);
	}
}

static int vfork_child(void *nothing)
{
	(void)nothing;
	linger("vfork");
}

int main(void)
{
	static char stack[65536];
	pid_t stopped;
	char byte;

	if (pipe(ready) < 0)
		return 1;
	daemonise("daemon");
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, 0);
		setpgid(0, 0);
		linger("group");
	}
	stopped = fork();
	if (stopped == 0)
		linger("stopped");
	/* Its parent stands in vfork for as long as it lives. */
	if (fork() == 0) {
		clone(vfork_child, stack + sizeof(stack), CLONE_VFORK | SIGCHLD, NULL);
		_exit(0);
	}
	for (int i = 0; i < 4; i++)
		if (read(ready[0], &byte, 1) != 1)
			return 1;
	kill(stopped, SIGSTOP);
	return 0;
}
