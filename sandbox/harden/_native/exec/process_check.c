/* The program's process and init at the barrier: proc(5), user_namespaces(7), getdents64(2). */
#include "process_check.h"

#include "run.h"
#include "sys.h"

#include <dirent.h>
#include <string.h>

enum { UNMAPPED = 65534 };

const char *status_value(const char *status, const char *name)
{
	size_t length = strlen(name);

	for (const char *line = status; line && *line;) {
		const char *end = strchr(line, '\n');

		if (strncmp(line, name, length) == 0 && line[length] == ':')
			return line + length + 1 + strspn(line + length + 1, " \t");
		line = end ? end + 1 : NULL;
	}
	return NULL;
}

/* The number at `*at`, which then points behind it and the blanks that follow; false where there is none. */
static bool next_number(const char **at, uint64_t *number)
{
	const char *start = *at;

	*number = 0;
	for (; **at >= '0' && **at <= '9'; ++*at)
		*number = *number * 10 + (uint64_t)(**at - '0');
	if (*at == start)
		return false;
	*at += strspn(*at, " \t");
	return true;
}

int64_t status_number(const char *status, const char *name)
{
	const char *at = status_value(status, name);
	uint64_t number;

	return at && next_number(&at, &number) ? (int64_t)number : -1;
}

static uint64_t inside(const char *map, uint64_t outside)
{
	const char *at = map + strspn(map, " \t\n");
	uint64_t first, lower, count;

	if (!*at)
		return outside;
	while (next_number(&at, &first) && next_number(&at, &lower) && next_number(&at, &count)) {
		if (outside >= lower && outside - lower < count)
			return first + outside - lower;
		at += strspn(at, " \t\n");
	}
	return UNMAPPED;
}

/* Real, effective, saved and file system id: one and the same. */
static bool check_id(const char *ids, const char *map, uint64_t expected, struct text *value)
{
	bool good = ids != NULL;
	uint64_t id = 0;

	for (unsigned i = 0; i < 4 && good; i++) {
		good = next_number(&ids, &id);
		id = inside(map, id);
		good = good && id == expected;
	}
	text_number(value, (int64_t)id);
	return good;
}

static bool has_number(const char *list, uint64_t wanted)
{
	uint64_t number;

	while (next_number(&list, &number))
		if (number == wanted)
			return true;
	return false;
}

static unsigned count_numbers(const char *list)
{
	unsigned count = 0;
	uint64_t number;

	while (next_number(&list, &number))
		count++;
	return count;
}

static bool check_groups(const char *groups, const char *map, const char *expected, struct text *value)
{
	bool any = *expected == '*', good = groups != NULL;
	unsigned count = 0;
	uint64_t group;

	while (groups && next_number(&groups, &group)) {
		group = inside(map, group);
		good = good && (any || has_number(expected, group));
		text_add(value, count++ ? "," : "");
		text_number(value, (int64_t)group);
	}
	return good && (any || count == count_numbers(expected));
}

bool check_identity(const char *expected, const struct shown *shown, struct text *identity)
{
	uint64_t uid, gid;
	bool good;

	if (!next_number(&expected, &uid) || !next_number(&expected, &gid))
		return false;
	text_add(identity, "{\"uid\":");
	good = check_id(status_value(shown->status, "Uid"), shown->uid_map, uid, identity);
	text_add(identity, ",\"gid\":");
	good &= check_id(status_value(shown->status, "Gid"), shown->gid_map, gid, identity);
	text_add(identity, ",\"groups\":[");
	good &= check_groups(status_value(shown->status, "Groups"), shown->gid_map, expected, identity);
	text_add(identity, "]}");
	return good;
}

static bool is_passed(uint64_t descriptor)
{
	for (uint32_t i = run.plan.first[STAGE_PAYLOAD]; i < run.plan.first[STAGE_CHECK]; i++)
		if (run.plan.ops[i].code == OP_PASS_FD && run.plan.ops[i].n[0] == descriptor)
			return true;
	return descriptor <= 2;
}

static bool check_entry(const char *name, struct text *problem)
{
	uint64_t number;

	if (!next_number(&name, &number) || is_passed(number))
		return true;
	text_add(problem, "descriptor ");
	text_number(problem, (int64_t)number);
	text_add(problem, " of harden is open");
	return false;
}

bool check_descriptors(int folder, struct text *problem)
{
	_Alignas(struct dirent64) char entries[4096];
	/* Who may trace a process may list it here, whoever it belongs to (since Linux 5.14). */
	int fd = openat(folder, "fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good;
	long got;

	if (fd < 0)
		fd = openat(folder, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	good = fd >= 0;
	got = good ? 1 : 0;
	while (good && (got = syscall(SYS_getdents64, fd, entries, sizeof(entries))) > 0)
		for (long at = 0; at < got && good;) {
			const struct dirent64 *entry = (const struct dirent64 *)(const void *)(entries + at);

			good = check_entry(entry->d_name, problem);
			at += entry->d_reclen;
		}
	if (fd < 0 || got < 0)
		text_add(problem, "its descriptors cannot be listed");
	close(fd);
	return good && got == 0;
}

bool check_init(const char *status, int64_t filters, struct text *problem)
{
	static const char *const SETS[] = { "CapInh", "CapPrm", "CapEff", "CapAmb" };
	bool good = status_number(status, "NoNewPrivs") == 1 && status_number(status, "Seccomp") == 2 &&
		    status_number(status, "Seccomp_filters") == filters + 1;

	for (unsigned i = 0; i < sizeof(SETS) / sizeof(*SETS); i++) {
		const char *set = status_value(status, SETS[i]);

		good = good && set && strspn(set, "0") == 16;
	}
	if (!good)
		text_add(problem, "the sandbox's init has kept rights");
	return good;
}
