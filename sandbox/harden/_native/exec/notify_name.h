/* The names that a waiting call gives, and what they lead to. */
#ifndef HARDEN_NOTIFY_NAME_H
#define HARDEN_NOTIFY_NAME_H

#include "notify_look.h"

/* A name in the program's memory and what it is relative to. */
struct named {
	char name[NOTIFY_PATH];
	size_t length;
	char base[NOTIFY_PATH];
	size_t base_length;
	char whole[NOTIFY_PATH]; /* both, as text */
};

struct found {
	enum look look;
	mode_t type;
	bool is_pathless; /* a pipe, a socket, a memfd: `object` is what the kernel calls it */
	bool has_jumped;  /* by a link of proc(5), as an open descriptor is one */
	bool is_lost;     /* LOOK_UNSEEN for a reason that the program does not meet */
	char object[NOTIFY_PATH]; /* where the kernel went; empty if nowhere */
};

/* The name at `address`, relative to `dirfd` (or the root of it, with `in_root`). False: empty, or not readable. */
bool look_name(const struct waiting *call, uint64_t address, int dirfd, bool in_root, struct named *named);
/* The same for a name that is in `named` already. */
bool look_base(const struct waiting *call, int dirfd, bool in_root, struct named *named);
/* What the kernel would find now. Opens nothing: O_PATH has no effect on what it names. Without `follow` a link at the
 * end is the thing itself, and its object is not asked for. */
void look_up(const struct waiting *call, const struct named *named, bool follow, struct found *found);
/* Whether a task's root and mount namespace are those of the first that was asked for, which is kept open. */
bool look_is_at_root(pid_t tid);
/* A task may get another root, and with it those that share it, at any time from here on. */
void look_forget_root(void);

#endif
