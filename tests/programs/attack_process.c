/* attack_process PID|child|watch ROUNDS: everything that takes over another process. `child` is one of its own;
 * `watch` seizes whatever appears, for as long as standard input is open, and says when it got one that has not become
 * its program yet (its file is a memfd). */
#include "attempt.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char secret[8] = "secret!";

static int open_of(pid_t pid, const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return open(path, flags | O_CLOEXEC);
}

static void attack(pid_t pid)
{
	char bytes[8] = "changed";
	struct iovec ours = { bytes, sizeof(bytes) }, theirs = { secret, sizeof(secret) };
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	attempt("process-vm-readv", process_vm_readv(pid, &ours, 1, &theirs, 1, 0));
	attempt("process-vm-writev", process_vm_writev(pid, &ours, 1, &theirs, 1, 0));
	attempt("pidfd-getfd", syscall(SYS_pidfd_getfd, pidfd, 0, 0));
	attempt("mem", open_of(pid, "mem", O_RDWR));
	attempt("environ", open_of(pid, "environ", O_RDONLY));
	attempt("fd", open_of(pid, "fd", O_RDONLY | O_DIRECTORY) < 0 ? -1 : open_of(pid, "fd/0", O_RDONLY));
	attempt("root", open_of(pid, "root", O_RDONLY | O_DIRECTORY));
	attempt("cwd", open_of(pid, "cwd", O_RDONLY | O_DIRECTORY));
	attempt("kcmp", syscall(SYS_kcmp, pid, getpid(), 0, 0, 0));
	attempt("prlimit", syscall(SYS_prlimit64, pid, 4, NULL, bytes) < 0 && errno != EFAULT ? -1 : 0);
	attempt("attach", ptrace(PTRACE_ATTACH, pid, NULL, NULL));
	waitpid(pid, NULL, WNOHANG | __WALL);
	attempt("seize", ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 && errno != EPERM ? 0 : -1);
	attempt("kill", kill(pid, SIGKILL));
}

static void watch(void)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	unsigned long seized = 0, seen = 0;

	puts("ready 0");
	fflush(stdout);
	while (poll(&input, 1, 0) == 0)
		for (pid_t pid = 3; pid < 400; pid++) {
			char path[64], link[64] = "";

			if (kill(pid, 0) < 0 || pid == getpid())
				continue;
			seen++;
			if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
				continue;
			seized++;
			ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
			waitpid(pid, NULL, __WALL);
			snprintf(path, sizeof(path), "/proc/%d/exe", pid);
			if (readlink(path, link, sizeof(link) - 1) > 0 && strstr(link, "memfd"))
				printf("took-over %d\n", pid);
			ptrace(PTRACE_DETACH, pid, NULL, NULL);
		}
	printf("seen %lu\nseized %lu\n", seen, seized);
}

int main(int argc, char **argv)
{
	const char *target = argc > 1 ? argv[1] : "child";
	pid_t pid = atoi(target);

	if (strcmp(target, "watch") == 0) {
		watch();
		return 0;
	}
	if (strcmp(target, "child") == 0) {
		pid = fork();
		if (pid == 0)
			for (;;)
				pause();
	}
	attack(pid);
	return 0;
}
