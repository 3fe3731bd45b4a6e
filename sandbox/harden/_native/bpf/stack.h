/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User stacks of what is new: the registers of the call and what lies above the stack pointer, copied as they are, and
 * once per state of the address space what is executable in it. User space unwinds. A stack is evidence and no need:
 * what cannot be copied is counted, and makes no recording incomplete.
 */
#ifndef HARDEN_STACK_H
#define HARDEN_STACK_H

#include "areas.h"

#define STACK_SLOT 2
#define STACKS_PER_CALL 512 /* of one executable and call */
#define STACK_CALL (1u << 31) /* in a combination_key's nr: the call itself has its stack */
/* Beyond the numbers of calls: what is counted by itself. */
#define STACK_RING 0x10000
#define PAGE 4096
#define REGISTERS_SIZE sizeof(struct user_registers)

HASH_MAP(stacked, struct combination_key, __u64, 65536);
HASH_MAP(spaces, __u64, __u64, 65536); /* 1: user space has all of its mappings */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} user_stacks SEC(".maps");

static __always_inline bool send_evidence(struct scratch *scratch, __u32 length)
{
	__u64 wake = bpf_ringbuf_query(&user_stacks, BPF_RB_AVAIL_DATA) > (1 << 20) ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;

	if (!bpf_ringbuf_output(&user_stacks, scratch, sizeof(struct event) + bounded(length), wake))
		return 1;
	lose(&global.stack_losses.ring_full);
	return 0;
}

static __always_inline void begin_evidence(struct scratch *scratch, __u16 kind)
{
	__builtin_memset(&scratch->event, 0, sizeof(scratch->event));
	scratch->event.kind = kind;
	scratch->event.pid = bpf_get_current_pid_tgid() >> 32;
}

/* `found` is a mapping of the file at this address, if any, as far as it is known without that. */
__noinline int send_mapping(const struct mapping_text *found, __u64 address, __u64 space)
{
	struct scratch *scratch = scratch_of(STACK_SLOT);
	struct file *file = (void *)address;
	struct place place = {};
	struct mapping_text *text;
	__u32 end = sizeof(*text);
	struct vfsmount *mount;
	struct inode *inode;

	if (!scratch || !found)
		return 0;
	begin_evidence(scratch, EVENT_MAPPING);
	scratch->event.key.hash = space;
	scratch->event.length[SEGMENT_STRING] = sizeof(*text);
	text = (void *)scratch->text;
	*text = *found;
	if (file) {
		inode = BPF_CORE_READ(file, f_inode);
		text->inode = BPF_CORE_READ(inode, i_ino);
		text->size = BPF_CORE_READ(inode, i_size);
		text->device = BPF_CORE_READ(inode, i_sb, s_dev);
		place_of_mapping(file, &place);
		mount = place.mount;
		if (BPF_CORE_READ(mount, mnt_flags) & MNT_INTERNAL)
			end = copy_own_name(place.dentry, STACK_SLOT, end);
		else
			end = copy_place(&place, STACK_SLOT, end, SEGMENT_BASE);
		scratch->event.marks |= MARK_OBJECT;
	}
	send_evidence(scratch, end);
	return 0;
}

/* An executable mapping: into the hash that tells one state of them from another, and to user space if it is wanted. */
static __always_inline void see_area(struct area_walk *walk, struct vm_area_struct *area)
{
	struct mapping_text *found = &walk->found;
	__u64 file = (__u64)BPF_CORE_READ(area, vm_file);

	found->start = BPF_CORE_READ(area, vm_start);
	found->end = BPF_CORE_READ(area, vm_end);
	found->offset = BPF_CORE_READ(area, vm_pgoff);
	found->inode = found->start == walk->vdso;
	walk->hash = mix(mix(walk->hash, found->start), found->end);
	walk->hash = mix(mix(walk->hash, found->offset), file);
	if (walk->space)
		send_mapping(found, file, walk->space);
}

/* What tells one state of the executable mappings from another; 0 when they cannot be looked at. */
static __always_inline __u64 space_hash(struct area_walk *walk, struct task_struct *task)
{
	walk->hash = config.seed;
	see_areas(walk, task);
	return walk->is_whole ? walk->hash | 1 : 0;
}

/* 1 once they are sent. Another thread may change them meanwhile: then no stack is told to be of this state. */
static __always_inline __u64 send_space(struct area_walk *walk, struct task_struct *task, __u64 space)
{
	__u64 usable;

	walk->space = space;
	walk->vdso = (__u64)BPF_CORE_READ(task, mm, context.vdso);
	usable = space_hash(walk, task) == space;
	if (walk->hash == config.seed)
		bpf_map_delete_elem(&spaces, &space);
	else
		bpf_map_update_elem(&spaces, &space, &usable, BPF_ANY);
	return usable;
}

/* The number of the current state of the mappings, which are sent the first time; 0 when they cannot be looked at. */
__noinline __u64 see_space(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 hash, sending = 0, *usable;
	struct area_walk *walk = walk_of();

	if (!config.stacks || !walk)
		return 0;
	walk->space = 0;
	hash = space_hash(walk, task);
	if (!hash)
		return 0;
	if (!bpf_map_update_elem(&spaces, &hash, &sending, BPF_NOEXIST))
		return send_space(walk, task, hash) ? hash : 0;
	usable = bpf_map_lookup_elem(&spaces, &hash);
	return usable && *usable ? hash : 0;
}

/*
 * Page by page: what a function reserved and has not touched yet is not there, and reads as the zeros that it holds.
 * How many bytes.
 */
static __always_inline __u64 copy_pages(struct scratch *scratch, __u64 sp)
{
	__u64 inside = PAGE - (sp & (PAGE - 1));
	__u64 length = 0;

	if (!bpf_probe_read_user(&scratch->text[REGISTERS_SIZE], inside & (2 * PAGE - 1), (void *)sp))
		length = inside;
	for (int i = 0; i < STACK_MAX / PAGE; i++) {
		__u64 done = inside + i * PAGE;

		if (!bpf_probe_read_user(&scratch->text[bounded(REGISTERS_SIZE + done)], PAGE, (void *)(sp + done)))
			length = done + PAGE;
	}
	return length;
}

/* How many bytes of the stack at `sp`, which ends at `top` if it is the first thread's, were put behind the registers. */
static __always_inline __u32 copy_stack(struct scratch *scratch, __u64 sp, __u64 top)
{
	__u64 wanted = sp < top && top - sp < STACK_MAX ? top - sp : STACK_MAX, length;

	wanted = bounded(wanted);
	if (wanted > STACK_MAX)
		return 0;
	if (!bpf_probe_read_user(&scratch->text[REGISTERS_SIZE], wanted, (void *)sp))
		return wanted;
	length = copy_pages(scratch, sp);
	return length < wanted ? length : wanted;
}

/*
 * The same for programs in which verifying what sends mappings would take longer than it is worth: nearly always
 * something else was new in the same address space before.
 */
__noinline __u64 known_space(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct area_walk *walk = walk_of();
	__u64 hash, *usable;

	if (!config.stacks || !walk)
		return 0;
	walk->space = 0;
	hash = space_hash(walk, task);
	usable = bpf_map_lookup_elem(&spaces, &hash);
	return usable && *usable ? hash : 0;
}

/* Copy the current stack, of this address space; its number, 0 when it is not to be had. */
__noinline __u64 copy_current_stack(__u32 executable, __u32 nr, __u64 space)
{
	struct combination_key call = {.executable = executable & ~SERVING, .nr = nr};
	struct task_struct *task = bpf_get_current_task_btf();
	struct scratch *scratch = scratch_of(STACK_SLOT);
	const struct pt_regs *regs = (const struct pt_regs *)bpf_task_pt_regs(task);
	__u64 *taken, top, one = 1;
	__u32 length;

	if (!config.stacks || !scratch || is_compat(task))
		return 0;
	taken = bpf_map_lookup_elem(&stacked, &call);
	if (taken ? __sync_fetch_and_add(taken, 1) >= STACKS_PER_CALL :
		    bpf_map_update_elem(&stacked, &call, &one, BPF_ANY)) {
		lose(&global.stack_losses.limit);
		return 0;
	}
	if (!space) {
		lose(&global.stack_losses.mappings);
		return 0;
	}
	begin_evidence(scratch, EVENT_STACK);
	take_registers((void *)scratch->text, regs);
	top = BPF_CORE_READ(task, mm, start_stack);
	length = copy_stack(scratch, stack_pointer(regs), top);
	if (!length) {
		lose(&global.stack_losses.unreadable);
		return 0;
	}
	scratch->event.key.hash = __sync_fetch_and_add(&global.stacks, 1) + 1;
	scratch->event.key.anchor = space;
	scratch->event.key.mode = stack_pointer(regs) + length == top;
	scratch->event.length[SEGMENT_STRING] = REGISTERS_SIZE;
	scratch->event.length[SEGMENT_STRING2] = length;
	return send_evidence(scratch, REGISTERS_SIZE + length) ? scratch->event.key.hash : 0;
}

static __always_inline __u64 take_stack(__u32 executable, __u32 nr)
{
	return copy_current_stack(executable, nr, see_space());
}

/* Tell that `stack` is the first one of the thing with this key. */
static __always_inline void tell_stack(__u64 stack, enum stack_owner owner, const void *key, __u32 size)
{
	struct scratch *scratch = scratch_of(STACK_SLOT);

	if (!stack || !scratch)
		return;
	begin_evidence(scratch, EVENT_STACK_OWNER);
	scratch->event.key.hash = stack;
	scratch->event.key.nr = owner;
	scratch->event.length[SEGMENT_STRING] = size;
	__builtin_memcpy(scratch->text, key, size);
	send_evidence(scratch, size);
}

/*
 * A task's first call of this number: its entry is made now, and counts when the task's own counters are flushed. The
 * stack of the first one by an executable; 0 for another, or when it cannot be copied.
 */
static __noinline __u64 see_first_call(__u32 executable, __u32 nr)
{
	struct combination_key call = {.executable = executable & ~SERVING, .nr = nr | STACK_CALL};
	struct count_key key = {.executable = executable, .abi = ABI_NATIVE, .nr = nr};
	__u64 stack, one = 1;

	if (!add(&counts, &key, 0) || !config.stacks)
		return 0;
	if (bpf_map_lookup_elem(&stacked, &call) || bpf_map_update_elem(&stacked, &call, &one, BPF_NOEXIST))
		return 0;
	stack = take_stack(executable, nr);
	key.executable = call.executable;
	tell_stack(stack, OWNER_CALL, &key, sizeof(key));
	return stack;
}

#endif
