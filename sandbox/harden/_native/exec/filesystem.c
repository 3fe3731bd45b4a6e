#include "filesystem.h"

#include "run.h"
#include "sys.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

int configure(int fd, const char *key, const char *value)
{
	return sys_fsconfig(fd, FSCONFIG_SET_STRING, key, value);
}

int configure_number(int fd, const char *key, uint64_t number, bool octal)
{
	char digits[24];
	size_t at = sizeof(digits) - 1;
	unsigned base = octal ? 8 : 10;

	digits[at] = 0;
	do {
		digits[--at] = (char)('0' + number % base);
		number /= base;
	} while (number);
	return configure(fd, key, digits + at);
}

int open_context(const char *type)
{
	int context = sys_fsopen(type);

	return context < 0 ? fail("fsopen") : context;
}

int create_and_mount(int context, uint64_t attributes)
{
	int fd = -1;

	if (sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL) < 0)
		fail("fsconfig");
	else if ((fd = sys_fsmount(context, (unsigned)attributes)) < 0)
		fail("fsmount");
	close(context);
	return fd;
}

int make_tmpfs(uint64_t size, uint64_t mode, uint64_t attributes)
{
	int context = open_context("tmpfs"), fd;
	struct statvfs system = { 0 };
	struct stat status = { 0 };

	if (context < 0)
		return -1;
	if (configure_number(context, "size", size, false) < 0 || configure_number(context, "mode", mode, true) < 0) {
		fail("fsconfig");
		close(context);
		return -1;
	}
	fd = create_and_mount(context, attributes);
	if (fd < 0)
		return -1;
	if (fstatvfs(fd, &system) < 0 || fstat(fd, &status) < 0)
		return close(fd), fail("fstatfs");
	/* Less than it should be: without a limit, or open to others. */
	if (!system.f_blocks || system.f_blocks > (size + system.f_frsize - 1) / system.f_frsize ||
	    (status.st_mode & 07777) != mode)
		return close(fd), not_done(), fail("fsconfig");
	return fd;
}
