#include "controllers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where harden itself lives while its own cgroup passes controllers on; it stays behind, for the next one. */
#define SUPERVISOR "harden-supervisor"

static bool write_file(int base, const char *path, const char *text)
{
	int fd = openat(base, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t written = fd < 0 ? -1 : write(fd, text, strlen(text));

	close(fd);
	return written == (ssize_t)strlen(text);
}

/* The root, which has no cgroup.type, passes on whoever is in it. */
static bool holds_just_us(int base, const char *own)
{
	char processes[32];
	int fd = openat(base, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, processes, sizeof(processes) - 1);

	close(fd);
	if (got <= 0 || faccessat(base, "cgroup.type", F_OK, 0) < 0)
		return false;
	processes[got] = 0;
	return strncmp(processes, own, strlen(own)) == 0 && strcmp(processes + strlen(own), "\n") == 0;
}

static bool words_with_plus(const char *words, char *out, size_t size)
{
	size_t length = 0;

	for (const char *at = words + strspn(words, " "); *at; at += strspn(at, " ")) {
		size_t word = strcspn(at, " ");

		if (length + word + 3 > size)
			return false;
		length += (size_t)snprintf(out + length, size - length, "%s+%.*s", length ? " " : "", (int)word, at);
		at += word;
	}
	return length > 0;
}

bool pass_controllers_on(int base, const char *name, const char *controllers)
{
	char wanted[128], path[96], own[16];

	if (!words_with_plus(controllers, wanted, sizeof(wanted)))
		return false;
	snprintf(own, sizeof(own), "%d", (int)getpid());
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", name);
	if (holds_just_us(base, own)) {
		if (mkdirat(base, SUPERVISOR, 0755) < 0 && errno != EEXIST)
			return false;
		if (!write_file(base, SUPERVISOR "/cgroup.procs", own))
			return false;
	}
	return write_file(base, "cgroup.subtree_control", wanted) && write_file(base, path, wanted);
}
