/* SPDX-License-Identifier: Apache-2.0 */
/* Strings of the program, and sending what is new. */
#ifndef HARDEN_TEXT_H
#define HARDEN_TEXT_H

#include "stack.h"

#define CALL_SLOT 0

struct hashing {
	__u64 hash;
	__u32 slot;
	__u32 offset;
	__u32 length;
};

static long hash_word(__u32 index, struct hashing *state)
{
	struct scratch *scratch = scratch_of(state->slot);
	__u32 offset = state->offset + index * 8;

	if (!scratch || index * 8 >= state->length || offset > TEXT_MASK + TEXT_MAX)
		return 1;
	state->hash = mix(state->hash, *(__u64 *)&scratch->text[offset]);
	return 0;
}

/* Hash of `length` bytes at `offset`, which are followed by eight zero bytes. */
__noinline __u64 text_hash(__u32 slot, __u32 offset, __u32 length, __u64 seed)
{
	struct hashing state = {.hash = mix(seed, length), .slot = slot, .offset = offset, .length = length};

	bpf_loop(TEXT_MAX / 8 + 1, hash_word, &state, 0);
	return state.hash;
}

/* Note a string's length, and zero the eight bytes after it for text_hash. */
static __always_inline long end_string(struct scratch *scratch, __u32 offset, __u32 length, __u32 segment)
{
	__u32 end = offset + length;

	if (end <= TEXT_MASK + TEXT_MAX)
		__builtin_memset(&scratch->text[end], 0, 8);
	scratch->event.length[segment & (SEGMENTS - 1)] = length;
	return length;
}

/*
 * Append a user's string as a segment, without its NUL. Returns its length, or a
 * negative errno. The kernel has read the same string in the call that just ended, so its pages are present.
 */
__noinline long copy_user_string(__u64 address, __u32 slot, __u32 offset, __u32 segment)
{
	struct scratch *scratch = scratch_of(slot);
	long length;

	if (!scratch || offset > TEXT_MASK )
		return -E2BIG;
	length = bpf_probe_read_user_str(&scratch->text[bounded(offset)], TEXT_MAX, (void *)address);
	if (length < 0 || length > TEXT_MAX)
		return -EFAULT;
	/* Counts the NUL, except (Linux 6.1) that of an empty string. */
	return end_string(scratch, offset, length ? length - 1 : 0, segment);
}

__noinline long copy_kernel_string(__u64 address, __u32 slot, __u32 offset, __u32 segment)
{
	struct scratch *scratch = scratch_of(slot);
	long length;

	if (!scratch || offset > TEXT_MASK )
		return -E2BIG;
	length = bpf_probe_read_kernel_str(&scratch->text[bounded(offset)], TEXT_MAX, (void *)address);
	if (length <= 0 || length > TEXT_MAX)
		return -EFAULT;
	return end_string(scratch, offset, length - 1, segment);
}

static __always_inline void clear_event(struct scratch *scratch)
{
	__builtin_memset(&scratch->event, 0, sizeof(scratch->event));
}

/* For the end of the call, which has one stack for all that was new in it. */
static __always_inline void keep_news(struct scratch *scratch)
{
	__u64 index = scratch->news_count;

	if (index < NEWS) {
		scratch->news[index] = scratch->event.key;
		scratch->news_count = index + 1;
	} else if (config.stacks) {
		lose(&global.stack_losses.limit);
	}
}

/* Send the scratch's event with `length` bytes of text; false when it was lost. */
__noinline int send(__u32 slot, __u32 length)
{
	struct scratch *scratch = scratch_of(slot);
	/* Without a wake-up per event the reader, which looks every few milliseconds, costs the program nothing. */
	__u64 wake = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > (1 << 20) ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
	__u64 size = sizeof(struct event) + length;

	if (!scratch)
		return 0;
	if (size > sizeof(struct scratch))
		size = sizeof(struct scratch);
	if (scratch->event.marks & MARK_TRUNCATED)
		lose(&global.losses.truncated);
	scratch->event.pid = bpf_get_current_pid_tgid() >> 32;
	if (bpf_ringbuf_output(&events, scratch, size, wake)) {
		lose(&global.losses.ring_full);
		return 0;
	}
	if (slot == CALL_SLOT)
		keep_news(scratch);
	return 1;
}

/* Count the scratch's key; true when it is new and its event has to be sent. */
__noinline int is_new(__u32 slot)
{
	struct scratch *scratch = scratch_of(slot);

	if (!scratch)
		return 0;
	return add(&seen, &scratch->event.key, 1);
}

#endif
