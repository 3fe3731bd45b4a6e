/* attack_mounts WHERE [nested]: everything that would uncover, replace or move what a launcher has mounted. WHERE is a
 * folder to mount on; `nested` does it as the owner of new namespaces. "tmpfs" is what CAP_SYS_ADMIN over an own mount
 * namespace does allow, and "pivot" turns over one's own mounts only. */
#include "attempt.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* sys/mount.h and linux/mount.h do not go together. */
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
int umount2(const char *target, int flags);

static const char *const FILE_SYSTEMS[] = { "proc",	 "sysfs",	"cgroup", "cgroup2", "debugfs", "tracefs",
					    "securityfs", "bpf",	"binfmt_misc", "devtmpfs", "fusectl", "configfs",
					    "pstore" };
static const char *const COVERED[] = { "/proc/sys", "/proc/kcore", "/proc/keys", "/sys/firmware", "/sys", "/proc", "/dev",
				       "/usr", "/" };

static const char *named(const char *what, const char *path)
{
	static char name[300];

	snprintf(name, sizeof(name), "%s:%s", what, path);
	return name;
}

static int clear_attributes(const char *path, unsigned flags)
{
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };

	return (int)syscall(SYS_mount_setattr, AT_FDCWD, path, flags, &attr, sizeof(attr));
}

/* A copy of a mount, in which what is mounted on it could be left out. */
static int copy_without_cover(const char *path, const char *where)
{
	int tree = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE);

	return tree < 0 ? -1 : (int)syscall(SYS_move_mount, tree, "", AT_FDCWD, where, MOVE_MOUNT_F_EMPTY_PATH);
}

static void attack_type(const char *type, const char *where)
{
	int context = (int)syscall(SYS_fsopen, type, 0);

	attempt(named("mount", type), mount("none", where, type, 0, NULL));
	if (context >= 0 && syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		context = (int)syscall(SYS_fsmount, context, 0, 0);
	else
		context = -1;
	attempt(named("fsmount", type), context);
}

/* -1 when it stays empty. */
static int read_keys(void)
{
	char byte;
	int fd = open("/proc/keys", O_RDONLY);
	ssize_t got = fd < 0 ? -1 : read(fd, &byte, 1);

	if (got == 0)
		errno = ENODATA;
	return got == 1 ? 0 : -1;
}

/* Where the owner of a cgroup namespace may mount it, it must not be able to lift its limits there. */
static int write_cgroup(const char *where)
{
	if (mount("none", where, "cgroup2", 0, NULL) < 0 || chdir(where) < 0)
		return -1;
	return open("cgroup.max.depth", O_WRONLY) >= 0 || open("cgroup.procs", O_WRONLY) >= 0 ? 0 : -1;
}

/* A pid namespace is for the children of who made it. */
static void nest(void)
{
	int status;

	if (!attempt("unshare", unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)))
		exit(0);
	if (fork() == 0)
		return;
	wait(&status);
	exit(0);
}

int main(int argc, char **argv)
{
	struct {
		struct file_handle handle;
		unsigned char bytes[8];
	} root = { .handle = { .handle_bytes = 8, .handle_type = 1 }, .bytes = { 2 } };
	const char *where = argc > 1 ? argv[1] : "/tmp";

	if (argc > 2)
		nest();
	for (unsigned i = 0; i < sizeof(FILE_SYSTEMS) / sizeof(*FILE_SYSTEMS); i++)
		attack_type(FILE_SYSTEMS[i], where);
	for (unsigned i = 0; i < sizeof(COVERED) / sizeof(*COVERED); i++) {
		attempt(named("umount", COVERED[i]), umount2(COVERED[i], 2));
		attempt(named("remount", COVERED[i]), mount(NULL, COVERED[i], NULL, 0x1020, NULL));
		attempt(named("setattr", COVERED[i]), clear_attributes(COVERED[i], 0));
		attempt(named("setattr-all", COVERED[i]), clear_attributes(COVERED[i], AT_RECURSIVE));
		attempt(named("move", COVERED[i]), mount(COVERED[i], where, NULL, 0x2000, NULL));
	}
	attempt("copy:/proc", copy_without_cover("/proc", where));
	attempt("copy:/sys", copy_without_cover("/sys", where));
	/* The first inode of the file system below: what open_by_handle_at(2) takes needs no path. */
	attempt("by-handle", syscall(SYS_open_by_handle_at, open("/usr", O_RDONLY), &root, O_RDONLY));
	attempt("device", mknod("/tmp/device", S_IFBLK | 0600, 0x0800));
	attempt("release-agent", open("/sys/fs/cgroup/release_agent", O_WRONLY));
	attempt("keys", read_keys());
	attempt("cgroup-write", write_cgroup(where));
	attempt("tmpfs", mount("none", where, "tmpfs", 0, NULL));
	attempt("pivot", chdir(where) < 0 ? -1 : syscall(SYS_pivot_root, ".", "."));
	return 0;
}
