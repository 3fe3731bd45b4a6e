/* gate [--userns] [--id N] FD PROGRAM ARGS…: waits until FD can be read, then executes PROGRAM; --userns enters a new
 * user namespace before, --id N changes to that user and group. */
#include <grp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char byte;
	int next = 1;

	if (argc > next && strcmp(argv[next], "--userns") == 0) {
		if (unshare(CLONE_NEWUSER))
			return 125;
		next++;
	}
	if (argc > next + 1 && strcmp(argv[next], "--id") == 0) {
		int id = atoi(argv[next + 1]);

		if (setgroups(0, NULL) || setresgid(id, id, id) || setresuid(id, id, id))
			return 125;
		next += 2;
	}
	if (argc < next + 2 || read(atoi(argv[next]), &byte, 1) != 1)
		return 125;
	close(atoi(argv[next]));
	execv(argv[next + 1], argv + next + 1);
	return 127;
}
