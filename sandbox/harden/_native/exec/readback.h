/* What is in force for a process, asked from the kernel. */
#ifndef HARDEN_READBACK_H
#define HARDEN_READBACK_H

#include "text.h"

#include <stdbool.h>
#include <sys/types.h>

/* Reads of this process and of `pid`, which is traced, what only they could change and do not: all but the mount
 * namespace of the latter, which it still leaves. False: the failure is recorded. */
bool readback_begin(pid_t pid);
/* Compares that process with every check of the plan and formats the Enforced document. On a mismatch the failure is recorded
 * (fail_detail) and false returned. */
bool readback(struct text *document);

#endif
