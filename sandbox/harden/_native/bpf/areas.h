/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The executable mappings of the current task, in the order of their addresses, with its address space held still: by
 * the kernel's iterator (Linux 6.7), before that along the tree that it walks, in what bpf_find_vma calls under the lock.
 */
#ifndef HARDEN_AREAS_H
#define HARDEN_AREAS_H

#include "registers.h"
#include "walk.h"

#define VM_EXEC 4
/* More than sysctl vm.max_map_count allows unless it was raised, with the gaps between them. */
#define AREAS (1 << 17)

/* lib/maple_tree.c: what the low bits of a pointer to a node say, and how far down the leaves can be. */
#define TREE_NODE_MASK 0xffull
#define TREE_IS_NODE 2
#define TREE_TAG 3
#define TREE_TYPE_SHIFT 3
#define TREE_TYPE_MASK 15
#define TREE_LEAF 1
#define TREE_ARANGE 3
#define TREE_WORDS 32
#define TREE_PIVOTS 15
#define TREE_DEPTH 16

struct bpf_iter_task_vma {
	__u64 opaque[1];
} __attribute__((aligned(8)));

extern int bpf_iter_task_vma_new(struct bpf_iter_task_vma *areas, struct task_struct *task, __u64 address) __weak __ksym;
extern struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *areas) __weak __ksym;
extern void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *areas) __weak __ksym;

/* In a map and not on the stack, which is too small for what calls this; what uses it is not interrupted by the same. */
struct area_walk {
	__u64 space; /* 0: only hash them; else send them as those of this address space */
	__u64 hash;
	__u64 vdso;
	__u64 root; /* of the tree */
	__u64 entry; /* on the way down the tree: where it is */
	__u64 next; /* the address that is looked for */
	__u64 last; /* up to which address what is found there goes */
	__u64 is_whole;
	__u64 node[TREE_WORDS];
	struct mapping_text found;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct area_walk);
} area_walks SEC(".maps");

static __always_inline struct area_walk *walk_of(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&area_walks, &first);
}

static __always_inline void see_area(struct area_walk *walk, struct vm_area_struct *area);

static __always_inline void iterate_areas(struct area_walk *walk, struct task_struct *task)
{
	struct bpf_iter_task_vma areas;
	struct vm_area_struct *area;

	walk->is_whole = !bpf_iter_task_vma_new(&areas, task, 0);
	while ((area = bpf_iter_task_vma_next(&areas)))
		if (area->vm_flags & VM_EXEC)
			see_area(walk, area);
	bpf_iter_task_vma_destroy(&areas);
}

/* One node further down, to what holds `next`: behind its parent a node has pivots, where each slot but the last ends. */
static long descend(__u32 index, void *unused)
{
	struct area_walk *walk = walk_of();
	__u64 pivots, pivot;
	__u32 type, at;

	if (!walk || bpf_probe_read_kernel(walk->node, sizeof(walk->node), (void *)(walk->entry & ~TREE_NODE_MASK)))
		return 1;
	type = (walk->entry >> TREE_TYPE_SHIFT) & TREE_TYPE_MASK;
	if (type == TREE_ARANGE)
		pivots = bpf_core_field_size(((struct maple_arange_64 *)0)->pivot) / sizeof(__u64);
	else
		pivots = bpf_core_field_size(((struct maple_range_64 *)0)->pivot) / sizeof(__u64);
	for (at = 0; at < TREE_PIVOTS && at < pivots; at++) {
		pivot = walk->node[1 + at];
		if (at && !pivot)
			break;
		if (pivot >= walk->next) {
			walk->last = pivot;
			break;
		}
	}
	walk->entry = walk->node[(1 + pivots + at) & (TREE_WORDS - 1)];
	walk->is_whole = type <= TREE_LEAF;
	return walk->is_whole;
}

static long next_area(__u32 index, void *unused)
{
	struct area_walk *walk = walk_of();
	struct vm_area_struct *area;

	if (!walk)
		return 1;
	walk->entry = walk->root;
	walk->last = -1;
	walk->is_whole = 0;
	bpf_loop(TREE_DEPTH, descend, NULL, 0);
	if (!walk->is_whole)
		return 1;
	area = (void *)walk->entry;
	if (area && !(walk->entry & TREE_TAG) && BPF_CORE_READ(area, vm_flags) & VM_EXEC)
		see_area(walk, area);
	walk->next = walk->last + 1;
	return !walk->next;
}

/* With the lock of the address space held; `area` is only one of what is in it. */
static long walk_areas(struct task_struct *task, struct vm_area_struct *area, void *unused)
{
	struct area_walk *walk = walk_of();

	if (!walk)
		return 0;
	walk->next = 0;
	walk->root = (__u64)BPF_CORE_READ(task, mm, mm_mt.ma_root);
	if ((walk->root & TREE_TAG) != TREE_IS_NODE)
		return 0;
	bpf_loop(AREAS, next_area, NULL, 0);
	walk->is_whole = walk->is_whole && !walk->next;
	return 0;
}

/*
 * For writing, as in a check that is made while the task itself changes its mappings. Only then the owner is the task and
 * nothing else (kernel/locking/rwsem.c): beside a reader is a flag, and it stays there after the last one left.
 */
static __always_inline bool holds_lock(struct task_struct *task)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);

	return bpf_core_field_exists(mm->mmap_lock.owner) && BPF_CORE_READ(mm, mmap_lock.owner.counter) == (long long)task;
}

static __always_inline void see_areas(struct area_walk *walk, struct task_struct *task)
{
	const struct pt_regs *regs = (const struct pt_regs *)bpf_task_pt_regs(task);

	walk->is_whole = 0;
	if (bpf_core_type_exists(struct bpf_iter_task_vma))
		iterate_areas(walk, task);
	else if (holds_lock(task))
		walk_areas(task, NULL, NULL);
	else
		bpf_find_vma(task, instruction(regs), walk_areas, NULL, 0);
}

#endif
