/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder's state. Hash maps allocate on use, so that starting a recorder is quick and a small run is small. */
#ifndef HARDEN_MAPS_H
#define HARDEN_MAPS_H

#include "kernel_types.h"
#include "layout.h"

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define E2BIG 7
#define EFAULT 14
#define EBUSY 16

const volatile struct recorder_config config SEC(".rodata.config");
struct recorder_state global SEC(".data.state") = {};
struct recorder_control control SEC(".data.control") = {};
/* A socket was connected, or something sent, to a name server: only from then on answers are looked for. */
__u32 resolves SEC(".data.resolves") = 0;
/* How deep the payload's pid namespace is below the initial one. */
__u32 pid_level SEC(".data.pid_level") = 0;

/* Counters live in the task: the hot path takes no lock, no hash and no other processor's cache line. */
struct task_state {
	__u32 executable; /* its number, and SERVING */
	__u32 pending; /* a capability check between its kprobe and kretprobe: cap + 1, and marks above */
	__u64 pending_namespace;
	__u32 waiting_nr;
	__u32 unread; /* the arguments of the call under way lie in memory that is not there yet */
	__u64 waiting; /* in a call that waits for requests: voluntary context switches before it, plus 1 */
	__u64 stack; /* the number of the one that the last call with TRAIT_STACK was made with */
	__u64 entered; /* with config.refusals: the call under way got past the filters */
	__u64 counts[SYSCALLS];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_state);
} tasks SEC(".maps");

#define HASH_MAP(name, key_type, value_type, size)                                                                     \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_HASH);                                                                       \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                                                  \
		__uint(max_entries, size);                                                                             \
		__type(key, key_type);                                                                                 \
		__type(value, value_type);                                                                             \
	} name SEC(".maps")

HASH_MAP(counts, struct count_key, struct tally, 65536);
HASH_MAP(arguments, struct argument_key, struct tally, 65536);
HASH_MAP(combinations, struct combination_key, __u64, 65536);
HASH_MAP(executables, struct executable_key, __u32, 8192);
HASH_MAP(seen, struct seen_key, struct tally, 1); /* resized when it is loaded */
HASH_MAP(signals, struct signal_key, struct tally, 16384);
HASH_MAP(rings, struct ring_key, struct tally, 16384);
HASH_MAP(capabilities, struct capability_key, struct tally, 16384);
HASH_MAP(refusals, struct refusal_key, __u64, 16384);

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 2048);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 24 * sizeof(__u64));
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

#define NEWS 4

struct scratch {
	struct event event;
	__u8 text[TEXT_MASK + 1 + TEXT_MAX + 8];
	struct seen_key news[NEWS]; /* what was new in the call under way; not sent */
	__u64 news_count;
};

/*
 * Functions that are `__noinline` and not static are verified once and not once per call, which keeps loading short;
 * what they are given may be NULL for all that the verifier knows.
 */

/* For sys_exit, the exec tracepoint and stacks: what fills one is not interrupted by what fills the same. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline struct scratch *scratch_of(__u32 slot)
{
	return bpf_map_lookup_elem(&scratches, &slot);
}

static __always_inline void lose(__u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

static __always_inline void lose_update(long error)
{
	lose(error == -E2BIG ? &global.losses.map_full : &global.losses.no_memory);
}

/* The current process's number in the payload's pid namespace; 0 where it has none. */
__noinline __u32 process_number(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct pid *pid = BPF_CORE_READ(task, group_leader, thread_pid);
	__u32 number = 0, level = pid_level;
	void *at = (void *)pid + bpf_core_field_offset(struct pid, numbers);

	if (!pid || level > BPF_CORE_READ(pid, level))
		return 0;
	/* One per namespace: the compiler does not know how large one is in this kernel. */
	at += level * bpf_core_type_size(struct upid) + bpf_core_field_offset(struct upid, nr);
	bpf_probe_read_kernel(&number, sizeof(number), at);
	return number;
}

/* Add to an entry of a hash map; false where there is none. */
static __always_inline bool add_to(void *map, const void *key, __u64 amount)
{
	__u64 *count = bpf_map_lookup_elem(map, key);

	if (count)
		__sync_fetch_and_add(count, amount);
	return count;
}

/* Make an entry, or add to the one that was made meanwhile; true when this made it. */
static __always_inline bool make(void *map, const void *key, const struct tally *made)
{
	long error = bpf_map_update_elem(map, key, made, BPF_NOEXIST);

	if (!error)
		return 1;
	if (!add_to(map, key, made->count))
		lose_update(error);
	return 0;
}

/* Make an entry for something that the current process does now. */
static __always_inline bool make_now(void *map, const void *key, __u64 amount)
{
	struct tally made = {
		.count = amount,
		.first = {.time = bpf_ktime_get_ns(), .process = process_number()},
	};

	return make(map, key, &made);
}

/* Add to a counter of a hash map; true when this made the entry. */
static __always_inline bool add(void *map, const void *key, __u64 amount)
{
	return !add_to(map, key, amount) && make_now(map, key, amount);
}

#endif
