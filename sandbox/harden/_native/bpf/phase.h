/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The phase of each thread. `init` ends where the thread first waits for requests: it blocks in accept, epoll_wait,
 * poll or select after a socket listens. The call it waits in belongs to `serving`. Whether it blocked is known only
 * afterwards, from the task's voluntary context switches; looking then costs nothing while it waits.
 */
#ifndef HARDEN_PHASE_H
#define HARDEN_PHASE_H

#include "calls.h"

struct flush {
	struct task_state *state;
};

static long flush_one(__u32 nr, struct flush *flush)
{
	struct count_key key = {.executable = flush->state->executable, .abi = ABI_NATIVE, .nr = nr};
	__u64 made;

	made = flush->state->counts[row_of(nr)];
	if (made) {
		/* When it was first made is told by an entry that was made then. */
		if (!add_to(&counts, &key, made))
			make(&counts, &key, &(struct tally){.count = made});
		flush->state->counts[row_of(nr)] = 0;
	}
	return 0;
}

/* Move a task's own counters to the map they end up in. */
static __always_inline void flush_counts(struct task_state *state)
{
	struct flush flush = {.state = state};

	bpf_loop(SYSCALLS, flush_one, &flush, 0);
}

static __noinline void begin_serving(struct task_state *state)
{
	__u64 *made = &state->counts[row_of(state->waiting_nr)];
	bool is_waiting = state->waiting && *made;

	if (is_waiting)
		*made -= 1;
	flush_counts(state);
	state->executable |= SERVING;
	if (is_waiting)
		*made = 1;
	state->waiting = 0;
}

/* Called before anything is counted for a task, so that what it counts is of the right phase. */
static __always_inline void settle_phase(struct task_state *state, const struct task_struct *task)
{
	if (!state->waiting && !control.is_serving)
		return;
	if (state->executable & SERVING)
		return;
	if (control.is_serving || task->nvcsw + 1 > state->waiting)
		begin_serving(state);
	state->waiting = 0;
}

/* A call by which programs wait for requests begins. accept needs no listen of its own: the socket may be inherited. */
static __always_inline void begin_waiting(struct task_state *state, const struct task_struct *task,
					  const struct pt_regs *regs, __u32 nr)
{
	const volatile struct call_row *row = &config.calls[row_of(nr)];

	if (state->executable & SERVING || config.is_ready_told)
		return;
	if (row->condition == WHEN_LISTENING && !global.is_listening)
		return;
	/* With no descriptors it is a sleep. */
	if (row->path != NO_ARGUMENT && !(__u32)argument(regs, row->path))
		return;
	state->waiting = task->nvcsw + 1;
	state->waiting_nr = nr;
}

#endif
