/* survivors TOKEN [stay]: leaves behind a daemon, a stopped child, one suspended in vfork and one that ignores every
 * signal; says "ready" when all of them are there, and ends, or with `stay` does not. TOKEN is there to be found in
 * their command lines. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int ready[2];

static void rest(void)
{
	if (write(ready[1], "r", 1) == 1)
		for (;;)
			pause();
	_exit(1);
}

static void daemon_child(void)
{
	setsid();
	if (fork() == 0)
		rest();
	_exit(0);
}

static void stopped_child(void)
{
	if (write(ready[1], "r", 1) == 1)
		raise(SIGSTOP);
	_exit(1);
}

static void vfork_child(void)
{
	if (vfork() == 0)
		rest();
	_exit(1);
}

static void deaf_child(void)
{
	for (int number = 1; number < 65; number++)
		signal(number, SIG_IGN);
	setpgid(0, 0);
	rest();
}

int main(int argc, char **argv)
{
	void (*const kinds[])(void) = { daemon_child, stopped_child, vfork_child, deaf_child };
	char byte;

	if (argc < 2 || pipe(ready) < 0)
		return 2;
	for (unsigned i = 0; i < 4; i++)
		if (fork() == 0)
			kinds[i]();
	for (unsigned i = 0; i < 4; i++)
		if (read(ready[0], &byte, 1) != 1)
			return 2;
	puts("ready");
	fflush(stdout);
	while (argc > 2 && strcmp(argv[2], "stay") == 0)
		pause();
	return 0;
}
