/* `harden-exec probe [+CGROUP] [PATH...]`: tries what a sandbox needs and prints one line per trial.
 *
 * NAME ERRNO CALL      a feature of the kernel; ERRNO 0 means that it works
 * idmap ERRNO INDEX    the file system at PATH number INDEX can be shown through an id map
 * overlay ERRNO INDEX  it can be the lower layer of an overlay
 *
 * The trials run in children with namespaces of their own: nothing outside changes. */
#include "limit.h"
#include "run.h"
#include "sys.h"
#include "text.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MAX_PATHS 256
#define ALL_NAMESPACES                                                                                        \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | \
	 CLONE_NEWTIME)

enum trial {
	CLONE3,
	INTO_CGROUP,
	USER_NS,
	MOUNT_NS,
	PID_NS,
	NETWORK_NS,
	IPC_NS,
	UTS_NS,
	CGROUP_NS,
	TIME_NS,
	ID_MAPS,
	NESTED_USER_NS,
	PRIVATE_MOUNTS,
	OPENAT2,
	TMPFS,
	MOUNT_SETATTR,
	MOVE_MOUNT,
	PROCFS,
	USER_OVERLAY,
	HOSTNAME,
	LOOPBACK,
	KEYRING,
	NO_NEW_PRIVS,
	SECCOMP,
	LANDLOCK,
	PIDFD,
	SECCOMP_NOTIFY,
	DEVICES,
	TRIAL_COUNT,
};

static const char *const NAMES[TRIAL_COUNT] = {
	"clone3",	  "clone-into-cgroup", "user-namespace", "mount-namespace", "pid-namespace", "network-namespace",
	"ipc-namespace",  "uts-namespace",     "cgroup-namespace", "time-namespace", "id-maps",	      "nested-user-namespace",
	"private-mounts", "openat2",	       "tmpfs",		 "mount-setattr",   "move-mount",    "procfs",
	"user-overlay",	  "hostname",	       "loopback",	 "session-keyring", "no-new-privs",  "seccomp",
	"landlock",	  "pidfd",	       "seccomp-notify", "devices",
};

static struct results {
	struct {
		int32_t number; /* errno, -1: not tried */
		const char *call; /* a literal: all processes of a probe are forks of one image */
	} trial[TRIAL_COUNT];
	int32_t idmap[MAX_PATHS], overlay[MAX_PATHS];
	int32_t landlock_abi;
} *results;

static bool note(enum trial trial, const char *call, bool works)
{
	results->trial[trial].number = works ? 0 : errno;
	results->trial[trial].call = call;
	return works;
}

/* A child that only ends: whether these flags are accepted. */
static bool try_clone(uint64_t flags, int cgroup)
{
	struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD };
	int status;
	long pid;

	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup;
	}
	pid = sys_clone3(&args);
	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid((pid_t)pid, &status, 0);
	return pid > 0;
}

static int tmpfs(void)
{
	int context = sys_fsopen("tmpfs"), fd = -1;

	if (context < 0)
		return -1;
	if (sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL) == 0)
		fd = sys_fsmount(context, 0);
	close(context);
	return fd;
}

static bool over_root(int fd)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool works = root >= 0 && sys_move_mount(fd, root) == 0;

	close(root);
	return works;
}

static bool overlay(int staging, const char *lower, bool user)
{
	int context = sys_fsopen("overlay"), fd = -1, number;

	if (context < 0)
		return false;
	if (fchdir(staging) == 0 && sys_fsconfig(context, FSCONFIG_SET_STRING, "lowerdir", lower) == 0 &&
	    sys_fsconfig(context, FSCONFIG_SET_STRING, "upperdir", "u") == 0 &&
	    sys_fsconfig(context, FSCONFIG_SET_STRING, "workdir", "w") == 0 &&
	    (!user || sys_fsconfig(context, FSCONFIG_SET_FLAG, "userxattr", NULL) == 0) &&
	    sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL) == 0)
		fd = sys_fsmount(context, 0);
	number = errno;
	close(context);
	if (fd >= 0)
		close(fd);
	errno = number;
	return fd >= 0;
}

static bool loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool works = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;

	close(fd);
	return works;
}

static void try_mounts(void)
{
	struct mount_attr private = { .propagation = 1 << 18 /* MS_PRIVATE */ }, read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), folder, staging;

	note(PRIVATE_MOUNTS, "mount_setattr", sys_mount_setattr(root, AT_RECURSIVE, &private) == 0);
	folder = sys_openat2(AT_FDCWD, "/", O_PATH, RESOLVE_NO_SYMLINKS);
	note(OPENAT2, "openat2", folder >= 0);
	staging = tmpfs();
	if (!note(TMPFS, "fsmount", staging >= 0))
		return;
	note(MOVE_MOUNT, "move_mount", over_root(staging));
	mkdirat(staging, "l", 0755);
	mkdirat(staging, "u", 0755);
	mkdirat(staging, "w", 0755);
	note(USER_OVERLAY, "fsmount", overlay(staging, "l", true));
	note(MOUNT_SETATTR, "mount_setattr", sys_mount_setattr(staging, 0, &read_only) == 0);
	folder = sys_fsopen("proc");
	note(PROCFS, "fsmount",
	     folder >= 0 && sys_fsconfig(folder, FSCONFIG_CMD_CREATE, NULL, NULL) == 0 && sys_fsmount(folder, 0) >= 0);
}

/* Inside all eight namespaces, after the maps are written. */
static _Noreturn void try_inside(int from_parent, int to_parent)
{
	struct sock_filter allow = { 0x06, 0, 0, SECCOMP_RET_ALLOW };
	struct sock_fprog filter = { 1, &allow };
	uint32_t action = SECCOMP_RET_ERRNO;
	char byte;

	if (read(from_parent, &byte, 1) != 1)
		_exit(1);
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
		note(ID_MAPS, "setresuid", false);
	note(NESTED_USER_NS, "clone3", try_clone(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET, -1));
	try_mounts();
	note(HOSTNAME, "sethostname", syscall(SYS_sethostname, "probe", 5) == 0);
	note(LOOPBACK, "ioctl", loopback_up());
	note(KEYRING, "keyctl", syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0);
	note(NO_NEW_PRIVS, "prctl", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	note(SECCOMP, "seccomp", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0);
	note(SECCOMP_NOTIFY, "seccomp",
	     syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter) >= 0);
	/* Not before the trials are over may the parent look at them. */
	if (write(to_parent, "D", 1) != 1 || read(from_parent, &byte, 1) != 0)
		_exit(1);
	_exit(0);
}

static const char *own_map(char inside_root, uid_t id)
{
	static struct text map;

	map.length = 0;
	text_add(&map, inside_root ? "0 1879048192 65536" : "0 ");
	if (!inside_root) {
		text_number(&map, id);
		text_add(&map, " 1");
	}
	return text_string(&map);
}

static bool write_one(int folder, const char *name, const char *content)
{
	int fd = openat(folder, name, O_WRONLY | O_CLOEXEC);
	bool works = fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content);
	int number = errno;

	close(fd);
	errno = number;
	return works;
}

static int process_folder(pid_t pid, const char *below)
{
	struct text path;

	text_begin(&path);
	text_add(&path, "/proc/");
	text_number(&path, pid);
	text_add(&path, below);
	return open(text_string(&path), O_RDONLY | O_CLOEXEC);
}

static void write_maps(pid_t pid)
{
	int folder = process_folder(pid, "");
	bool root = geteuid() == 0;

	note(ID_MAPS, "write", folder >= 0 && (root || write_one(folder, "setgroups", "deny")) &&
				       write_one(folder, "uid_map", own_map(root, geteuid())) &&
				       write_one(folder, "gid_map", own_map(root, getegid())));
	close(folder);
}

static int32_t idmap_trial(const char *path, int namespace_fd)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)namespace_fd };
	int fd = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	int32_t number = 0;

	if (fd < 0 || sys_mount_setattr(fd, 0, &attr) < 0)
		number = errno;
	close(fd);
	return number;
}

static int32_t overlay_trial(const char *path, int staging, unsigned index)
{
	int fd = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), at;
	struct text name;
	int32_t number = 0;

	text_begin(&name);
	if (fd < 0)
		return errno;
	text_add(&name, "l");
	text_number(&name, index);
	if (mkdirat(staging, text_string(&name), 0700) < 0 ||
	    (at = openat(staging, text_string(&name), O_PATH | O_CLOEXEC)) < 0 || sys_move_mount(fd, at) < 0 ||
	    !overlay(staging, text_string(&name), false))
		number = errno;
	close(fd);
	return number;
}

/* As root: what each of the given file systems allows. In a mount namespace of its own, which ends with this child. */
static _Noreturn void try_paths(int count, char **paths, int namespace_fd)
{
	struct mount_attr private = { .propagation = 1 << 18 };
	uint64_t before = mount_id_of("/");
	int root, staging;

	/* What comes is for the copy: on the host it would cover everything. */
	if (unshare(CLONE_NEWNS) < 0 || !before || mount_id_of("/") == before)
		_exit(1);
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (sys_mount_setattr(root, AT_RECURSIVE, &private) < 0 || (staging = tmpfs()) < 0 || !over_root(staging))
		_exit(1);
	mkdirat(staging, "u", 0700);
	mkdirat(staging, "w", 0700);
	for (int i = 0; i < count; i++) {
		results->idmap[i] = idmap_trial(paths[i], namespace_fd);
		results->overlay[i] = overlay_trial(paths[i], staging, (unsigned)i);
	}
	_exit(0);
}

static void try_namespaces(int count, char **paths)
{
	struct clone_args args = { .flags = ALL_NAMESPACES, .exit_signal = SIGCHLD };
	struct clone_args fork = { .exit_signal = SIGCHLD };
	int down[2], up[2], status, namespace_fd;
	pid_t child;
	char byte;

	if (sys_pipe2(down, O_CLOEXEC) < 0 || sys_pipe2(up, O_CLOEXEC) < 0)
		return;
	child = (pid_t)sys_clone3(&args);
	if (!note(CLONE3, "clone3", child >= 0))
		return;
	if (child == 0) {
		close(down[1]);
		try_inside(down[0], up[1]);
	}
	close(up[1]);
	write_maps(child);
	if (write(down[1], "M", 1) != 1 || read(up[0], &byte, 1) != 1)
		errno = 0;
	if (geteuid() == 0 && count) {
		namespace_fd = process_folder(child, "/ns/user");
		pid_t tester = (pid_t)sys_clone3(&fork);

		if (tester == 0)
			try_paths(count, paths, namespace_fd);
		waitpid(tester, &status, 0);
	}
	close(down[1]);
	waitpid(child, &status, 0);
}

/* All at once was refused, or is refused by name: which ones are? */
static void try_each_namespace(void)
{
	static const struct {
		enum trial trial;
		uint64_t flag;
	} each[] = { { USER_NS, 0 },
		     { MOUNT_NS, CLONE_NEWNS },
		     { PID_NS, CLONE_NEWPID },
		     { NETWORK_NS, CLONE_NEWNET },
		     { IPC_NS, CLONE_NEWIPC },
		     { UTS_NS, CLONE_NEWUTS },
		     { CGROUP_NS, CLONE_NEWCGROUP },
		     { TIME_NS, CLONE_NEWTIME } };
	bool all = results->trial[CLONE3].number == 0;

	for (unsigned i = 0; i < sizeof(each) / sizeof(*each); i++)
		note(each[i].trial, "clone3", all || try_clone(CLONE_NEWUSER | each[i].flag, -1));
	/* What clone3 itself does, when only a namespace is refused. */
	if (!all)
		note(CLONE3, "clone3", try_clone(0, -1));
}

static void print_results(int count)
{
	struct text line;

	for (unsigned i = 0; i < TRIAL_COUNT; i++) {
		text_begin(&line);
		text_add(&line, NAMES[i]);
		text_add(&line, " ");
		text_number(&line, results->trial[i].number);
		text_add(&line, " ");
		text_add(&line, results->trial[i].call ? results->trial[i].call : "-");
		text_add(&line, "\n");
		text_write(&line, STDOUT_FILENO);
	}
	text_begin(&line);
	text_add(&line, "landlock-abi ");
	text_number(&line, results->landlock_abi);
	text_add(&line, " -\n");
	for (int i = 0; i < count; i++)
		for (unsigned overlay = 0; overlay < 2; overlay++) {
			text_add(&line, overlay ? "overlay " : "idmap ");
			text_number(&line, overlay ? results->overlay[i] : results->idmap[i]);
			text_add(&line, " ");
			text_number(&line, i);
			text_add(&line, "\n");
		}
	text_write(&line, STDOUT_FILENO);
}

int probe_main(int argc, char **argv)
{
	int first = argc > 3 && argv[3][0] == '+' ? 4 : 3, pidfd, cgroup;
	int count = argc - first < MAX_PATHS ? argc - first : MAX_PATHS;
	struct text self;

	text_begin(&self);
	/* Who starts a probe gives its own number: it must not have become the probe itself. */
	text_number(&self, getpid());
	if (argc < 3 || strcmp(argv[2], text_string(&self)) == 0) {
		text_begin(&self);
		text_add(&self, "harden: clone: it says that it was done, and it was not: a filter around harden answers "
				"for the kernel\nhint: in a container, allow the clone3 and clone system calls\n");
		text_write(&self, STDERR_FILENO);
		return EXIT_HARDEN;
	}
	results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (results == MAP_FAILED)
		return EXIT_HARDEN;
	for (unsigned i = 0; i < TRIAL_COUNT; i++)
		results->trial[i].number = -1;
	for (int i = 0; i < MAX_PATHS; i++)
		results->idmap[i] = results->overlay[i] = -1;
	try_namespaces(count, argv + first);
	try_each_namespace();
	if (first == 4) {
		cgroup = open(argv[3] + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		note(INTO_CGROUP, "clone3", cgroup >= 0 && try_clone(0, cgroup));
		note(DEVICES, "bpf", cgroup >= 0 && devices_try(cgroup));
	}
	results->landlock_abi = (int32_t)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	note(LANDLOCK, "landlock_create_ruleset", results->landlock_abi > 0);
	pidfd = sys_pidfd_open(getpid());
	note(PIDFD, "pidfd_open", pidfd >= 0);
	print_results(count);
	return 0;
}
