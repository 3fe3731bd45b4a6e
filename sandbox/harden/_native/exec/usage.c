#include "usage.h"

#include "limit.h"
#include "run.h"

#include <errno.h>
#include <string.h>

/* Only so much of a reason, which can hold a path, that all of them fit into one document. */
enum { REASON_BYTES = 160 };

static const struct {
	const char *name, *file;
	const char *key;        /* NULL: the file is one number */
	const char *controller; /* without which there is no such file, or no such key; "": cgroups always have it */
	bool time;              /* in microseconds */
} MEASURES[MEASURE_COUNT] = {
	[CPU_USER] = { "cpu_user_s", "cpu.stat", "user_usec", "", true },
	[CPU_SYSTEM] = { "cpu_system_s", "cpu.stat", "system_usec", "", true },
	[CPU_THROTTLED] = { "cpu_throttled_s", "cpu.stat", "throttled_usec", "cpu", true },
	[MEMORY_PEAK] = { "memory_peak_bytes", "memory.peak", NULL, "memory", false },
	[SWAP_PEAK] = { "swap_peak_bytes", "memory.swap.peak", NULL, "memory", false },
	[MEMORY_HIGH] = { "memory_high_events", "memory.events", "high", "memory", false },
	[OOM_EVENTS] = { "oom_events", "memory.events", "oom", "memory", false },
	[OOM_KILLS] = { "oom_kills", "memory.events", "oom_kill", "memory", false },
	[PIDS_PEAK] = { "pids_peak", "pids.peak", NULL, "pids", false },
	[FORKS_REFUSED] = { "forks_refused", "pids.events", "max", "pids", false },
};

static struct {
	bool known;
	int number; /* errno of what could not be read; 0: it has no such line */
	int64_t value;
} found[MEASURE_COUNT];

/* The number behind `key`, or alone on its line. */
static bool find_number(const char *content, const char *key, int64_t *number)
{
	size_t length, key_length = key ? strlen(key) : 0;
	const char *line;

	while ((line = next_line(&content, &length))) {
		const char *at = line + key_length + (key != NULL);

		if (key && (length <= key_length || strncmp(line, key, key_length) != 0 || line[key_length] != ' '))
			continue;
		if (*at < '0' || *at > '9')
			return false;
		for (*number = 0; *at >= '0' && *at <= '9'; at++)
			*number = *number * 10 + (*at - '0');
		return true;
	}
	return false;
}

bool usage_read(enum measure measure, int64_t *value)
{
	char content[4096];

	found[measure].known = false;
	found[measure].number = EBADF;
	if (run.plan.header.cgroup_fd < 0)
		return false;
	if (!read_limited(MEASURES[measure].file, content, sizeof(content))) {
		found[measure].number = errno;
		return false;
	}
	found[measure].number = 0;
	found[measure].known = find_number(content, MEASURES[measure].key, &found[measure].value);
	/* Init, which is harden's, is one of those that it counts. */
	if (measure == PIDS_PEAK && found[measure].known && found[measure].value > 0)
		found[measure].value--;
	*value = found[measure].value;
	return found[measure].known;
}

/* What the plan says of a controller that is not there, of "cgroup" where there is none; false: nothing. */
static bool add_planned_reason(struct text *reason, const char *name)
{
	const char *lines = plan_string(&run.plan, run.plan.header.report_unknown), *line;
	size_t length, name_length = strlen(name);

	while ((line = next_line(&lines, &length)))
		if (length > name_length && strncmp(line, name, name_length) == 0 && line[name_length] == ' ') {
			for (size_t i = name_length + 1; i < length && reason->length < REASON_BYTES; i++)
				text_add(reason, (char[]){ line[i], 0 });
			return true;
		}
	return false;
}

static void add_reason(struct text *unknown, enum measure measure)
{
	struct text reason;

	text_begin(&reason);
	if (!add_planned_reason(&reason, "cgroup") && !add_planned_reason(&reason, MEASURES[measure].controller)) {
		text_add(&reason, MEASURES[measure].file);
		text_add(&reason, found[measure].number ? ": " : " has no ");
		text_add(&reason, found[measure].number ? errno_name(found[measure].number)
				  : MEASURES[measure].key ? MEASURES[measure].key
							  : "number");
	}
	text_json(unknown, text_string(&reason));
}

void usage_add(struct text *known, struct text *unknown)
{
	for (enum measure i = 0; i < MEASURE_COUNT; i++) {
		text_member(known, MEASURES[i].name);
		if (found[i].known) {
			(MEASURES[i].time ? text_seconds : text_number)(known, found[i].value);
			continue;
		}
		text_add(known, "null");
		text_member(unknown, MEASURES[i].name);
		add_reason(unknown, i);
	}
}
