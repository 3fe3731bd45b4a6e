/* SPDX-License-Identifier: Apache-2.0 */
/* What tasks do that the calls alone do not show: whom a signal goes to, and what is submitted to an io_uring ring. */
#ifndef HARDEN_ACTION_H
#define HARDEN_ACTION_H

#include "process.h"

#define SI_USER 0
#define SI_QUEUE -1
#define SI_TKILL -6
#define PF_IO_WORKER 0x10

static __always_inline __u8 target_of(struct task_struct *sender, struct task_struct *target)
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
	const struct pt_regs *regs = (const struct pt_regs *)bpf_task_pt_regs(sender);
	struct signal_key key = {.signal = signal};
	int code;

	/* SEND_SIG_NOINFO and SEND_SIG_PRIV: the kernel's own. */
	if (!state || (unsigned long)info <= 1)
		return 0;
	code = BPF_CORE_READ(info, si_code);
	if (code != SI_USER && code != SI_QUEUE && code != SI_TKILL)
		return 0;
	/* With these codes it was sent by a call, and the sender stands in it. */
	key.executable = state->executable;
	key.nr = call_number(regs);
	key.abi = abi_of(sender, key.nr);
	key.target = target_of(sender, target);
	if (add(&signals, &key, 1) && config.stacks)
		tell_stack(state->stack, OWNER_SIGNAL, &key, sizeof(key));
	return 0;
}

/*
 * Who submits: a task in a call, or (IORING_SETUP_SQPOLL) a thread that the kernel started in the process for the ring.
 * That one is in no call, whatever the registers say that it was born with, and of the program of its process.
 */
static __always_inline struct task_state *see_submitter(struct task_struct *task, struct ring_key *key)
{
	const struct pt_regs *regs = (const struct pt_regs *)bpf_task_pt_regs(task);

	if (task->flags & PF_IO_WORKER) {
		key->nr = -1;
		return bpf_task_storage_get(&tasks, task->group_leader, 0, 0);
	}
	key->nr = call_number(regs);
	key->abi = abi_of(task, key->nr);
	return bpf_task_storage_get(&tasks, task, 0, 0);
}

/* Older kernels know the same moment as io_uring_submit_sqe, with other arguments: there it is not seen. */
SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(ring_submitted, struct io_kiocb *request)
{
	struct ring_key key = {};
	struct task_state *state = see_submitter(bpf_get_current_task_btf(), &key);
	__u64 stack;

	if (!state)
		return 0;
	key.executable = state->executable;
	key.opcode = BPF_CORE_READ(request, opcode);
	if (!add(&rings, &key, 1) || !config.stacks || key.nr < 0)
		return 0;
	stack = copy_current_stack(key.executable, STACK_RING, known_space());
	tell_stack(stack, OWNER_RING, &key, sizeof(key));
	return 0;
}

#endif
