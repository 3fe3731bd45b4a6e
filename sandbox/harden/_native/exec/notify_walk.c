/* A path as the task that waits would go along it: path_resolution(7), and the links of proc(5).
 *
 * A link of a process to its root, its folder or a descriptor has no text that leads there: the kernel jumps, and
 * refuses that to openat2(2) below another root. Here it is the last name of a lookup of its own. Nothing is opened
 * but by O_PATH, and a name never leaves the mounts of the task. */
#include "notify_walk.h"

#include "sys.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#define MAX_LINKS 40 /* MAXSYMLINKS of linux/namei.h in the kernel */
#define PROC_ROOT_INODE 1

static char rest[2 * NOTIFY_PATH]; /* the path from here on, up to its end */
static size_t begin;
static unsigned links;

static void stop(struct walk *walk, int error, bool is_lost)
{
	walk->error = error;
	walk->is_lost = is_lost;
}

/* What the program meets too. What the recorder of a user may not search, that user's program may not either. */
static bool is_own_fault(int error)
{
	return error == ENOENT || error == ENOTDIR || error == EACCES || error == ENAMETOOLONG;
}

static void move_to(struct walk *walk, int fd)
{
	close(walk->at);
	walk->at = fd;
}

static bool put_before(const char *text, size_t length)
{
	if (length > begin)
		return false;
	begin -= length;
	memcpy(rest + begin, text, length);
	return true;
}

/* The next name; false at the end. */
static bool take_name(struct walk *walk)
{
	size_t length;

	begin += strspn(rest + begin, "/");
	length = strcspn(rest + begin, "/");
	if (!length)
		return false;
	if (length > NAME_MAX) {
		stop(walk, ENAMETOOLONG, false);
		return false;
	}
	memcpy(walk->name, rest + begin, length);
	walk->name[length] = 0;
	begin += length;
	walk->is_last = !rest[begin + strspn(rest + begin, "/")];
	return true;
}

/* `..` of the task's root is that root, wherever its mount lies. */
static bool is_root(int fd, int root)
{
	const unsigned mask = STATX_INO | STATX_MNT_ID;
	struct statx here, top;

	return sys_statx(fd, mask, &here) == 0 && sys_statx(root, mask, &top) == 0 && here.stx_ino == top.stx_ino &&
	       here.stx_mnt_id == top.stx_mnt_id;
}

static bool is_proc(int fd)
{
	struct statfs system;

	return fstatfs(fd, &system) == 0 && system.f_type == PROC_SUPER_MAGIC;
}

/* Whether the kernel jumps there, as it does not for /proc/self or /proc/mounts. It checks first whether one may. */
static bool is_magic(int folder, const char *name)
{
	int fd = sys_openat2(folder, name, O_PATH, RESOLVE_NO_MAGICLINKS);

	if (fd >= 0)
		close(fd);
	return fd < 0 && (errno == ELOOP || errno == EACCES || errno == EPERM);
}

static void jump(struct walk *walk)
{
	int fd = openat(walk->at, walk->name, O_PATH | O_CLOEXEC);

	if (fd < 0) {
		stop(walk, errno, errno != ENOENT);
		return;
	}
	walk->has_jumped = true;
	move_to(walk, fd);
}

/* The text of /proc/self or /proc/thread-self for the task, which leads elsewhere for whoever looks; 0: neither. */
static ssize_t own_text(const struct waiting *call, const struct walk *walk, char *text)
{
	bool is_thread = strcmp(walk->name, "thread-self") == 0;
	struct stat folder;

	if (!is_thread && strcmp(walk->name, "self") != 0)
		return 0;
	if (fstat(walk->at, &folder) < 0 || folder.st_ino != PROC_ROOT_INODE)
		return 0;
	return look_self(call->tid, walk->at, is_thread, text);
}

static void follow_link(const struct waiting *call, int root, int link, struct walk *walk)
{
	static char text[PATH_MAX + 1];
	bool is_of_proc = is_proc(link);
	ssize_t length;

	if (++links > MAX_LINKS) {
		stop(walk, ELOOP, false);
		return;
	}
	length = is_of_proc ? own_text(call, walk, text) : 0;
	if (length == 0 && is_of_proc && is_magic(walk->at, walk->name)) {
		jump(walk);
		return;
	}
	if (length == 0)
		length = readlinkat(link, "", text, PATH_MAX);
	if (length < 0 || !put_before(text, (size_t)length))
		stop(walk, length < 0 ? errno : ENAMETOOLONG, true);
	else if (text[0] == '/')
		move_to(walk, fcntl(root, F_DUPFD_CLOEXEC, 0));
}

static void step(const struct waiting *call, int root, bool follow, struct walk *walk)
{
	bool is_end = !follow && !rest[begin];
	struct stat status;
	int fd;

	if (strcmp(walk->name, "..") == 0 && is_root(walk->at, root))
		return;
	fd = openat(walk->at, walk->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0) {
		stop(walk, errno, !is_own_fault(errno));
		return;
	}
	if (!S_ISLNK(status.st_mode) || is_end) {
		move_to(walk, fd);
		return;
	}
	follow_link(call, root, fd, walk);
	close(fd);
}

void walk_path(const struct waiting *call, int root, const char *path, bool follow, struct walk *walk)
{
	*walk = (struct walk){ .at = fcntl(root, F_DUPFD_CLOEXEC, 0) };
	links = 0;
	begin = sizeof(rest) - 1;
	if (!put_before(path, strlen(path)))
		stop(walk, ENAMETOOLONG, true);
	while (!walk->error && take_name(walk))
		step(call, root, follow, walk);
}
