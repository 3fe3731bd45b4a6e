/* System calls that this libc may not wrap, by their kernel names. All return -1 and set errno. */
#ifndef HARDEN_SYS_H
#define HARDEN_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/stat.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <linux/close_range.h>
#include <unistd.h>

#define KERNEL_SIGSET 8 /* bytes of a set of signals, of which a sigset_t is longer */

/* No errno of the kernel: a call said that it was done, and it was not. A seccomp filter around harden can answer so. */
#define E_NOT_DONE 4000

static inline int not_done(void)
{
	errno = E_NOT_DONE;
	return -1;
}

/* A new descriptor is above the standard streams, which are all open from the start. */
static inline int made(long fd)
{
	return fd >= 0 && fd <= STDERR_FILENO ? not_done() : (int)fd;
}

#ifndef LANDLOCK_SCOPE_SIGNAL
struct harden_landlock_ruleset {
	uint64_t handled_access_fs, handled_access_net, scoped;
};
#endif

/* The kernel writes the child's number into the child's own memory: where it did not, there is no child, and who goes
 * on as one would do to this process, and to the host, what is meant for a sandbox. */
static inline long sys_clone3(struct clone_args *args)
{
	volatile pid_t child = 0;
	long pid;

	args->flags |= CLONE_CHILD_SETTID;
	args->child_tid = (uint64_t)(uintptr_t)&child;
	pid = syscall(SYS_clone3, args, sizeof(*args));
	return pid == 0 && child == 0 ? not_done() : pid;
}

static inline int sys_open_tree(int dirfd, const char *path, unsigned flags)
{
	return made(syscall(SYS_open_tree, dirfd, path, flags));
}

/* Both ends are descriptors: nothing is looked up by name. */
static inline int sys_move_mount(int from, int to)
{
	return (int)syscall(SYS_move_mount, from, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static inline int sys_mount_setattr(int fd, unsigned flags, struct mount_attr *attr)
{
	return (int)syscall(SYS_mount_setattr, fd, "", flags | AT_EMPTY_PATH, attr, sizeof(*attr));
}

static inline int sys_openat2(int dirfd, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = resolve };

	return made(syscall(SYS_openat2, dirfd, path, &how, sizeof(how)));
}

static inline int sys_fsopen(const char *type)
{
	return made(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
}

static inline int sys_fsconfig(int fd, unsigned command, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, fd, command, key, value, 0);
}

static inline int sys_fsmount(int fd, unsigned attributes)
{
	return made(syscall(SYS_fsmount, fd, FSMOUNT_CLOEXEC, attributes));
}

static inline int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

static inline int sys_umount2(const char *path, int flags)
{
	return (int)syscall(SYS_umount2, path, flags);
}

/* Not the C library's for these three: where the kernel has none, it has its own way; what a filter hides is to be
 * named. */
static inline int sys_pipe2(int ends[2], int flags)
{
	return (int)syscall(SYS_pipe2, ends, flags);
}

static inline int sys_signalfd(const sigset_t *set, int flags)
{
	return (int)syscall(SYS_signalfd4, -1, set, KERNEL_SIGSET, flags);
}

static inline int sys_prlimit(int resource, const struct rlimit *next, struct rlimit *last)
{
	return (int)syscall(SYS_prlimit64, 0, resource, next, last);
}

static inline int sys_statx(int fd, unsigned mask, struct statx *status)
{
	return (int)syscall(SYS_statx, fd, "", AT_EMPTY_PATH, mask, status);
}

static inline int sys_pidfd_open(pid_t pid)
{
	return made(syscall(SYS_pidfd_open, pid, 0));
}

static inline int sys_pidfd_send_signal(int pidfd, int number)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
}

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}

#endif
