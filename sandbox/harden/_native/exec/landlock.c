/* Landlock: the ruleset, its rules, and whether it does what it should: landlock(7). */
#include "run.h"
#include "sys.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Rights that make sense on something that is not a folder (landlock(7)); others are refused there with EINVAL. */
#define LANDLOCK_FILE_RIGHTS                                                                                    \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | 1ULL << 14 | \
	 1ULL << 15)

int op_landlock(const struct op *op)
{
	/* The size says how much of the structure the plan uses: an older kernel takes the shorter one. */
	uint64_t attr[3] = { op->n[0], op->n[1], op->n[2] };
	size_t size = attr[2] ? 24 : attr[1] ? 16 : 8;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi == 0)
		abi = not_done();
	if (abi < 0)
		return fail("landlock_create_ruleset");
	run.shared->landlock_abi = (uint32_t)abi;
	run.landlock_fd = made(syscall(SYS_landlock_create_ruleset, attr, size, 0));
	return run.landlock_fd < 0 ? fail("landlock_create_ruleset") : 0;
}

int op_landlock_path(const struct op *op)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = op->n[0] };
	struct stat status;

	/* A link may be the program's own, left by an earlier run to choose what this rule is about. */
	rule.parent_fd = sys_openat2(AT_FDCWD, plan_string(&run.plan, op->s[0]), O_PATH,
				     RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	/* What does not exist, or cannot be reached, is granted nothing. */
	if (rule.parent_fd < 0) {
		run.shared->landlock_links += errno == ELOOP;
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ELOOP ? 0 : fail("openat2");
	}
	if (fstat(rule.parent_fd, &status) < 0)
		return fail("fstat");
	if (!S_ISDIR(status.st_mode))
		rule.allowed_access &= LANDLOCK_FILE_RIGHTS;
	if (rule.allowed_access &&
	    syscall(SYS_landlock_add_rule, run.landlock_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return fail("landlock_add_rule");
	run.shared->landlock_rules += rule.allowed_access != 0;
	return close(rule.parent_fd);
}

int op_landlock_port(const struct op *op)
{
	/* struct landlock_net_port_attr and LANDLOCK_RULE_NET_PORT, newer than some distributions' headers */
	struct {
		uint64_t allowed_access, port;
	} rule = { op->n[0], op->n[1] };

	if (syscall(SYS_landlock_add_rule, run.landlock_fd, 2, &rule, 0) < 0)
		return fail("landlock_add_rule");
	run.shared->landlock_rules++;
	return 0;
}

/* What can be tried without changing anything, each with the one right that it needs. */
static const struct trial {
	const char *path;
	int flags;
	uint64_t right;
} TRIALS[] = {
	{ "/", O_RDONLY | O_DIRECTORY, LANDLOCK_ACCESS_FS_READ_DIR },
	{ "/proc", O_RDONLY | O_DIRECTORY, LANDLOCK_ACCESS_FS_READ_DIR },
	{ "/dev/shm", O_RDONLY | O_DIRECTORY, LANDLOCK_ACCESS_FS_READ_DIR },
	{ "/dev/full", O_WRONLY, LANDLOCK_ACCESS_FS_WRITE_FILE },
	{ "/dev/zero", O_WRONLY, LANDLOCK_ACCESS_FS_WRITE_FILE },
	{ "/dev/null", O_WRONLY, LANDLOCK_ACCESS_FS_WRITE_FILE },
	{ "/dev/zero", O_RDONLY, LANDLOCK_ACCESS_FS_READ_FILE },
	{ "/proc/version", O_RDONLY, LANDLOCK_ACCESS_FS_READ_FILE },
};

enum { TRIAL_COUNT = sizeof(TRIALS) / sizeof(*TRIALS), NO_TRIAL = -1, BIND_TRIAL = TRIAL_COUNT };

static bool is_below(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	while (length && folder[length - 1] == '/')
		length--;
	return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

/* Whether the rules of the plan have to refuse it. The paths are without links, so they are compared as they stand. */
static bool must_refuse(const struct trial *trial)
{
	bool handled = false;

	for (uint32_t i = run.plan.first[STAGE_PAYLOAD]; i < run.plan.first[STAGE_CHECK]; i++) {
		const struct op *op = &run.plan.ops[i];

		if (op->code == OP_LANDLOCK)
			handled = op->n[0] & trial->right;
		if (op->code == OP_LANDLOCK_PATH && (op->n[0] & trial->right) &&
		    is_below(trial->path, plan_string(&run.plan, op->s[0])))
			return false;
	}
	return handled;
}

/* Port 0 lets the kernel choose one, and needs the right for port 0. */
static bool must_refuse_bind(void)
{
	bool handled = false;

	for (uint32_t i = run.plan.first[STAGE_PAYLOAD]; i < run.plan.first[STAGE_CHECK]; i++) {
		const struct op *op = &run.plan.ops[i];

		if (op->code == OP_LANDLOCK)
			handled = op->n[1] & 1;
		if (op->code == OP_LANDLOCK_PORT && (op->n[0] & 1) && op->n[1] == 0)
			return false;
	}
	return handled;
}

/* 0, or the errno. */
static int try_bind(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;

	if (fd < 0)
		return errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		error = errno;
	close(fd);
	return error;
}

static int attempt(int trial)
{
	int fd;

	if (trial == BIND_TRIAL)
		return try_bind();
	fd = open(TRIALS[trial].path, TRIALS[trial].flags | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* One that works now and must not work afterwards. */
static int choose_trial(void)
{
	for (int i = 0; i < TRIAL_COUNT; i++)
		if (must_refuse(&TRIALS[i]) && attempt(i) == 0)
			return i;
	return must_refuse_bind() && attempt(BIND_TRIAL) == 0 ? BIND_TRIAL : NO_TRIAL;
}

/* The kernel shows nowhere which domain a process is in: the effect is what can be read back. */
int op_landlock_restrict(const struct op *op)
{
	int trial = choose_trial();

	(void)op;
	if (syscall(SYS_landlock_restrict_self, run.landlock_fd, 0) < 0)
		return fail("landlock_restrict_self");
	if (trial == NO_TRIAL)
		run.shared->landlock_effect = LANDLOCK_UNSEEN;
	else
		run.shared->landlock_effect = attempt(trial) == EACCES ? LANDLOCK_REFUSES : LANDLOCK_ALLOWS;
	return close(run.landlock_fd);
}
