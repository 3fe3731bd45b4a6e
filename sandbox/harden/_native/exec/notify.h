/* Recording by seccomp user notification (seccomp_unotify(2)), for who may not load BPF.
 *
 * Every call of the payload and of all that it starts waits until the recorder has seen it, and then goes on. It
 * records; it is no boundary: what it read may be another thing by the time the kernel reads it. */
#ifndef HARDEN_NOTIFY_H
#define HARDEN_NOTIFY_H

#include <stdbool.h>

/* In the supervisor, before the first clone: maps the table and starts the recorder. */
bool notify_start(void);
/* The payload is the program now: from here on its calls are recorded. */
void notify_begin(void);
/* Whether the recorder ended before its time, which is then the error of the run: all calls fail with ENOSYS. */
bool notify_died(void);
/* All processes are gone: waits until the table is whole. */
void notify_end(void);

#endif
