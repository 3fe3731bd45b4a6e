/* What every attacker prints: one line per attempt, "NAME done" where it succeeded and "NAME ERRNO" where it did not. */
#ifndef ATTEMPT_H
#define ATTEMPT_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static inline bool attempt(const char *name, long answer)
{
	printf("%s %s\n", name, answer < 0 ? strerrorname_np(errno) : "done");
	fflush(stdout);
	return answer >= 0;
}

#endif
