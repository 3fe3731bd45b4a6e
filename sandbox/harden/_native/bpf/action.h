/* SPDX-License-Identifier: Apache-2.0 */
/* What tasks do that the calls alone do not show: whom a signal goes to, and what is submitted to an io_uring ring. */
#ifndef HARDEN_ACTION_H
#define HARDEN_ACTION_H

#include "process.h"

#define SI_USER 0
#define SI_QUEUE -1
#define SI_TKILL -6

static __always_inline __u16 target_of(struct task_struct *sender, struct task_struct *target)
{
	__u32 parent = BPF_CORE_READ(target, real_parent, tgid);

	if (target->tgid == sender->tgid)
		return TARGET_SELF;
	if (parent == (__u32)sender->tgid)
		return TARGET_CHILD;
	/* A kernel thread or a task outside the cgroup has no state. */
	if (!bpf_task_storage_get(&tasks, target, 0, 0))
		return TARGET_OUTSIDE;
	return BPF_CORE_READ(sender, real_parent, tgid) == target->tgid ? TARGET_PARENT : TARGET_OTHER;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(signal_sent, int signal, struct kernel_siginfo *info, struct task_struct *target, int group, int result)
{
	struct task_struct *sender = bpf_get_current_task_btf();
	struct task_state *state = bpf_task_storage_get(&tasks, sender, 0, 0);
	struct signal_key key = {.signal = signal};
	int code;

	/* SEND_SIG_NOINFO and SEND_SIG_PRIV: the kernel's own. */
	if (!state || (unsigned long)info <= 1)
		return 0;
	code = BPF_CORE_READ(info, si_code);
	if (code != SI_USER && code != SI_QUEUE && code != SI_TKILL)
		return 0;
	key.executable = state->executable;
	key.target = target_of(sender, target);
	if (add(&signals, &key, 1) && config.stacks)
		tell_stack(state->stack, OWNER_SIGNAL, &key, sizeof(key));
	return 0;
}

/* Older kernels know the same moment as io_uring_submit_sqe, with other arguments: there it is not seen. */
SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(ring_submitted, struct io_kiocb *request)
{
	struct task_state *state = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, 0);
	struct ring_key key = {};

	if (!state)
		return 0;
	key.executable = state->executable;
	key.opcode = BPF_CORE_READ(request, opcode);
	if (add(&rings, &key, 1) && config.stacks)
		tell_stack(copy_current_stack(key.executable, STACK_RING, known_space()), OWNER_RING, &key, sizeof(key));
	return 0;
}

#endif
