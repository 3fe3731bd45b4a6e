/* succession KIND: three processes, one after the other, do one thing, another thing, and the first thing again.
 *
 * What each does lies between two names that it looks for and that are not there, which say its own clock and number:
 * /succession/N/begins/PID/NS before, and /succession/N/ends/PID/NS behind, with CLOCK_MONOTONIC in nanoseconds. The
 * parent looks for the second one, when the process is gone. Before each it lets 20 ms go by, so that times differ.
 *
 * Needs for KIND: call getpriority, getpgid; path /succession/one, /succession/two; argument ioctl 0x1111, 0x2222;
 * socket AF_INET, AF_INET6; mount tmpfs, proc; signal SIGUSR1, SIGUSR2; capability CAP_SYS_ADMIN, CAP_SETGID; execute
 * /usr/bin/true, /usr/bin/false.
 */
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void stamp(int number, const char *what, int pid)
{
	struct timespec now;
	char path[128];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(path, sizeof(path), "/succession/%d/%s/%d/%lld", number, what, pid,
		 now.tv_sec * 1000000000LL + now.tv_nsec);
	access(path, F_OK);
}

static void execute(bool first)
{
	const char *path = first ? "/usr/bin/true" : "/usr/bin/false";

	execl(path, path, NULL);
	_exit(3);
}

static void act(const char *kind, bool first)
{
	if (strcmp(kind, "call") == 0)
		first ? getpriority(PRIO_PROCESS, 0) : getpgid(0);
	else if (strcmp(kind, "path") == 0)
		access(first ? "/succession/one" : "/succession/two", F_OK);
	else if (strcmp(kind, "argument") == 0)
		ioctl(-1, first ? 0x1111 : 0x2222, 0);
	else if (strcmp(kind, "socket") == 0)
		close(socket(first ? AF_INET : AF_INET6, SOCK_STREAM, 0));
	else if (strcmp(kind, "mount") == 0)
		mount("none", "/succession", first ? "tmpfs" : "proc", 0, NULL);
	else if (strcmp(kind, "signal") == 0)
		kill(getpid(), first ? SIGUSR1 : SIGUSR2);
	else if (strcmp(kind, "capability") == 0)
		/* A length that no name has: the kernel asks for the capability and changes nothing. */
		first ? syscall(SYS_sethostname, "", -1) : setgroups(0, NULL);
	else if (strcmp(kind, "execute") == 0)
		execute(first);
	else
		_exit(2);
}

int main(int count, char **words)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	int status;

	if (count != 2)
		return 1;
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	for (int number = 1; number <= 3; number++) {
		pid_t child;

		nanosleep(&pause, NULL);
		child = fork();
		if (child == 0) {
			stamp(number, "begins", getpid());
			act(words[1], number != 2);
			_exit(0);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
			return 1;
		stamp(number, "ends", child);
	}
	return 0;
}
