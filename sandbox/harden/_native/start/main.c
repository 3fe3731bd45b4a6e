/* The command `harden`. A run whose plan was kept, and would be made again, starts here; all else is Python's, whose
 * own start takes longer than that of a whole sandbox. */
#include "become.h"
#include "fact.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_HARDEN = 125 };

static int refuse(const char *what, const char *why, const char *hint)
{
	fprintf(stderr, "harden: %s: %s\nhint: %s\n", what, why, hint);
	return EXIT_HARDEN;
}

/* The script that the installer has put beside this program; links to it are followed. */
static bool beside(const char *name, char path[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	path[length < 0 ? 0 : length] = 0;
	slash = strrchr(path, '/');
	if (!slash || (size_t)(slash + 1 - path) + strlen(name) >= PATH_MAX)
		return false;
	strcpy(slash + 1, name);
	return true;
}

/* From a folder ".." leads to everything that the host has there, whatever view a program is shown. */
static bool has_folder(void)
{
	struct stat status;

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode))
			return true;
	return false;
}

/* Until Python has a handler of its own, which is long after its start has one, SIGINT waits. False when it is blocked or
 * ignored anyhow. */
static bool block_interrupt(void)
{
	struct sigaction action;
	sigset_t interrupt, before;

	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	return sigaction(SIGINT, NULL, &action) == 0 && action.sa_handler != SIG_IGN &&
	       sigprocmask(SIG_BLOCK, &interrupt, &before) == 0 && !sigismember(&before, SIGINT);
}

/* An interpreter without a locale gives itself one in the environment (PEP 538), where it would be taken for the caller's:
 * recorded, handed on, and asked for by a kept plan. False where the caller has settled that. */
static bool keep_locale(void)
{
	return !getenv("PYTHONCOERCECLOCALE") && setenv("PYTHONCOERCECLOCALE", "0", 0) == 0;
}

/* What harden.kernel.caller reads, and takes out of the environment again. */
static bool tell_python(pid_t parent)
{
	char told[32];

	snprintf(told, sizeof(told), "%d%s%s", (int)parent, block_interrupt() ? " SIGINT" : "",
		 keep_locale() ? " LOCALE" : "");
	return setenv("HARDEN_CALLER", told, 1) == 0;
}

int main(int argc, char **argv)
{
	const pid_t parent = getppid();
	struct entry entry = { 0 };
	char path[PATH_MAX];

	if (getauxval(AT_SECURE))
		return refuse("harden", "it must not be set-user-id, set-group-id or carry file capabilities",
			      "chmod u-s,g-s, setcap -r");
	if (has_folder())
		return refuse("a standard stream", "it is a folder of the host, and a way out of the sandbox",
			      "give it a file or /dev/null; --bind shows a folder");
	if (argc > 1 && strcmp(argv[1], "run") == 0 && entry_find(argv + 1, &entry) &&
	    facts_hold(entry.facts, entry.fact_count))
		become_harden_exec(&entry, parent);
	if (!beside("harden-python", path))
		return refuse("readlink(\"/proc/self/exe\")", strerror(errno), "harden needs /proc");
	if (!tell_python(parent))
		return refuse("setenv", strerror(errno), "give harden more memory");
	argv[0] = path;
	execv(path, argv);
	return refuse(path, strerror(errno), "this is harden's Python part: install harden again");
}
