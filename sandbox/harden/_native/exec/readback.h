/* What is in force for a process, asked from the kernel. */
#ifndef HARDEN_READBACK_H
#define HARDEN_READBACK_H

#include "text.h"

#include <stdbool.h>
#include <sys/types.h>

/* Remembers the namespaces and the root of this process, before it changes any. */
bool readback_remember(void);
/* Compares `pid` with every check of the plan and formats the Enforced document. On a mismatch the failure is recorded
 * (fail_detail) and false returned. */
bool readback(pid_t pid, struct text *document);

#endif
