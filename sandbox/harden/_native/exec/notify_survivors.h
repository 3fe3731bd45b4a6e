/* The processes of a sandbox. */
#ifndef HARDEN_NOTIFY_SURVIVORS_H
#define HARDEN_NOTIFY_SURVIVORS_H

#include <stdbool.h>
#include <sys/types.h>

/* How many descendants `of` has beside `except` that `is_running`; -1 where the kernel does not list children. */
int count_descendants(pid_t of, pid_t except, bool (*is_running)(pid_t pid));

#endif
