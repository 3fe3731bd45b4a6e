/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths from dentries: names from the leaf up to the root of the mount namespace, across mounts. (bpf_d_path is not
 * allowed in tracepoints.) A first walk only hashes; names are copied when the hash is new.
 */
#ifndef HARDEN_WALK_H
#define HARDEN_WALK_H

#include "maps.h"

#define AT_FDCWD -100
#define MNT_INTERNAL 0x4000
#define MNT_NS_INTERNAL -22 /* ERR_PTR(-EINVAL) */
/* A path of PATH_MAX bytes has at most half as many names; mounts on top of each other add a little. */
#define DEPTH 2100

/* An offset into the text whose bound the verifier sees, wherever the compiler kept the check. */
static __always_inline __u64 bounded(__u64 offset)
{
	asm volatile("%0 &= 16383" : "+r"(offset));
	return offset;
}

struct place {
	struct dentry *dentry;
	struct vfsmount *mount;
};

struct walk {
	struct place at;
	__u64 hash;
	__u32 slot;
	__u32 offset;
	__u32 length;
	__u32 marks;
};

static __always_inline __u64 mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ (hash >> 32);
}

/* Go from the root of a mount to the folder it is mounted on; false at the top. */
static __always_inline bool leave_mount(struct walk *walk)
{
	struct mount *mount = (void *)walk->at.mount - bpf_core_field_offset(struct mount, mnt);
	struct mount *parent = BPF_CORE_READ(mount, mnt_parent);

	if (parent == mount || !parent) {
		if (!BPF_CORE_READ(mount, mnt_ns))
			walk->marks |= MARK_DETACHED;
		return 0;
	}
	walk->at.dentry = BPF_CORE_READ(mount, mnt_mountpoint);
	walk->at.mount = (void *)parent + bpf_core_field_offset(struct mount, mnt);
	return 1;
}

/* The name at the walk's place, and one step up. 0: no name here, go on; 1: a name; -1: the end. */
static __always_inline int step(struct walk *walk, struct qstr *name)
{
	struct dentry *dentry = walk->at.dentry;
	struct vfsmount *mount = walk->at.mount;
	struct dentry *parent;

	if (dentry == BPF_CORE_READ(mount, mnt_root))
		return leave_mount(walk) ? 0 : -1;
	parent = BPF_CORE_READ(dentry, d_parent);
	if (parent == dentry || !parent) {
		walk->marks |= MARK_DETACHED;
		return -1;
	}
	BPF_CORE_READ_INTO(name, dentry, d_name);
	walk->at.dentry = parent;
	return 1;
}

static long hash_step(__u32 index, struct walk *walk)
{
	struct qstr name = {};
	int found = step(walk, &name);

	if (found > 0)
		walk->hash = mix(walk->hash, name.hash_len);
	return found < 0;
}

static long copy_step(__u32 index, struct walk *walk)
{
	struct scratch *scratch = scratch_of(walk->slot);
	struct qstr name = {};
	int found = step(walk, &name);
	__u32 offset = walk->offset;
	long length;

	if (found <= 0 || !scratch)
		return found < 0 || !scratch;
	if (offset > TEXT_MASK || walk->length > TEXT_MAX) {
		walk->marks |= MARK_TRUNCATED;
		return 1;
	}
	length = bpf_probe_read_kernel_str(&scratch->text[bounded(offset)], 256, name.name);
	if (length <= 0) {
		walk->marks |= MARK_TRUNCATED;
		return 1;
	}
	walk->offset += length;
	walk->length += length;
	return 0;
}

/* Hash of a place's path, or of nothing when it has no path. */
__noinline __u64 place_hash(struct place *place, __u64 seed, __u32 *marks)
{
	struct walk walk = {.hash = seed};
	struct vfsmount *mount;

	if (!place || !marks)
		return 0;
	walk.at = *place;
	mount = place->mount;
	if (!place->dentry || !mount || BPF_CORE_READ(mount, mnt_flags) & MNT_INTERNAL) {
		*marks |= MARK_INTERNAL;
		return 0;
	}
	bpf_loop(DEPTH, hash_step, &walk, 0);
	*marks |= walk.marks;
	return walk.hash;
}

/* Append a place's names as a segment; returns the offset behind it. */
__noinline __u32 copy_place(struct place *place, __u32 slot, __u32 offset, __u32 segment)
{
	struct walk walk = {.slot = slot, .offset = offset};
	struct scratch *scratch = scratch_of(slot);

	if (!scratch || !place || !place->dentry)
		return offset;
	walk.at = *place;
	bpf_loop(DEPTH, copy_step, &walk, 0);
	scratch->event.marks |= walk.marks;
	scratch->event.length[segment & (SEGMENTS - 1)] = walk.length;
	return walk.offset;
}

/* Append the own name of something that has no path as SEGMENT_BASE; returns the offset behind it. */
static __always_inline __u32 copy_own_name(struct dentry *dentry, __u32 slot, __u32 offset)
{
	struct scratch *scratch = scratch_of(slot);
	const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
	long length;

	if (!scratch || offset > TEXT_MASK)
		return offset;
	length = bpf_probe_read_kernel_str(&scratch->text[bounded(offset)], 256, name);
	if (length <= 0 || length > 256)
		return offset;
	scratch->event.length[SEGMENT_BASE] = length;
	return offset + length;
}

static __always_inline void place_of_file(struct file *file, struct place *place)
{
	place->dentry = BPF_CORE_READ(file, f_path.dentry);
	place->mount = BPF_CORE_READ(file, f_path.mnt);
}

/* A layer of an overlay: a private copy of a mount, unlike the kernel's own mounts (memfd) not marked as internal. */
static __always_inline bool is_layer(struct vfsmount *mount)
{
	struct mount *whole = (void *)mount - bpf_core_field_offset(struct mount, mnt);

	return (long)BPF_CORE_READ(whole, mnt_ns) == MNT_NS_INTERNAL && !(BPF_CORE_READ(mount, mnt_flags) & MNT_INTERNAL);
}

/*
 * The same for the file of a mapping: on an overlay that is the layer's file, which since Linux 6.7 keeps the path it was
 * opened by beside its own (before, it had that path itself).
 */
static __always_inline void place_of_mapping(struct file *file, struct place *place)
{
	struct backing_file *backing = (void *)file;

	place_of_file(file, place);
	if (bpf_core_field_exists(backing->user_path) && is_layer(place->mount)) {
		place->dentry = BPF_CORE_READ(backing, user_path.dentry);
		place->mount = BPF_CORE_READ(backing, user_path.mnt);
	}
}

/* Address of the struct file behind a descriptor, 0 for none. */
__noinline __u64 file_at(int fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd);
	struct file *file = NULL;

	if (fd < 0 || (__u32)fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return (__u64)file;
}

static __always_inline struct file *file_of(int fd)
{
	return (struct file *)file_at(fd);
}

/* The folder that a name is looked up from: the root, the working folder or a descriptor's. */
__noinline int place_of_base(int dirfd, int absolute, struct place *place)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);

	if (!place)
		return 0;
	if (absolute) {
		place->dentry = BPF_CORE_READ(fs, root.dentry);
		place->mount = BPF_CORE_READ(fs, root.mnt);
	} else if (dirfd == AT_FDCWD) {
		place->dentry = BPF_CORE_READ(fs, pwd.dentry);
		place->mount = BPF_CORE_READ(fs, pwd.mnt);
	} else {
		struct file *file = file_of(dirfd);

		if (!file)
			return 0;
		place_of_file(file, place);
	}
	return 1;
}

#endif
