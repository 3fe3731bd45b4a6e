/* loops writes|processes COUNT: writes one byte to /dev/null, or starts /bin/true and waits for it, COUNT times, and
 * prints how many nanoseconds one took. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int start(void)
{
	char *command[] = {"/bin/true", NULL};
	pid_t child;
	int status;

	return posix_spawn(&child, command[0], NULL, NULL, command, environ) || waitpid(child, &status, 0) != child ||
	       status;
}

int main(int argc, char **argv)
{
	long count = argc == 3 ? atol(argv[2]) : 0;
	int fd = open("/dev/null", O_WRONLY), writes;
	struct timespec from, to;

	if (count < 1 || fd < 0)
		return 2;
	writes = strcmp(argv[1], "writes") == 0;
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (long i = 0; i < count; i++)
		if (writes ? write(fd, "x", 1) != 1 : start())
			return 1;
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%.1f\n", ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / (double)count);
	return 0;
}
