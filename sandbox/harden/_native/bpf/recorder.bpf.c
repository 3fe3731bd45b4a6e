/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorder: what the tasks of one cgroup ask of the kernel. Calls are counted where they enter; what they did to
 * files and sockets is read where they end; only what is new crosses to user space.
 */
#include "answer.h"
#include "capability.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

static __always_inline void count_foreign(struct task_state *state, const struct task_struct *task, __u32 nr)
{
	struct count_key key = {.executable = state->executable, .nr = nr, .abi = abi_of(task, nr)};

	add(&counts, &key, 1);
}

/* 1 where they lie in memory that is not there: the kernel has not read it yet either. */
static __noinline int take_arguments(const struct pt_regs *regs, __u32 executable, __u32 nr, __u64 stack)
{
	struct argument_key key = {.executable = executable, .nr = nr};
	struct combination_key call = {.executable = executable, .nr = nr};
	const volatile struct argument_row *row;
	__u64 *count;

	row = &config.arguments[row_of(nr)];
	for (int i = 0; i < ARGUMENTS; i++)
		if (i < row->count)
			key.values[i] = argument(regs, row->index[i]) & row->mask[i];
	if (row->pointed) {
		if (bpf_probe_read_user(&key.values[0], sizeof(key.values[0]), (void *)argument(regs, row->index[0])))
			return 1;
		key.values[0] &= row->mask[0];
	}
	if (add_to(&arguments, &key, 1))
		return 0;
	/* Beyond the limit nothing more is kept: more than `combinations` distinct ones is itself what is recorded. */
	add(&combinations, &call, 1);
	count = bpf_map_lookup_elem(&combinations, &call);
	if (count && *count > config.combinations)
		return 0;
	if (make_now(&arguments, &key, 1) && config.stacks)
		tell_stack(stack ? stack : take_stack(executable, nr), OWNER_ARGUMENTS, &key, sizeof(key));
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(call_enter, struct pt_regs *regs, long id)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = bpf_task_storage_get(&tasks, task, 0, 0);
	__u64 stack = 0;
	__u32 nr = id;
	__u8 traits;

	if (!state)
		return 0;
	settle_phase(state, task);
	if (config.refusals)
		state->entered = 1;
	if (nr >= SYSCALLS || is_compat(task)) {
		if (id >= 0)
			count_foreign(state, task, nr);
		return 0;
	}
	traits = config.traits[row_of(nr)];
	if (!state->counts[row_of(nr)]++)
		stack = see_first_call(state->executable, nr);
	if (traits & TRAIT_STACK && config.stacks)
		state->stack = stack ? stack : take_stack(state->executable, nr);
	if (traits & TRAIT_WAIT)
		begin_waiting(state, task, regs, nr);
	if (traits & TRAIT_ARGUMENTS)
		state->unread = take_arguments(regs, state->executable, nr, stack);
	return 0;
}

static __always_inline void count_error(struct task_state *state, const struct task_struct *task, __u32 nr, long result)
{
	struct count_key key = {.executable = state->executable, .nr = nr, .abi = abi_of(task, nr), .error = -result};

	add(&counts, &key, 1);
}

/* The stack of what was new in the call that ends. */
__noinline int end_news(__u32 executable, __u32 nr)
{
	struct scratch *scratch = scratch_of(CALL_SLOT);
	__u64 stack;

	if (!scratch || !scratch->news_count)
		return 0;
	if (config.stacks) {
		stack = take_stack(executable, nr);
		for (int i = 0; i < NEWS; i++)
			if ((__u64)i < scratch->news_count)
				tell_stack(stack, OWNER_SEEN, &scratch->news[i], sizeof(struct seen_key));
	}
	scratch->news_count = 0;
	return 0;
}

/* At the end of a call: the kernel has read them by now, if they can be read. */
__noinline int take_unread(struct call *call)
{
	const volatile struct argument_row *row;
	struct combination_key combination = {};
	struct argument_key key = {};

	if (!call)
		return 0;
	row = &config.arguments[row_of(call->nr)];
	key.executable = combination.executable = call->executable;
	key.nr = combination.nr = call->nr;
	if (bpf_probe_read_user(&key.values[0], sizeof(key.values[0]), (void *)pick(call, row->index[0]))) {
		if (call->result != -EFAULT)
			lose(&global.losses.unreadable);
		return 0;
	}
	key.values[0] &= row->mask[0];
	if (add(&arguments, &key, 1))
		add(&combinations, &combination, 1);
	return 0;
}

static __noinline int end_call(struct pt_regs *regs, struct task_state *state, long result, __u32 nr, bool refused)
{
	struct call call = {
		.result = result,
		.nr = nr,
		.executable = state->executable,
		.refused = refused,
	};

	for (int i = 0; i < 6; i++)
		call.arguments[i] = argument(regs, i);
	if (config.calls[row_of(nr)].also >= ALSO_ANSWER)
		return see_answer(&call);
	if (config.calls[row_of(nr)].also == ALSO_ARGUMENTS && state->unread) {
		state->unread = 0;
		return take_unread(&call);
	}
	return see_call(&call, &config.calls[row_of(nr)]);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(call_exit, struct pt_regs *regs, long result)
{
	long id = call_number(regs);
	bool is_error = result < 0 && result >= -4095;
	__u8 traits = id >= 0 && id < SYSCALLS ? config.traits[row_of(id)] & TRAITS_AT_EXIT : 0;
	bool is_answer = resolves && result > DNS_HEADER && id >= 0 && id < SYSCALLS &&
			 config.calls[row_of(id)].also >= ALSO_ANSWER;
	bool is_refused = 0;
	struct task_struct *task;
	struct task_state *state;

	/* Nearly every call ends here: it worked and touched no name. */
	if (!config.refusals && ((!is_error && !traits && !is_answer) || id < 0))
		return 0;
	task = bpf_get_current_task_btf();
	state = bpf_task_storage_get(&tasks, task, 0, 0);
	if (!state)
		return 0;
	settle_phase(state, task);
	if (config.refusals) {
		is_refused = is_error && id >= 0 && !state->entered;
		state->entered = 0;
		if (is_refused)
			see_refusal(task, state->executable, id, -result);
	}
	if ((!is_error && !traits && !is_answer) || id < 0)
		return 0;
	if (is_error)
		count_error(state, task, id, result);
	if ((!traits && !is_answer) || is_compat(task))
		return 0;
	if (!is_error)
		see_descriptors(regs, result, traits);
	if (traits & TRAIT_EXIT || is_answer)
		end_call(regs, state, result, id, is_refused);
	return end_news(state->executable, id);
}
