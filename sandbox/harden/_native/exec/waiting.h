/* Waiting for what is outside this process, where the answer is checked. */
#ifndef HARDEN_WAITING_H
#define HARDEN_WAITING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Of the monotonic clock. */
uint64_t now_ms(void);
/* A time of it that is over, where 0 is none. */
enum { PAST_MS = 1 };
/* What is left until that time, or the most that poll(2) is to wait at once; 0: it is over. */
int left_ms(uint64_t deadline_ms);
/* poll(2) returned for no event, and the time that it was given since then is not over: it did not wait. */
bool came_early(int wait_ms, uint64_t since);
/* Whether a change of init or the payload (0: none) waits to be fetched by waitpid(2): asked by its twin, waitid(2). */
bool has_changed(pid_t init, pid_t payload);
/* Trace `pid` up to its exec, and let it go; -1 and errno, E_NOT_DONE where the call only says so. */
int seize(pid_t pid);
int release(pid_t pid);

#endif
