/* forks COUNT [PROGRAM]: COUNT children, one after the other, each call getppid(2) once and end; with PROGRAM each is
 * spawned by posix_spawn(3) and executes it. Ends with the errno of a spawn that failed, 201 for a fork, 202 for a wait. */
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 0;

	for (int i = 0; i < count; i++) {
		char *command[] = {argv[2], NULL};
		pid_t child = -1;

		if (argc > 2) {
			int error = posix_spawn(&child, argv[2], NULL, NULL, command, environ);

			if (error)
				return error;
		} else {
			child = fork();
		}
		if (child == 0) {
			syscall(SYS_getppid);
			_exit(0);
		}
		if (child < 0)
			return 201;
		if (waitpid(child, NULL, 0) != child)
			return 202;
	}
	return 0;
}
