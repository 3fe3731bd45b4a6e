/* signals: sends each signal to somebody else. SIGUSR1 to itself, SIGUSR2 from a child to its parent, SIGWINCH from that
 * child to its brother, SIGTERM to the brother, SIGRTMIN+1 by sigqueue(3) to itself, SIGURG to the parent of all, which
 * is no part of it. The kernel sends SIGCHLD and SIGALRM, which are nobody's need. Signal 0 is sent to nobody. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	pid_t parent = getppid(), self = getpid(), brother, child;
	int status, number;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	brother = fork();
	if (brother == 0) {
		sigemptyset(&all);
		sigaddset(&all, SIGTERM);
		_exit(sigwait(&all, &number));
	}
	child = fork();
	if (child == 0)
		_exit(kill(self, SIGUSR2) || kill(brother, SIGWINCH));
	if (waitpid(child, &status, 0) != child || status || raise(SIGUSR1) || kill(brother, SIGTERM) ||
	    kill(parent, SIGURG) || kill(parent, 0) || sigqueue(self, SIGRTMIN + 1, (union sigval){0}))
		return 1;
	alarm(1);
	sigemptyset(&all);
	sigaddset(&all, SIGALRM);
	return sigwait(&all, &number) || waitpid(brother, &status, 0) != brother || status;
}
