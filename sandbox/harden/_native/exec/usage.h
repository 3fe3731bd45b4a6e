/* What the sandbox's cgroup has counted of all its processes: cgroups(7), admin-guide/cgroup-v2.rst. */
#ifndef HARDEN_USAGE_H
#define HARDEN_USAGE_H

#include "text.h"

#include <stdbool.h>
#include <stdint.h>

enum measure {
	CPU_USER,
	CPU_SYSTEM,
	CPU_THROTTLED,
	MEMORY_PEAK,
	SWAP_PEAK,
	MEMORY_HIGH,
	OOM_EVENTS,
	OOM_KILLS,
	PIDS_PEAK,
	FORKS_REFUSED,
	MEASURE_COUNT
};

/* Reads one, and remembers it for when the cgroup is gone; false where the host cannot tell. */
bool usage_read(enum measure measure, int64_t *value);
/* Members of a JSON object: what was read, null where the host could not tell; and for these why not. */
void usage_add(struct text *known, struct text *unknown);

/* A member's name and what comes before it. */
void add_member(struct text *object, const char *name);
/* Microseconds, as seconds. */
void add_seconds(struct text *text, int64_t microseconds);

#endif
