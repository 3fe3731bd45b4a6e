/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The most descriptors that RLIMIT_NOFILE has to allow: it bounds their numbers, so what counts is the highest number
 * that a process ever had. Calls that return a descriptor say it; after those that put some elsewhere (pipe, recvmsg)
 * the table is looked at, from the highest number known on.
 */
#ifndef HARDEN_DESCRIPTORS_H
#define HARDEN_DESCRIPTORS_H

#include "registers.h"

#define WORD_BITS 64
/* Of 64 descriptors each: fs.nr_open is at most 2^30. */
#define TABLE_WORDS (1 << 20)
#define PEAK_TRIES 8
#define RLIMIT_NOFILE 7

static __always_inline void raise_peak(__u32 *peak, __u32 value)
{
	for (int i = 0; i < PEAK_TRIES; i++) {
		__u32 known = *peak;

		if (value <= known || __sync_val_compare_and_swap(peak, known, value) == known)
			return;
	}
}

struct table_scan {
	const unsigned long *words;
	__u32 first;
	__u32 count;
	__u32 needed;
};

/* One more than the position of the highest bit: the compiler has no instruction for it here. */
static __always_inline __u32 bits_of(__u64 word)
{
	__u32 length = 0;

	for (__u32 step = WORD_BITS / 2; step; step /= 2)
		if (word >> step) {
			word >>= step;
			length += step;
		}
	return length + (word != 0);
}

static long scan_word(__u32 index, struct table_scan *scan)
{
	__u32 word = scan->first + index;
	__u64 bits = 0;

	if (word >= scan->count)
		return 1;
	bpf_probe_read_kernel(&bits, sizeof(bits), scan->words + word);
	if (bits)
		scan->needed = word * WORD_BITS + bits_of(bits);
	return 0;
}

/* The current task's table: only numbers above the highest known one matter. */
__noinline int see_table(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct table_scan scan = {.first = global.descriptors_peak / WORD_BITS};

	if (!table)
		return 0;
	scan.words = BPF_CORE_READ(table, open_fds);
	scan.count = BPF_CORE_READ(table, max_fds) / WORD_BITS;
	bpf_loop(TABLE_WORDS, scan_word, &scan, 0);
	raise_peak(&global.descriptors_peak, scan.needed);
	return 0;
}

/* The hard limit that the program started with: what it sets below is a number of its own. */
static __always_inline void see_first_limit(struct task_struct *task)
{
	global.descriptors_hard = BPF_CORE_READ(task, signal, rlim[RLIMIT_NOFILE].rlim_max);
}

/*
 * setrlimit, prlimit64: the soft limit that the process has now. Where that is the hard limit it started with, the
 * program takes what it is given, and would take less.
 */
__noinline int see_limit(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 soft = BPF_CORE_READ(task, signal, rlim[RLIMIT_NOFILE].rlim_cur);

	if (soft < global.descriptors_hard)
		raise_peak(&global.descriptors_asked, soft);
	return 0;
}

__noinline int see_descriptor_number(__u32 number)
{
	raise_peak(&global.descriptors_peak, number + 1);
	return 0;
}

/* After a call that worked. What it calls is verified once, and not for every way that leads here. */
static __always_inline void see_descriptors(const struct pt_regs *regs, long result, __u8 traits)
{
	if (traits & TRAIT_DESCRIPTOR)
		see_descriptor_number(result);
	if (traits & TRAIT_DESCRIPTORS)
		see_table();
	if (traits & TRAIT_SET_LIMIT && (__u32)argument(regs, 0) == RLIMIT_NOFILE)
		see_limit();
	if (traits & TRAIT_CHANGE_LIMIT && (__u32)argument(regs, 1) == RLIMIT_NOFILE && argument(regs, 2))
		see_limit();
}

#endif
