/* The processes of a sandbox. */
#ifndef HARDEN_NOTIFY_SURVIVORS_H
#define HARDEN_NOTIFY_SURVIVORS_H

#include "notify_look.h"

/* How many descendants `of` has beside `except`, the program, that have its filters and a thread that runs. What ends is waited for, because its children
 * are then somebody else's. -1: the kernel does not list children, or it did not come to rest. */
int count_descendants(pid_t of, pid_t except, enum life (*life_of)(pid_t pid, pid_t tid));

#endif
