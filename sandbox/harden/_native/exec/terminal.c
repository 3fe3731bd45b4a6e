/* The payload as a job of its own on the caller's terminal, and its supervisor as the shell that sees to it:
 * credentials(7), tcsetpgrp(3), the GNU C library's manual on job control. */
#include "terminal.h"

#include "run.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

void terminal_find(void)
{
	struct stat in, out;
	pid_t group = tcgetpgrp(STDIN_FILENO);

	/* Where only one of the two is the terminal, harden is part of a pipeline, whose other programs need it too. */
	run.on_terminal = group >= 0 && tcgetpgrp(STDOUT_FILENO) >= 0 && fstat(STDIN_FILENO, &in) == 0 &&
			  fstat(STDOUT_FILENO, &out) == 0 && in.st_rdev == out.st_rdev;
	run.foreground = run.on_terminal && group == getpgrp();
}

void terminal_give(pid_t payload)
{
	if (run.on_terminal && tcgetpgrp(STDIN_FILENO) == getpgrp())
		/* Gone with the payload if it fails. */
		tcsetpgrp(STDIN_FILENO, payload);
}

void terminal_take(pid_t payload)
{
	pid_t group = run.on_terminal ? tcgetpgrp(STDIN_FILENO) : -1;

	/* The payload's group, one of a shell in it, or one that is gone: ours before, unless another job has it. */
	if (group >= 0 && (run.foreground || group == payload))
		tcsetpgrp(STDIN_FILENO, getpgrp());
}

void terminal_suspend(pid_t payload)
{
	terminal_take(payload);
	/* The whole job of the caller stops here, and goes on when its shell says so. */
	kill(0, SIGTSTP);
	run.foreground = run.on_terminal && tcgetpgrp(STDIN_FILENO) == getpgrp();
	terminal_give(payload);
	kill(-payload, SIGCONT);
}
