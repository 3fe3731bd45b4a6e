/* Mounts, all by descriptor: pieces are made detached, kept in slots, and attached below the new root's descriptor.
 * open_tree(2), move_mount(2), mount_setattr(2), fsopen(2), openat2(2), pivot_root(2). */
#include "filesystem.h"
#include "pty.h"
#include "run.h"
#include "sys.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#ifndef MS_PRIVATE
#define MS_PRIVATE (1 << 18)
#endif

/* Nothing that the workload could have left behind redirects a mount point: it is found below the new root and no part
 * of its path may be a symbolic link. */
#define IN_ROOT (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)

static int make_private(void)
{
	struct mount_attr attr = { .propagation = MS_PRIVATE };
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int result;

	if (root < 0)
		return -1;
	result = sys_mount_setattr(root, AT_RECURSIVE, &attr);
	close(root);
	return result;
}

/* On top of whatever is mounted at "/" in this mount namespace: paths still lead to the old tree, the descriptor to
 * the new one. */
static int attach_over_root(int fd)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int result;

	if (root < 0)
		return -1;
	result = sys_move_mount(fd, root);
	close(root);
	/* "/" leads to what lies below, "/.." to what is on top. */
	return result == 0 && mount_id_of("/..") != mount_id(fd) ? not_done() : result;
}

int op_staging(const struct op *op)
{
	uint64_t before = mount_id_of("/");

	if ((op->flags & OPF_OWN_NAMESPACE) && unshare(CLONE_NEWNS) < 0)
		return fail("unshare");
	if ((op->flags & OPF_OWN_NAMESPACE) && (!before || mount_id_of("/") == before))
		return not_done(), fail("unshare");
	if (make_private() < 0)
		return fail("mount_setattr");
	run.staging_fd = make_tmpfs(op->n[0], 0700, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (run.staging_fd < 0)
		return -1;
	if (attach_over_root(run.staging_fd) < 0)
		return fail("move_mount");
	if (fchdir(run.staging_fd) < 0 || (mount_id(AT_FDCWD) != mount_id(run.staging_fd) && not_done() < 0))
		return fail("fchdir");
	return 0;
}

static bool is_device(int fd, uint64_t number)
{
	struct stat status = { 0 };

	return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == number;
}

int op_clone_tree(const struct op *op)
{
	const char *path = plan_string(&run.plan, op->s[0]);
	uint64_t resolve = RESOLVE_NO_MAGICLINKS | (op->flags & OPF_FOLLOW ? 0 : RESOLVE_NO_SYMLINKS);
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
	int source = sys_openat2(AT_FDCWD, path, O_PATH, resolve);
	int fd;

	if (source < 0)
		return fail("openat2");
	if (op->n[0] && !is_device(source, op->n[0]))
		return fail_detail("fstat", 0, "it is another file");
	if (op->flags & OPF_RECURSIVE)
		flags |= AT_RECURSIVE;
	fd = sys_open_tree(source, "", flags);
	if (fd < 0)
		fail("open_tree");
	close(source);
	return slot_put(op->f[0], fd);
}

static int user_namespace(void)
{
	struct text path;

	text_begin(&path);
	if (run.user_namespace_fd >= 0)
		return run.user_namespace_fd;
	text_add(&path, "/proc/");
	text_number(&path, run.init_pid);
	text_add(&path, "/ns/user");
	run.user_namespace_fd = open(text_string(&path), O_RDONLY | O_CLOEXEC);
	/* Init is our unreaped child, so its number cannot have been given to another process. */
	if (run.user_namespace_fd >= 0 && sys_pidfd_send_signal(run.init_pidfd, 0) < 0)
		return -1;
	return run.user_namespace_fd;
}

/* Read back: the two kinds of flags have the same values (statvfs(3), mount_setattr(2)). */
static int set_attributes(int fd, unsigned flags, struct mount_attr *attr)
{
	const uint64_t seen = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	const uint64_t wanted = attr->attr_set & seen;
	struct statvfs status = { 0 };

	if (sys_mount_setattr(fd, flags, attr) < 0)
		return fail("mount_setattr");
	if (fstatvfs(fd, &status) < 0)
		return fail("fstatfs");
	if ((status.f_flag & wanted) != wanted)
		return fail_detail("mount_setattr", 0, "the kernel says that it had no effect");
	return 0;
}

int op_set_attributes(const struct op *op)
{
	struct mount_attr attr = { .attr_set = op->n[0], .attr_clr = op->n[1] };
	int fd = slot_get(op->f[0]);

	if (fd < 0)
		return fail("slot");
	if (op->flags & OPF_IDMAP) {
		int namespace_fd = user_namespace();

		if (namespace_fd < 0)
			return fail("open");
		attr.attr_set |= MOUNT_ATTR_IDMAP;
		attr.userns_fd = (uint64_t)namespace_fd;
	}
	return set_attributes(fd, op->flags & OPF_RECURSIVE ? AT_RECURSIVE : 0, &attr);
}

static int layer_folder(char kind, const char *name, char *out)
{
	size_t length = strlen(name); /* at most 32: plan.c */

	out[0] = kind;
	memcpy(out + 1, name, length + 1);
	if (mkdirat(run.staging_fd, out, 0700) < 0)
		return -1;
	return openat(run.staging_fd, out, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The root of an overlay has the attributes of its upper folder: give that the lower one's. */
static int copy_attributes(int from, int to, bool owner)
{
	struct stat status;

	if (fstat(from, &status) < 0 || (owner && fchown(to, status.st_uid, status.st_gid) < 0))
		return -1;
	return fchmod(to, status.st_mode & 07777);
}

static int make_overlay(const struct op *op, const char *lower, const char *upper, const char *work)
{
	bool user = op->flags & OPF_USER_XATTR;
	int context = open_context("overlay");

	if (context < 0)
		return -1;
	/* No redirect_dir: an upper folder must mean what its name says when the changes are listed. */
	if (configure(context, "source", "overlay") < 0 || configure(context, "lowerdir", lower) < 0 ||
	    configure(context, "upperdir", upper) < 0 || configure(context, "workdir", work) < 0 ||
	    configure(context, "index", "off") < 0 ||
	    /* userxattr turns the other two off by itself and refuses to be told so. */
	    (user ? sys_fsconfig(context, FSCONFIG_SET_FLAG, "userxattr", NULL) < 0
		  : configure(context, "metacopy", "off") < 0 || configure(context, "redirect_dir", "off") < 0)) {
		fail("fsconfig");
		close(context);
		return -1;
	}
	return create_and_mount(context, op->n[0]);
}

int op_overlay(const struct op *op)
{
	const char *name = plan_string(&run.plan, op->s[0]);
	char lower[34], upper[34], work[34];
	int lower_fd = slot_take(op->f[0]), upper_fd, work_fd, at;

	if (lower_fd < 0)
		return fail("slot");
	at = layer_folder('l', name, lower);
	upper_fd = layer_folder('u', name, upper);
	work_fd = layer_folder('w', name, work);
	if (at < 0 || upper_fd < 0 || work_fd < 0)
		return fail("mkdirat");
	if (sys_move_mount(lower_fd, at) < 0)
		return fail("move_mount");
	/* In a user's own namespace there is one id, and the folder has it. */
	if (copy_attributes(lower_fd, upper_fd, !(op->flags & OPF_USER_XATTR)) < 0)
		return fail("fchown");
	close(at);
	close(upper_fd);
	close(work_fd);
	close(lower_fd);
	at = make_overlay(op, lower, upper, work);
	return at < 0 ? -1 : slot_put(op->f[1], at);
}

int op_tmpfs(const struct op *op)
{
	int fd = make_tmpfs(op->n[0], op->n[1], op->n[2]);

	return fd < 0 ? -1 : slot_put(op->f[0], fd);
}

static int mount_simple(const char *type, const struct op *op)
{
	int context = open_context(type);
	int fd = context < 0 ? -1 : create_and_mount(context, op->n[0]);

	return fd < 0 ? -1 : slot_put(op->f[0], fd);
}

int op_proc(const struct op *op)
{
	int fd = mount_simple("proc", op);

	if (fd < 0)
		return -1;
	/* Kept beside the slot: the only /proc that init ever looks into. */
	run.proc_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return run.proc_fd < 0 ? fail("fcntl") : 0;
}

int op_sysfs(const struct op *op)
{
	return mount_simple("sysfs", op) < 0 ? -1 : 0;
}

int op_devpts(const struct op *op)
{
	int context = open_context("devpts");

	if (context < 0)
		return -1;
	if (configure(context, "ptmxmode", "0666") < 0 || configure(context, "mode", "0620") < 0 ||
	    (op->n[1] && configure_number(context, "gid", op->n[1] - 1, false) < 0)) {
		fail("fsconfig");
		close(context);
		return -1;
	}
	context = create_and_mount(context, op->n[0]);
	if (context < 0 || (run.terminals && pty_make(context) < 0))
		return -1;
	return slot_put(op->f[0], context);
}

int op_root(const struct op *op)
{
	run.root_fd = slot_take(op->f[0]);
	if (run.root_fd < 0)
		return fail("slot");
	if (make_private() < 0)
		return fail("mount_setattr");
	if (attach_over_root(run.root_fd) < 0)
		return fail("move_mount");
	run.root_mount_id = mount_id(run.root_fd);
	return run.root_mount_id ? 0 : fail("statx");
}

static int open_in_root(const char *path, uint64_t flags)
{
	return sys_openat2(run.root_fd, path, O_PATH | flags, IN_ROOT);
}

/* The usual case in one step; -1 when it has to be walked. */
static int existing_parent(const char *path, const char **last)
{
	char folder[256];
	size_t length;

	*last = strrchr(path, '/');
	length = *last ? (size_t)(*last - path) : 0;
	if (length < 2 || length >= sizeof(folder) || !(*last)[1] || strstr(path, ".."))
		return -1;
	memcpy(folder, path + 1, length - 1);
	folder[length - 1] = 0;
	++*last;
	return sys_openat2(run.root_fd, folder, O_PATH | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/* Descriptor of the folder that holds the last component of `path`, made with its parents (mode 0755) where missing;
 * `last` points at that component. The walk never leaves the root: each step is one plain name. */
static int parent_in_root(const char *path, const char **last)
{
	char name[NAME_MAX + 1];
	int fd = existing_parent(path, last);

	if (fd >= 0)
		return fd;
	fd = fcntl(run.root_fd, F_DUPFD_CLOEXEC, 3);
	for (;;) {
		size_t length;
		int next;

		path += strspn(path, "/");
		length = strcspn(path, "/");
		*last = path;
		if (fd < 0 || path[length + strspn(path + length, "/")] == 0)
			return fd;
		if (length > NAME_MAX || (length <= 2 && strncmp(path, "..", length) == 0)) {
			close(fd);
			errno = length > NAME_MAX ? ENAMETOOLONG : EINVAL;
			return -1;
		}
		memcpy(name, path, length);
		name[length] = 0;
		next = -1;
		if (mkdirat(fd, name, 0755) == 0 || errno == EEXIST || errno == EROFS || errno == EACCES)
			next = sys_openat2(fd, name, O_PATH | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
		close(fd);
		fd = next;
		path += length;
	}
}

static int make_last(const struct op *op, int parent, const char *last)
{
	return op->flags & OPF_MAKE_FOLDER ? mkdirat(parent, last, 0755) : mknodat(parent, last, S_IFREG | 0644, 0);
}

/* Most mount points are missing, and to make one costs less than to find that out. What is there stays; why one cannot
 * be made is found out where it is not there then. */
static void try_mount_point(const struct op *op, const char *path)
{
	const char *last = path + 1;
	int parent = run.root_fd;

	if (strchr(last, '/'))
		parent = existing_parent(path, &last);
	if (parent < 0)
		return;
	make_last(op, parent, last);
	if (parent != run.root_fd)
		close(parent);
}

static int make_mount_point(const struct op *op, const char *path)
{
	const char *last;
	int parent = parent_in_root(path, &last), result;

	if (parent < 0)
		return fail("mkdirat");
	result = make_last(op, parent, last);
	close(parent);
	return result < 0 && errno != EEXIST ? fail(op->flags & OPF_MAKE_FOLDER ? "mkdirat" : "mknodat") : 0;
}

int op_attach(const struct op *op)
{
	const char *path = plan_string(&run.plan, op->s[0]);
	int piece = slot_take(op->f[0]), target;

	if (piece < 0)
		return fail("slot");
	if (op->flags & (OPF_MAKE_FOLDER | OPF_MAKE_FILE))
		try_mount_point(op, path);
	target = open_in_root(path, 0);
	if (target < 0 && errno == ENOENT && (op->flags & (OPF_MAKE_FOLDER | OPF_MAKE_FILE))) {
		if (make_mount_point(op, path) < 0)
			return -1;
		target = open_in_root(path, 0);
	}
	if (target < 0 && errno == ENOENT && (op->flags & OPF_MISSING_OK))
		return close(piece);
	if (target < 0)
		return fail("openat2");
	if (sys_move_mount(piece, target) < 0)
		return fail("move_mount");
	close(target);
	return close(piece);
}

/* The folder may lie in what another sandbox writes to: it is changed by its descriptor, and no link in its place is. */
static int dress_folder(int parent, const char *name, const struct op *op)
{
	int folder = sys_openat2(parent, name, O_RDONLY | O_DIRECTORY,
				 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	int result = 0;

	if (folder < 0)
		return fail("openat2");
	if (fchown(folder, (uid_t)op->n[1], (gid_t)op->n[2]) < 0)
		result = fail("fchown");
	else if (fchmod(folder, (mode_t)op->n[0]) < 0)
		result = fail("fchmod");
	close(folder);
	return result;
}

int op_folder(const struct op *op)
{
	const char *last;
	int parent = parent_in_root(plan_string(&run.plan, op->s[0]), &last), result;

	if (parent < 0)
		return fail("mkdirat");
	if (mkdirat(parent, last, 0700) < 0)
		result = errno == EEXIST ? 0 : fail("mkdirat");
	else
		result = dress_folder(parent, last, op);
	close(parent);
	return result;
}

int op_symlink(const struct op *op)
{
	struct stat status = { 0 };
	const char *last;
	int parent = parent_in_root(plan_string(&run.plan, op->s[1]), &last), result;

	if (parent < 0)
		return fail("mkdirat");
	result = symlinkat(plan_string(&run.plan, op->s[0]), parent, last);
	if (result == 0 && (fstatat(parent, last, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISLNK(status.st_mode)))
		result = not_done();
	if (result < 0 && errno != EEXIST)
		fail("symlinkat");
	else
		result = 0;
	close(parent);
	return result;
}

/* The piece itself the first time, clones of it from then on: before Linux 6.15 only what is attached can be cloned. */
static int cover_for(uint32_t slot)
{
	static uint32_t attached[2];
	int piece = slot_get(slot);

	if (piece < 0)
		return fail("slot");
	for (unsigned i = 0; i < 2; i++) {
		if (attached[i] == slot + 1)
			return sys_open_tree(piece, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		if (attached[i] == 0) {
			attached[i] = slot + 1;
			break;
		}
	}
	return fcntl(piece, F_DUPFD_CLOEXEC, 3);
}

int op_mask(const struct op *op)
{
	int target = open_in_root(plan_string(&run.plan, op->s[0]), 0);
	int cover;
	struct stat status;

	/* /proc files that belong to a host feature which this kernel lacks, or that root alone may reach. */
	if (target < 0 && errno == ENOENT && (op->flags & OPF_MISSING_OK))
		return 0;
	if (target < 0)
		return fail("openat2");
	if (fstat(target, &status) < 0)
		return fail("fstat");
	cover = cover_for(S_ISDIR(status.st_mode) ? op->f[0] : op->f[1]);
	if (cover < 0)
		return fail("open_tree");
	if (sys_move_mount(cover, target) < 0)
		return fail("move_mount");
	close(cover);
	return close(target);
}

int op_read_only(const struct op *op)
{
	const char *path = plan_string(&run.plan, op->s[0]);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int target = open_in_root(path, 0), clone;

	if (target < 0 && errno == ENOENT && (op->flags & OPF_MISSING_OK))
		return 0;
	if (target < 0)
		return fail("openat2");
	if (path[1] == 0)
		return set_attributes(run.root_fd, 0, &attr) < 0 ? -1 : close(target);
	clone = sys_open_tree(target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (clone < 0)
		return fail("open_tree");
	attr.attr_set |= MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	if (set_attributes(clone, AT_RECURSIVE, &attr) < 0)
		return -1;
	if (sys_move_mount(clone, target) < 0)
		return fail("move_mount");
	close(clone);
	return close(target);
}
