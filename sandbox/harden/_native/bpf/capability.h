/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability checks, by the first of three hooks that the kernel offers: fexit on cap_capable (options and verdict), a
 * kprobe and kretprobe pair (the same), the tracepoint (no options: the kernel stack tells probes apart).
 */
#ifndef HARDEN_CAPABILITY_H
#define HARDEN_CAPABILITY_H

#include "action.h"

#define CAP_OPT_NOAUDIT 2
#define NAMESPACE_DEPTH 33

/* Nothing for the sandbox's user namespace, else whether it is below it (the program made it) or outside. */
static __always_inline __u32 namespace_mark(struct user_namespace *namespace)
{
	for (int level = 0; level < NAMESPACE_DEPTH && namespace; level++) {
		if ((__u64)namespace == global.namespace)
			return level ? CAPABILITY_NESTED : 0;
		namespace = BPF_CORE_READ(namespace, parent);
	}
	return CAPABILITY_HOST;
}

static __always_inline __u32 circumstances(struct task_struct *task, __u64 namespace, bool is_noaudit)
{
	__u32 marks = namespace_mark((struct user_namespace *)namespace);

	if (is_noaudit)
		marks |= CAPABILITY_NOAUDIT;
	if (task->cred != task->real_cred)
		marks |= CAPABILITY_OVERRIDDEN;
	if (is_compat(task))
		marks |= CAPABILITY_COMPAT;
	return marks;
}

/* An exec has replaced the memory by the time that most of its checks are made: its stack was taken before. */
static __always_inline __u64 stack_of_check(struct task_state *state, int nr)
{
	if (nr >= 0 && nr < SYSCALLS && config.traits[row_of(nr)] & TRAIT_STACK)
		return state->stack;
	return copy_current_stack(state->executable, nr, known_space());
}

static __always_inline void see_capability(struct task_struct *task, struct task_state *state, int capability,
					   __u32 marks, int stack)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	struct capability_key key = {
		.executable = state->executable,
		.nr = call_number(regs),
		.stack = stack,
		.capability = capability,
		.marks = marks,
	};

	if (add(&capabilities, &key, 1) && config.stacks)
		tell_stack(stack_of_check(state, key.nr), OWNER_CAPABILITY, &key, sizeof(key));
}

SEC("tp_btf/cap_capable")
int BPF_PROG(capability_tracepoint, const struct cred *cred, struct user_namespace *target,
	     const struct user_namespace *capable, int capability, int error)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = bpf_task_storage_get(&tasks, task, 0, 0);
	__u32 marks;

	if (!state)
		return 0;
	marks = circumstances(task, (__u64)target, 0) | (error ? 0 : CAPABILITY_GRANTED);
	see_capability(task, state, capability, marks, bpf_get_stackid(ctx, &stacks, BPF_F_FAST_STACK_CMP));
	return 0;
}

SEC("fexit/cap_capable")
int BPF_PROG(capability_fexit, const struct cred *cred, struct user_namespace *target, int capability,
	     unsigned int options, int error)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = bpf_task_storage_get(&tasks, task, 0, 0);
	__u32 marks;

	if (!state)
		return 0;
	marks = circumstances(task, (__u64)target, options & CAP_OPT_NOAUDIT) | (error ? 0 : CAPABILITY_GRANTED);
	see_capability(task, state, capability, marks, -1);
	return 0;
}

SEC("kprobe/cap_capable")
int BPF_KPROBE(capability_kprobe, const struct cred *cred, struct user_namespace *target, int capability,
	       unsigned int options)
{
	struct task_state *state = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, 0);

	if (state) {
		state->pending = (capability + 1) | (options & CAP_OPT_NOAUDIT) << 16;
		state->pending_namespace = (__u64)target;
	}
	return 0;
}

SEC("kretprobe/cap_capable")
int BPF_KRETPROBE(capability_kretprobe, int error)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = bpf_task_storage_get(&tasks, task, 0, 0);
	__u32 marks;

	if (!state || !state->pending)
		return 0;
	marks = circumstances(task, state->pending_namespace, state->pending >> 16) | (error ? 0 : CAPABILITY_GRANTED);
	see_capability(task, state, (state->pending & 0xffff) - 1, marks, -1);
	state->pending = 0;
	return 0;
}

#endif
