/* Which program a task runs, from its number to the number of an executable. */
#ifndef HARDEN_NOTIFY_TASK_H
#define HARDEN_NOTIFY_TASK_H

#include "notify_name.h"

struct task {
	pid_t tid, group;
	uint32_t process; /* the group, as the sandbox numbers it; 0: not known */
	uint32_t executable; /* 0: not known */
	uint64_t generation;
	bool at_root;
	bool has_ended;
	bool group_has_ended; /* of the first of a group */
};

/* The task that made this call, looked up again if it may have become another one since. NULL: it is gone. */
struct task *task_of(uint64_t id, pid_t tid);
/* Any task may get another root. */
void task_roots_change(void);
/* This one may become another program, or another task with its number. */
void task_changes(struct task *task);
/* execve, execveat: `found` is what the name leads to now. */
void task_executes(const struct waiting *call, const struct task *task, const struct named *named,
		   const struct found *found);
void task_ends(struct task *task, bool whole_group);
/* All tasks are gone. */
void task_finish(void);

#endif
