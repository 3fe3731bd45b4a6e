/* fork_exec PROGRAM ARGS…: forks, executes PROGRAM in the child, and ends with its status.
 * With --orphan first, the child forks once more and ends at once: the grandchild that executes PROGRAM is left to
 * the reaper, and fork_exec waits for it only through a pipe that closes when it ends. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int run_child(char **command)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		execv(command[0], command);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run_orphan(char **command)
{
	int ends[2];
	char byte;
	pid_t child;

	if (pipe(ends))
		return 1;
	child = fork();
	if (child == 0) {
		close(ends[0]);
		if (fork() == 0) {
			execv(command[0], command);
			_exit(127);
		}
		_exit(0);
	}
	close(ends[1]);
	if (child < 0 || waitpid(child, NULL, 0) != child)
		return 1;
	return read(ends[0], &byte, 1) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[1], "--orphan") == 0)
		return run_orphan(argv + 2);
	return argc >= 2 ? run_child(argv + 1) : 2;
}
