/* attack_open PATH...: opens each for writing, and through a descriptor that only names it; writes nothing. */
#include "attempt.h"

#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char link[64], name[4200];
		int held, fd = open(argv[i], O_WRONLY | O_CLOEXEC | O_NONBLOCK);

		attempt(argv[i], fd);
		held = open(argv[i], O_PATH | O_CLOEXEC);
		snprintf(link, sizeof(link), "/proc/self/fd/%d", held);
		snprintf(name, sizeof(name), "by-name:%s", argv[i]);
		fd = held < 0 ? -1 : open(link, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
		attempt(name, fd);
	}
	return 0;
}
