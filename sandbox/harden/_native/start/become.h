#ifndef HARDEN_BECOME_H
#define HARDEN_BECOME_H

#include "entry.h"

#include <sys/types.h>

/* Becomes harden-exec with the entry's plan, as harden.launch.cached_plan.start() does; `parent` is the process that
 * started harden. Returns when something is not as it should be, and leaves nothing behind: planning anew will say
 * what. */
void become_harden_exec(struct entry *entry, pid_t parent);

#endif
