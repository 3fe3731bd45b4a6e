/* Who a process is, under how many filters and with which descriptors, asked from the kernel. */
#ifndef HARDEN_PROCESS_CHECK_H
#define HARDEN_PROCESS_CHECK_H

#include "text.h"

#include <stdbool.h>

/* The value of one line of a /proc/PID/status, up to its end of line; NULL where it has none. */
const char *status_value(const char *status, const char *name);
/* A line of one number; -1 where there is none. */
int64_t status_number(const char *status, const char *name);

/* What /proc shows of a process. */
struct shown {
	const char *status;
	const char *uid_map, *gid_map; /* "": its ids are ours */
};

/* `expected`: uid, gid and groups as seen inside, with a blank between them; a `*` for groups that stay as they were.
 * `identity` becomes a JSON object. */
bool check_identity(const char *expected, const struct shown *shown, struct text *identity);
/* Whether nothing is open but 0, 1, 2 and what is passed; `folder` is that of the process in /proc. */
bool check_descriptors(int folder, struct text *problem);
/* Init: no capability, no new privileges, one filter more than `filters`. */
bool check_init(const char *status, int64_t filters, struct text *problem);

#endif
