/* sleeper [STATUS]: prints "ready", then waits for a signal. SIGTERM: prints "stopped", ends with STATUS (default 0);
 * SIGHUP: prints "reloaded" and waits on. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	sigset_t awaited;
	int received;

	sigemptyset(&awaited);
	sigaddset(&awaited, SIGTERM);
	sigaddset(&awaited, SIGHUP);
	sigprocmask(SIG_BLOCK, &awaited, NULL);
	puts("ready");
	fflush(stdout);
	while (sigwait(&awaited, &received) == 0 && received == SIGHUP) {
		puts("reloaded");
		fflush(stdout);
	}
	puts("stopped");
	return argc > 1 ? atoi(argv[1]) : 0;
}
