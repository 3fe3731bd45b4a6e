/* What the program's names lead to: proc(5), openat2(2). */
#include "notify_name.h"

#include "notify_walk.h"
#include "sys.h"
#include "text.h"

#include <errno.h>
#include <string.h>

static ssize_t folder_of(const struct waiting *call, int dirfd, bool from_root, char *to)
{
	ssize_t length;

	if (from_root && call->at_root) {
		memcpy(to, "/", 2);
		return 1;
	}
	if (from_root)
		length = look_link(call->tid, "root", to);
	else if (dirfd == AT_FDCWD)
		length = look_link(call->tid, "cwd", to);
	else
		length = look_descriptor(call->tid, dirfd, to);
	/* A descriptor of what is no folder in a file system: the call fails. */
	return length > 0 && to[0] == '/' ? length : -1;
}

bool look_base(const struct waiting *call, int dirfd, bool in_root, struct named *named)
{
	bool absolute = named->name[0] == '/';
	ssize_t length;

	named->length = strlen(named->name);
	length = folder_of(call, dirfd, absolute && !in_root, named->base);
	if (!named->length || length < 0)
		return false;
	named->base_length = (size_t)length;
	memcpy(named->whole, named->base, named->base_length);
	length = named->base_length == 1 ? 0 : (ssize_t)named->base_length;
	if (!absolute)
		named->whole[length++] = '/';
	memcpy(named->whole + length, named->name, named->length + 1);
	return true;
}

bool look_name(const struct waiting *call, uint64_t address, int dirfd, bool in_root, struct named *named)
{
	if (!address || look_string(call, address, named->name) <= 0)
		return false;
	return look_base(call, dirfd, in_root, named);
}

/* The sandbox's root, and what tells whether another task has the same. */
static struct {
	int fd;
	struct stat folder, mounts;
} sandbox_root = { .fd = -1 };
static bool roots_move; /* then every root is looked up for every call */

static bool is_same(const struct stat *one, const struct stat *other)
{
	return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

void look_forget_root(void)
{
	roots_move = true;
}

bool look_is_at_root(pid_t tid)
{
	static char link[NOTIFY_PATH];
	struct stat folder, mounts;

	if (roots_move || !look_stat(tid, "root", &folder) || !look_stat(tid, "ns/mnt", &mounts))
		return false;
	if (sandbox_root.fd < 0) {
		if (look_link(tid, "root", link) != 1)
			return false;
		sandbox_root.fd = look_open(tid, "root", O_PATH | O_DIRECTORY);
		sandbox_root.folder = folder;
		sandbox_root.mounts = mounts;
	}
	return sandbox_root.fd >= 0 && is_same(&folder, &sandbox_root.folder) && is_same(&mounts, &sandbox_root.mounts);
}

/* The program's root; where that is a folder of its mount namespace, `path` is cut to what lies below. */
static int open_root(pid_t tid, const char **path)
{
	static char root[NOTIFY_PATH];
	ssize_t length = look_link(tid, "root", root);

	if (length < 0)
		return -1;
	if (length > 1) {
		if (strncmp(*path, root, (size_t)length) != 0 || ((*path)[length] && (*path)[length] != '/'))
			return -1;
		*path += length;
	}
	return look_open(tid, "root", O_PATH | O_DIRECTORY);
}

/* What the recorder of a user may not reach, that user's program cannot reach either. */
static enum look meaning(int number)
{
	return number == ENOENT || number == ENOTDIR || number == EACCES ? LOOK_ABSENT : LOOK_UNSEEN;
}

/* A name that is free, in a folder that is there. */
static enum look free_name(int folder, const char *name, size_t length, char *object)
{
	ssize_t got = look_descriptor(getpid(), folder, object);

	if (got < 0)
		return LOOK_UNSEEN;
	if ((size_t)got + 1 + length >= NOTIFY_PATH)
		return LOOK_ABSENT;
	if (got == 1)
		got = 0;
	object[got++] = '/';
	memcpy(object + got, name, length);
	object[got + (ssize_t)length] = 0;
	return LOOK_FREE;
}

/* The folder of a name that is not there; LOOK_THERE: a link is, or may be, that leads to nothing. */
static enum look look_at_folder(int root, const char *path, char *object)
{
	static char folder[NOTIFY_PATH];
	size_t length = strlen(path), leaf;
	struct stat status;
	enum look look;
	int fd;

	while (length && path[length - 1] == '/')
		length--;
	leaf = length;
	while (leaf && path[leaf - 1] != '/')
		leaf--;
	folder[0] = '/';
	memcpy(folder + 1, path, leaf);
	folder[leaf + 1] = 0;
	fd = sys_openat2(root, folder, O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT);
	if (fd < 0)
		return meaning(errno);
	look = path[length] || fstatat(fd, path + leaf, &status, AT_SYMLINK_NOFOLLOW) == 0 ? LOOK_THERE :
	       free_name(fd, path + leaf, length - leaf, object);
	close(fd);
	return look;
}

/* Names that lead elsewhere for each process that asks (proc(5)); what is asked in its place must not be ours. */
static const struct {
	const char *name, *below;
} OWN_NAMES[] = {
	{ "/proc/self", "" },	    { "/proc/thread-self", "" }, { "/proc/mounts", "/mounts" }, { "/proc/net", "/net" },
	{ "/etc/mtab", "/mounts" }, { "/dev/fd", "/fd" },	 { "/dev/stdin", "/fd/0" },	{ "/dev/stdout", "/fd/1" },
	{ "/dev/stderr", "/fd/2" },
};

/* The same for one that names the process itself; NULL if it does not. */
static const char *without_self(pid_t tid, const char *path)
{
	static struct text other;

	for (unsigned i = 0; i < sizeof(OWN_NAMES) / sizeof(*OWN_NAMES); i++) {
		size_t length = strlen(OWN_NAMES[i].name);
		char text[4096];
		const char *number;

		if (strncmp(path, OWN_NAMES[i].name, length) != 0 || (path[length] && path[length] != '/'))
			continue;
		number = look_own_number(tid, text, sizeof(text));
		if (!number)
			return NULL;
		other.length = 0;
		text_add(&other, "/proc/");
		text_add(&other, number);
		text_add(&other, OWN_NAMES[i].below);
		text_add(&other, path + length);
		return text_string(&other);
	}
	return NULL;
}

/* Whether it is the path that the kernel gives to what it leads to if no symbolic link is on the way. */
static bool is_normal(const char *path)
{
	for (; *path; path++)
		if (path[0] == '/' && (!path[1] || path[1] == '/' ||
				       (path[1] == '.' && (!path[2] || path[2] == '/' ||
							   (path[2] == '.' && (!path[3] || path[3] == '/'))))))
			return false;
	return true;
}

static int open_path(int root, const char *path, bool follow, bool is_whole, bool *has_links)
{
	int fd;

	if (follow && is_whole && path[0] == '/' && is_normal(path)) {
		fd = sys_openat2(root, path, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
		*has_links = fd < 0;
		if (fd >= 0 || errno != ELOOP)
			return fd;
	}
	*has_links = true;
	return sys_openat2(root, *path ? path : "/", O_PATH | (follow ? 0 : O_NOFOLLOW), RESOLVE_IN_ROOT);
}

/* Whether a name is missing that no link was on the way to. */
static bool is_missing(int root, const char *path)
{
	int fd = sys_openat2(root, path, O_PATH | O_NOFOLLOW, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == ENOENT;
}

/* What was found, and its path where that is not known yet. */
static void describe(int fd, struct found *found)
{
	struct stat status;

	if ((!found->object[0] && look_descriptor(getpid(), fd, found->object) <= 0) || fstat(fd, &status) < 0) {
		found->is_lost = true;
		return;
	}
	found->look = LOOK_THERE;
	found->type = status.st_mode & S_IFMT;
	found->is_pathless = look_is_pathless(found->object, &status);
}

static void set_free(struct found *found, enum look look)
{
	found->look = look;
	found->is_lost = look == LOOK_UNSEEN;
}

/* Without a walk: most names that are missing are in a folder that is there, or below one that no link leads to. */
static bool look_for_free(int root, const char *path, struct found *found)
{
	set_free(found, look_at_folder(root, path, found->object));
	return found->look == LOOK_FREE || (found->look == LOOK_ABSENT && is_missing(root, path));
}

/* As the task itself would go there. */
static void look_along(const struct waiting *call, int root, const char *path, bool follow, struct found *found)
{
	static struct walk walk;

	found->look = LOOK_UNSEEN;
	found->object[0] = 0;
	walk_path(call, root, path, follow, &walk);
	found->has_jumped = walk.has_jumped;
	found->is_lost = walk.is_lost;
	if (!walk.error)
		describe(walk.at, found);
	else if (!walk.is_lost && walk.error == ENOENT && walk.is_last)
		set_free(found, free_name(walk.at, walk.name, strlen(walk.name), found->object));
	else if (!walk.is_lost)
		found->look = walk.error == ELOOP ? LOOK_TAKEN : LOOK_ABSENT;
	if (walk.at >= 0)
		close(walk.at);
}

static void look_at(const struct waiting *call, int root, const char *path, bool follow, struct found *found)
{
	const char *own = without_self(call->tid, path), *seen = own ? own : path;
	bool has_links;
	int fd = open_path(root, seen, follow, call->at_root, &has_links);

	if (fd >= 0) {
		if (!follow || !has_links)
			memcpy(found->object, seen, strlen(seen) + 1);
		describe(fd, found);
		close(fd);
	} else if (errno != ENOENT || own || !look_for_free(root, path, found)) {
		look_along(call, root, path, follow, found);
	}
}

void look_up(const struct waiting *call, const struct named *named, bool follow, struct found *found)
{
	const char *path = named->whole;
	int root;

	found->look = LOOK_UNSEEN;
	found->type = 0;
	found->is_pathless = found->has_jumped = found->is_lost = false;
	found->object[0] = 0;
	root = call->at_root ? sandbox_root.fd : open_root(call->tid, &path);
	if (root < 0) {
		found->is_lost = true;
		return;
	}
	look_at(call, root, path, follow, found);
	if (!call->at_root)
		close(root);
}
