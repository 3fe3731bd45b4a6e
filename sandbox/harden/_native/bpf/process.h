/* SPDX-License-Identifier: Apache-2.0 */
/* Which tasks are recorded, and which program each of them runs. */
#ifndef HARDEN_PROCESS_H
#define HARDEN_PROCESS_H

#include "descriptors.h"
#include "phase.h"

#define CGROUP_DEPTH 32
#define EXEC_SLOT 1
#define DIGITS 7 /* of a descriptor; what has more is said to be unknown */
#define SIGKILL 9
#define SIGSYS 31
/* kernel/seccomp.c: what SECCOMP_RET_KILL_* leaves behind. */
#define SECCOMP_MODE_DEAD 3

static __always_inline bool is_inside(void)
{
	for (int level = 0; level < CGROUP_DEPTH; level++) {
		__u64 id = bpf_get_current_ancestor_cgroup_id(level);

		if (id == config.cgroup)
			return 1;
		if (!id)
			return 0;
	}
	return 0;
}

static __always_inline bool begins_with(const __u8 *text, const char *prefix, int length)
{
	for (int i = 0; i < length; i++)
		if (text[i] != prefix[i])
			return 0;
	return 1;
}

/*
 * N of /dev/fd/N, which is what execveat(2) makes of a descriptor (fs/exec.c in the kernel), and of /proc/self/fd/N; -1 for
 * another name.
 */
static __noinline int descriptor_of_name(void)
{
	struct scratch *scratch = scratch_of(EXEC_SLOT);
	int number = 0, length = 0;
	const __u8 *at;

	if (!scratch)
		return -1;
	at = scratch->text;
	if (begins_with(at, "/dev/fd/", 8))
		at += 8;
	else if (begins_with(at, "/proc/self/fd/", 14))
		at += 14;
	else
		return -1;
	for (; length < DIGITS && at[length] >= '0' && at[length] <= '9'; length++)
		number = number * 10 + (at[length] - '0');
	return length && (!at[length] || at[length] == '/') ? number : -1;
}

/* The number of the program that `binprm` started; its event is sent the first time. */
static __noinline __u32 identify(struct linux_binprm *binprm, struct place *loader, __u64 arguments)
{
	__u32 marks = MARK_OBJECT, end;
	struct scratch *scratch = scratch_of(EXEC_SLOT);
	const char *name = BPF_CORE_READ(binprm, filename);
	bool is_script = BPF_CORE_READ(binprm, interp) != name;
	struct executable_key key = {};
	struct place program, place = {};
	__u32 *known, id;
	long length = 0;

	if (!scratch)
		return 0;
	clear_event(scratch);
	place_of_file(BPF_CORE_READ(binprm, file), &program);
	key.anchor = (__u64)program.dentry;
	key.hash = place_hash(&program, config.seed, &marks);
	if (is_script) {
		length = copy_kernel_string((__u64)name, EXEC_SLOT, 0, SEGMENT_STRING);
		if (length <= 0) {
			lose(&global.losses.unreadable);
			length = 0;
		} else {
			if (place_of_base(descriptor_of_name(), 0, &place))
				marks |= MARK_DESCRIPTOR;
			else
				place_of_base(AT_FDCWD, scratch->text[0] == '/', &place);
			key.script = place_hash(&place, config.seed, &marks);
			key.script = text_hash(EXEC_SLOT, 0, length, key.script);
		}
	}
	known = bpf_map_lookup_elem(&executables, &key);
	if (known)
		return *known;
	id = __sync_fetch_and_add(&global.executables, 1) + 1;
	if (bpf_map_update_elem(&executables, &key, &id, BPF_NOEXIST)) {
		known = bpf_map_lookup_elem(&executables, &key);
		if (known)
			return *known;
		lose(&global.losses.map_full);
	}
	scratch->event.kind = EVENT_EXECUTABLE;
	scratch->event.marks = marks;
	scratch->event.key.executable = id;
	if (marks & MARK_INTERNAL && !is_script)
		end = copy_own_name(program.dentry, EXEC_SLOT, length);
	else
		end = copy_place(&program, EXEC_SLOT, length, SEGMENT_BASE);
	if (place.dentry)
		end = copy_place(&place, EXEC_SLOT, end, SEGMENT_BASE2);
	if (loader->dentry && loader->dentry != program.dentry)
		end = copy_place(loader, EXEC_SLOT, end, SEGMENT_LOADER);
	length = copy_user_string(arguments, EXEC_SLOT, end, SEGMENT_ARGV0);
	if (length > 0)
		end += length;
	send(EXEC_SLOT, end);
	return id;
}

/* The name that a program was started by, when that is not what runs: a symbolic link, and what it goes through. */
static __noinline int see_started(struct linux_binprm *binprm, __u32 executable, __u32 nr)
{
	struct scratch *scratch = scratch_of(EXEC_SLOT);
	const char *name = BPF_CORE_READ(binprm, filename);
	struct place base = {};
	__u64 hash = config.seed;
	__u32 marks = 0, end;
	long length;

	if (!scratch)
		return 0;
	clear_event(scratch);
	length = copy_kernel_string((__u64)name, EXEC_SLOT, 0, SEGMENT_STRING);
	if (length <= 0 || length > TEXT_MAX) {
		lose(&global.losses.unreadable);
		return 0;
	}
	if (!place_of_base(AT_FDCWD, scratch->text[0] == '/', &base))
		return 0;
	hash = place_hash(&base, hash, &marks);
	scratch->event.kind = EVENT_FILE;
	scratch->event.key.executable = executable;
	scratch->event.key.nr = nr;
	scratch->event.key.flags = FLAG_NAMED;
	scratch->event.key.hash = text_hash(EXEC_SLOT, 0, length, mix(hash, (__u64)base.dentry));
	if (!is_new(EXEC_SLOT))
		return 0;
	end = copy_place(&base, EXEC_SLOT, length, SEGMENT_BASE);
	send(EXEC_SLOT, end);
	return 0;
}

/* The file that a new program starts in: its loader, or for a static one the program itself. */
static __always_inline void find_loader(struct task_struct *task, struct place *loader)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	struct mapping found = {};

	if (bpf_find_vma(task, instruction(regs), take_mapping, &found, 0))
		lose(&global.losses.mappings);
	if (found.file)
		place_of_mapping(found.file, loader);
}

static __always_inline void count_birth(void)
{
	raise_peak(&global.tasks_peak, __sync_fetch_and_add(&global.tasks, 1) + 1);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, int old_pid, struct linux_binprm *binprm)
{
	struct task_state *state = bpf_task_storage_get(&tasks, task, 0, 0);
	struct task_struct *current = bpf_get_current_task_btf();
	struct seen_key key = {.nr = EXEC_NR};
	struct place loader = {};
	__u32 id;

	if (state) {
		settle_phase(state, task);
		flush_counts(state);
	} else {
		if (!is_inside())
			return 0;
		state = bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!state) {
			lose(&global.losses.tasks);
			return 0;
		}
		count_birth();
		if (!global.namespace)
			global.namespace = (__u64)BPF_CORE_READ(task, cred, user_ns);
		if (!global.payload) {
			global.payload = task->tgid;
			pid_level = BPF_CORE_READ(task, thread_pid, level);
			see_first_limit(task);
			see_table();
		}
	}
	find_loader(current, &loader);
	key.executable = state->executable;
	id = identify(binprm, &loader, BPF_CORE_READ(task, mm, arg_start));
	state->executable = id | (state->executable & SERVING);
	key.hash = id;
	if (add(&seen, &key, 1))
		tell_stack(state->stack, OWNER_SEEN, &key, sizeof(key));
	return see_started(binprm, state->executable, call_number((struct pt_regs *)bpf_task_pt_regs(current)));
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct task_state *state = bpf_task_storage_get(&tasks, parent, 0, 0);
	struct task_state *born;

	if (!state)
		return 0;
	born = bpf_task_storage_get(&tasks, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!born) {
		lose(&global.losses.tasks);
		return 0;
	}
	born->executable = state->executable;
	count_birth();
	return 0;
}

/* A call that a filter refused. The task stands in it, so that its registers are the call's. */
static __noinline int see_refusal(struct task_struct *task, __u32 executable, __u32 nr, int error)
{
	const struct pt_regs *regs = (const struct pt_regs *)bpf_task_pt_regs(task);
	struct refusal_key key = {.executable = executable & ~SERVING, .nr = nr, .abi = abi_of(task, nr), .error = error};
	const volatile struct argument_row *row;

	if (key.abi == ABI_NATIVE && nr < SYSCALLS) {
		row = &config.arguments[row_of(nr)];
		for (int i = 0; i < ARGUMENTS; i++)
			if (i < row->count && !row->pointed)
				key.values[i] = argument(regs, row->index[i]) & row->mask[i];
	}
	add(&refusals, &key, 1);
	return 0;
}

/* A filter that kills leaves the one thread it killed for in a mode of its own; the others just end with it. */
static __always_inline void see_kill(struct task_struct *task, __u32 executable)
{
	const struct pt_regs *regs = (const struct pt_regs *)bpf_task_pt_regs(task);
	long nr = call_number(regs);

	if (task->seccomp.mode == SECCOMP_MODE_DEAD && nr >= 0)
		see_refusal(task, executable, nr, -SIGSYS);
}

/* The last thread of a process ends: of the program itself, or of one that outlived it and was killed for that. */
static __always_inline void end_process(struct task_struct *task, __u32 executable)
{
	struct seen_key key = {.nr = KILLED_NR, .executable = executable, .hash = task->tgid};

	if (task->signal->live.counter)
		return;
	if ((__u32)task->tgid == global.payload)
		global.is_over = 1;
	else if (global.is_over && (task->exit_code & 0x7f) == SIGKILL)
		add(&seen, &key, 1);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct task_state *state = bpf_task_storage_get(&tasks, task, 0, 0);

	if (state) {
		settle_phase(state, task);
		flush_counts(state);
		if (config.refusals)
			see_kill(task, state->executable);
		end_process(task, state->executable);
		see_table();
		__sync_fetch_and_add(&global.tasks, -1);
	}
	return 0;
}

/* At the end, for tasks that still live. */
SEC("iter/task")
int flush_task(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct task_state *state;

	if (!task)
		return 0;
	state = bpf_task_storage_get(&tasks, task, 0, 0);
	if (state) {
		settle_phase(state, task);
		flush_counts(state);
	}
	return 0;
}

struct sum {
	struct task_state *state;
	__u64 calls;
};

static long sum_one(__u32 nr, struct sum *sum)
{
	sum->calls += sum->state->counts[row_of(nr)];
	return 0;
}

/* While the program runs, for whoever watches: how many calls the tasks count themselves. Changes nothing. */
SEC("iter/task")
int sum_task(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct sum sum = {};

	if (!task)
		return 0;
	sum.state = bpf_task_storage_get(&tasks, task, 0, 0);
	if (!sum.state)
		return 0;
	bpf_loop(SYSCALLS, sum_one, &sum, 0);
	__sync_fetch_and_add(&global.unflushed, sum.calls);
	return 0;
}

#endif
