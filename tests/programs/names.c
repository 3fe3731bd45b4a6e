/* names FOLDER LENGTH: names that are hard to write down. Makes, in FOLDER, and reads:
 *   files named by the bytes ff fe, by `a"b'c\d`, by "new\nline\ttab", by " " and by "$(x)*?[!]"
 *   a path of exactly LENGTH bytes with its NUL (FOLDER is absolute), made of folders of 200 bytes
 * and a file that is removed while it is open, and read again through /proc/self/fd: it has no name any more.
 * Last it unlinks its own program, which is FOLDER/names, and reads FOLDER/after.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const hard[] = {"\xff\xfe", "a\"b'c\\d", "new\nline\ttab", " ", "$(x)*?[!]"};

static void touch(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT, 0600);

	if (fd < 0 || close(fd))
		exit(3);
}

/* A path of `length` bytes: folders of 200 bytes, the last name takes what is left. */
static void touch_long(const char *folder, size_t length)
{
	static char path[8192], part[256];
	size_t used = (size_t)snprintf(path, sizeof(path), "%s", folder);

	memset(part, 'p', 200);
	part[200] = 0;
	while (length - used > 400) {
		used += (size_t)snprintf(path + used, sizeof(path) - used, "/%s", part);
		if (mkdir(path, 0700))
			exit(4);
	}
	memset(part, 'q', 200);
	if (length - used > 202) {
		used += (size_t)snprintf(path + used, sizeof(path) - used, "/%.*s", (int)(length - used - 202), part);
		if (mkdir(path, 0700))
			exit(5);
	}
	snprintf(path + used, sizeof(path) - used, "/%.*s", (int)(length - used - 2), part);
	if (strlen(path) + 1 != length)
		exit(6);
	touch(path);
}

int main(int argc, char **argv)
{
	char link[64];
	int fd;

	if (argc != 3 || chdir(argv[1]))
		return 2;
	for (size_t i = 0; i < sizeof(hard) / sizeof(*hard); i++)
		touch(hard[i]);
	touch_long(argv[1], (size_t)atoi(argv[2]));
	fd = open("gone", O_RDWR | O_CREAT, 0600);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (fd < 0 || unlink("gone") || open(link, O_RDONLY) < 0)
		return 1;
	if (unlink("names"))
		return 1;
	touch("after");
	return 0;
}
