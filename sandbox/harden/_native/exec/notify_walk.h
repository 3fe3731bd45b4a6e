/* Where a path leads, one name at a time: what openat2(2) does not follow for another task. */
#ifndef HARDEN_NOTIFY_WALK_H
#define HARDEN_NOTIFY_WALK_H

#include "notify_look.h"

#include <limits.h>

struct walk {
	int at;          /* what the path led to, or the last folder that was there; the caller closes it; -1: none */
	int error;       /* why it went no further, as the program's call will end; 0: it did not stop */
	bool is_last;    /* `name` is the last one of the path */
	bool has_jumped; /* through a link of proc(5) that has no text of its own: root, cwd, exe, fd/N */
	bool is_lost;    /* it stopped for a reason of the recorder's own: nobody knows where the path leads */
	char name[NAME_MAX + 1]; /* where it stopped */
};

/* Opens nothing: O_PATH has no effect on what it names. `root` is that of the task that calls. */
void walk_path(const struct waiting *call, int root, const char *path, bool follow, struct walk *walk);

#endif
