/* many ioctls|misses COUNT: COUNT ioctl(2) calls with different requests, or openings of different missing files. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
	int count = argc == 3 ? atoi(argv[2]) : 0;
	char path[300];

	for (int i = 0; i < count; i++) {
		if (strcmp(argv[1], "ioctls") == 0) {
			ioctl(-1, 0x10000 + i, 0);
		} else {
			snprintf(path, sizeof(path), "/%0200d", i);
			open(path, O_RDONLY);
		}
	}
	return 0;
}
