/* The checks of the plan against /proc/PID, while the payload stands still at PTRACE_EVENT_EXEC: proc(5). */
#include "readback.h"

#include "limit.h"
#include "process_check.h"
#include "run.h"
#include "sys.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static const char *const NAMESPACES[] = { "user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time" };
enum { NAMESPACE_COUNT = sizeof(NAMESPACES) / sizeof(*NAMESPACES) };

static ino_t own_namespaces[NAMESPACE_COUNT];
static int64_t own_filters;
static dev_t own_root_device;
static ino_t own_root_inode;

static struct {
	int folder;
	ino_t namespaces[NAMESPACE_COUNT];
	char uid_map[4096], gid_map[4096];
	char status[8192];
} process;

static ino_t namespace_of(int folder, const char *name)
{
	struct text path;
	struct stat status;

	text_begin(&path);
	text_add(&path, "ns/");
	text_add(&path, name);
	return fstatat(folder, text_string(&path), &status, 0) < 0 ? 0 : status.st_ino;
}

static bool read_all(const char *name, char *out, size_t size)
{
	int fd = openat(process.folder, name, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got = -1;

	if (fd < 0)
		return false;
	while (length < size - 1 && (got = read(fd, out + length, size - 1 - length)) > 0)
		length += (size_t)got;
	out[length] = 0;
	close(fd);
	return got >= 0;
}

static bool read_own(void)
{
	int folder = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat status;

	if (folder < 0 || stat("/", &status) < 0)
		return false;
	process.folder = folder;
	if (!read_all("status", process.status, sizeof(process.status)))
		return false;
	own_filters = status_number(process.status, "Seccomp_filters");
	own_root_device = status.st_dev;
	own_root_inode = status.st_ino;
	for (unsigned i = 0; i < NAMESPACE_COUNT; i++)
		own_namespaces[i] = namespace_of(folder, NAMESPACES[i]);
	close(folder);
	return true;
}

static int folder_of(pid_t pid)
{
	struct text path;

	text_begin(&path);
	text_add(&path, "/proc/");
	text_number(&path, pid);
	return open(text_string(&path), O_PATH | O_DIRECTORY | O_CLOEXEC);
}

bool readback_begin(pid_t pid)
{
	if (!read_own())
		return fail("stat") == 0;
	process.folder = folder_of(pid);
	for (unsigned i = 0; i < NAMESPACE_COUNT; i++)
		process.namespaces[i] = namespace_of(process.folder, NAMESPACES[i]);
	return (process.folder >= 0 && read_all("uid_map", process.uid_map, sizeof(process.uid_map)) &&
		read_all("gid_map", process.gid_map, sizeof(process.gid_map))) ||
	       fail("open") == 0;
}

static bool check_status(const char *name, const char *expected, struct text *value)
{
	const char *found = status_value(process.status, name);
	size_t length = found ? strcspn(found, "\n") : 0;

	text_add(value, value->length ? ", " : "");
	text_add(value, name);
	text_add(value, " ");
	text_add(value, found ? "" : "unknown");
	for (size_t i = 0; i < length; i++)
		text_add(value, (char[]){ found[i], 0 });
	return found && strlen(expected) == length && strncmp(found, expected, length) == 0;
}

static bool check_namespace(const char *name, struct text *value)
{
	for (unsigned i = 0; i < NAMESPACE_COUNT; i++) {
		ino_t inode;

		if (strcmp(name, NAMESPACES[i]) != 0)
			continue;
		inode = strcmp(name, "mnt") == 0 ? namespace_of(process.folder, name) : process.namespaces[i];
		text_add(value, name);
		text_add(value, ":[");
		text_number(value, (int64_t)inode);
		text_add(value, "]");
		return inode != 0 && own_namespaces[i] != 0 && inode != own_namespaces[i];
	}
	return false;
}

static bool check_seccomp(uint64_t filters, struct text *value)
{
	struct text expected;

	text_begin(&expected);
	text_number(&expected, own_filters + (int64_t)filters);
	if (!check_status("Seccomp", "2", value))
		return false;
	return check_status("Seccomp_filters", text_string(&expected), value);
}

static bool check_capabilities(uint64_t set, struct text *value)
{
	static const char *const LINES[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
	struct text expected;
	bool good = true;

	text_begin(&expected);
	text_hex(&expected, set);
	for (unsigned i = 0; i < 5; i++)
		good &= check_status(LINES[i], text_string(&expected), value);
	return good;
}

/* Numbers are compared, not white space. */
static bool same_words(const char *left, const char *right)
{
	for (;;) {
		size_t length;

		left += strspn(left, " \t\n");
		right += strspn(right, " \t\n");
		length = strcspn(left, " \t\n");
		if (length != strcspn(right, " \t\n") || strncmp(left, right, length) != 0)
			return false;
		if (length == 0)
			return true;
		left += length;
		right += length;
	}
}

static bool check_id_map(const char *expected, struct text *value)
{
	bool good = true;

	for (unsigned i = 0; i < 2; i++) {
		const char *name = i ? "gid_map" : "uid_map", *map = i ? process.gid_map : process.uid_map;
		const char *separator = strchr(expected, ';');
		struct text wanted;

		text_begin(&wanted);
		if (!separator)
			return false;
		for (const char *at = i ? separator + 1 : expected; *at && *at != ';'; at++)
			text_add(&wanted, (char[]){ *at, 0 });
		good &= same_words(map, text_string(&wanted));
		text_add(value, i ? ", " : "");
		text_add(value, name);
		text_add(value, " ");
		for (const char *at = map + strspn(map, " \n"); *at; at++)
			if (*at != '\n' ? *at != ' ' || at[1] != ' ' : at[1] != 0)
				text_add(value, *at == '\n' ? " and" : (char[]){ *at, 0 });
	}
	return good;
}

/* Another root than ours; or, where it is the same folder, one that cannot change it. */
static bool check_root(struct text *value)
{
	const unsigned long safe = ST_RDONLY | ST_NOSUID | ST_NODEV;
	int root = openat(process.folder, "root", O_PATH | O_CLOEXEC);
	struct statvfs system;
	struct stat status;
	bool other;

	if (root < 0 || fstat(root, &status) < 0 || fstatvfs(root, &system) < 0)
		return false;
	close(root);
	other = status.st_dev != own_root_device || status.st_ino != own_root_inode;
	text_add(value, other ? "own root" : "the host's root");
	text_add(value, system.f_flag & ST_RDONLY ? ", read-only" : ", copy-on-write");
	return other ? (system.f_flag & ST_NOSUID) != 0 : (system.f_flag & safe) == safe;
}

static bool check_landlock(uint64_t rules, struct text *value)
{
	text_add(value, "ABI ");
	text_number(value, run.shared->landlock_abi);
	text_add(value, ", ");
	text_number(value, run.shared->landlock_rules);
	text_add(value, " rules of ");
	text_number(value, (int64_t)rules);
	if (run.shared->landlock_links) {
		text_add(value, ", ");
		text_number(value, run.shared->landlock_links);
		text_add(value, " grant nothing: a symbolic link is in the path");
	}
	switch (run.shared->landlock_effect) {
	case LANDLOCK_REFUSES:
		return run.shared->landlock_abi > 0;
	case LANDLOCK_UNSEEN:
		text_add(value, ", its effect cannot be seen: it grants all that was tried");
		return run.shared->landlock_abi > 0;
	default:
		text_add(value, ", what it has to refuse is not refused");
		return false;
	}
}

static bool check_apparmor(const char *expected, struct text *value)
{
	char label[256];

	if (!read_all("attr/apparmor/current", label, sizeof(label)))
		return false;
	label[strcspn(label, "\n")] = 0;
	text_add(value, label);
	return strncmp(label, expected, strlen(expected)) == 0 && strcmp(label + strlen(expected), " (enforce)") == 0;
}

static bool check_process_limits(const char *expected, struct text *value)
{
	char limits[4096];

	return read_all("limits", limits, sizeof(limits)) && check_rlimits(expected, limits, value);
}

/* How many filters the payload loads: all of them are in force, whoever else has loaded some before. */
static int64_t loaded_filters(void)
{
	int64_t count = 0;

	for (uint32_t i = run.plan.first[STAGE_PAYLOAD]; i < run.plan.first[STAGE_CHECK]; i++)
		count += run.plan.ops[i].code == OP_SECCOMP || run.plan.ops[i].code == OP_NOTIFY;
	return count;
}

static bool read_status_of_init(char *out, size_t size)
{
	int payload = process.folder;
	bool read;

	process.folder = folder_of(run.init_pid);
	read = process.folder >= 0 && read_all("status", out, size);
	close(process.folder);
	process.folder = payload;
	return read;
}

/* What no control is named for: who the program is, that it has nothing of harden's, and that init has no rights. */
static bool check_process(const struct op *op, struct text *identity)
{
	char init[8192];
	bool shared = process.namespaces[0] == own_namespaces[0];
	struct shown shown = { process.status, shared ? "" : process.uid_map, shared ? "" : process.gid_map };
	struct text problem;

	text_begin(&problem);
	if (!read_status_of_init(init, sizeof(init)))
		return fail("open") == 0;
	if (!check_identity(plan_string(&run.plan, op->s[1]), &shown, identity))
		text_add(&problem, text_string(identity));
	else if (status_number(process.status, "Seccomp_filters") != own_filters + loaded_filters())
		text_add(&problem, "seccomp: a filter of the sandbox is missing");
	else if (!check_descriptors(process.folder, &problem) || !check_init(init, own_filters, &problem))
		text_add(&problem, "");
	else
		return true;
	return fail_detail("", 0, text_string(&problem)) == 0;
}

static bool check_one(const struct op *op, struct text *value)
{
	const char *expected = plan_string(&run.plan, op->s[1]);

	switch (op->f[0]) {
	case CHECK_NAMESPACE:
		return check_namespace(expected, value);
	case CHECK_NO_NEW_PRIVS:
		return check_status("NoNewPrivs", "1", value);
	case CHECK_SECCOMP:
		return check_seccomp(op->n[0], value);
	case CHECK_CAPABILITIES:
		return check_capabilities(op->n[0], value);
	case CHECK_ID_MAP:
		return check_namespace("user", value) && (text_add(value, ", "), check_id_map(expected, value));
	case CHECK_ROOT:
		return check_root(value);
	case CHECK_LANDLOCK:
		return check_landlock(op->n[0], value);
	case CHECK_APPARMOR:
		return check_apparmor(expected, value);
	case CHECK_RLIMITS:
		return check_process_limits(expected, value);
	case CHECK_LIMITS:
		return check_limits(expected, value);
	case CHECK_DEVICES:
		return check_devices(op->n[0], value);
	default:
		text_add(value, plan_string(&run.plan, op->s[3]));
		return true;
	}
}

static void add_control(struct text *document, const struct op *op, struct text *value, bool first)
{
	static const char *const WORDS[] = { "NOT_ENFORCED", "PARTIALLY_ENFORCED", "FULLY_ENFORCED" };

	text_add(document, first ? "" : ",");
	text_add(document, "{\"control\":");
	text_json(document, plan_string(&run.plan, op->s[0]));
	text_add(document, ",\"enforcement\":\"");
	text_add(document, WORDS[op->f[1]]);
	text_add(document, "\",\"value\":");
	text_json(document, text_string(value));
	text_add(document, ",\"reason\":");
	text_json(document, plan_string(&run.plan, op->s[2]));
	text_add(document, "}");
}

/* Of the controls that were asked for: all of them in force, none, or some. */
static const char *result(void)
{
	unsigned lowest = FULLY_ENFORCED, highest = NOT_ENFORCED;

	for (uint32_t i = run.plan.first[STAGE_CHECK]; i < run.plan.first[STAGE_COUNT]; i++) {
		unsigned enforcement = run.plan.ops[i].f[1];

		if (run.plan.ops[i].f[0] == CHECK_PROCESS)
			continue;
		lowest = enforcement < lowest ? enforcement : lowest;
		highest = enforcement > highest ? enforcement : highest;
	}
	if (lowest == FULLY_ENFORCED)
		return "FULLY_ENFORCED";
	return highest == NOT_ENFORCED ? "NOT_ENFORCED" : "PARTIALLY_ENFORCED";
}

bool readback(struct text *document)
{
	struct text identity;
	bool first = true;

	text_begin(&identity);
	if (!read_all("status", process.status, sizeof(process.status))) {
		fail("open");
		return false;
	}
	text_add(document, "{\"format\":\"harden-enforced/1\",\"result\":\"");
	text_add(document, result());
	text_add(document, "\",\"controls\":[");
	for (uint32_t i = run.plan.first[STAGE_CHECK]; i < run.plan.first[STAGE_COUNT]; i++) {
		struct text value;

		text_begin(&value);
		run.op = i;
		if (run.plan.ops[i].f[0] == CHECK_PROCESS) {
			if (!check_process(&run.plan.ops[i], &identity))
				return false;
			continue;
		}
		if (!check_one(&run.plan.ops[i], &value)) {
			fail_detail("", 0, text_string(&value));
			return false;
		}
		add_control(document, &run.plan.ops[i], &value, first);
		first = false;
	}
	text_add(document, "],\"identity\":");
	text_add(document, text_string(&identity));
	text_add(document, "}");
	close(process.folder);
	if (document->overflow)
		fail_detail("", 0, "the report is too long");
	return !document->overflow;
}
