/* What the sandbox's cgroup has counted of all its processes: cgroups(7), admin-guide/cgroup-v2.rst. */
#ifndef HARDEN_USAGE_H
#define HARDEN_USAGE_H

#include "text.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>

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
/* Of wait4(2), in microseconds. */
static inline int64_t microseconds(struct timeval time)
{
	return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

#endif
