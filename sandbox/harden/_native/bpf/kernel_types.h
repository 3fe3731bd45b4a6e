/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's types as far as the recorder reads them. Offsets here mean nothing: libbpf takes the real ones from the
 * running kernel's BTF when it loads the object (CO-RE), so only names and types of the fields have to be right.
 */
#ifndef HARDEN_KERNEL_TYPES_H
#define HARDEN_KERNEL_TYPES_H

#include <linux/types.h>

/* Tells libbpf's headers that struct pt_regs below has the kernel's field names, not ptrace(2)'s. */
#define __VMLINUX_H__

/* Contexts and callbacks have the parameters that the kernel passes, whether a program needs them or not. */
#pragma clang diagnostic ignored "-Wunused-parameter"

typedef _Bool bool;
#define NULL ((void *)0)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct thread_info {
	unsigned long flags;
	__u32 status;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long bp, bx, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, sp;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 orig_x0;
	__s32 syscallno;
};

struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
};
#else
#error "the recorder knows the registers of x86 and arm64 only"
#endif

struct user_namespace {
	struct user_namespace *parent;
};

struct cred {
	struct user_namespace *user_ns;
};

struct qstr {
	union {
		__u64 hash_len;
	};
	const unsigned char *name;
};

struct super_block {
	__u32 s_dev;
};

struct inode {
	unsigned short i_mode;
	unsigned long i_ino;
	long long i_size;
	struct super_block *i_sb;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
	int mnt_flags;
};

struct mnt_namespace;

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	unsigned int f_mode;
	struct inode *f_inode;
	void *private_data;
	struct path f_path;
};

struct backing_file {
	struct file file;
	struct path user_path;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
	unsigned long *open_fds;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root;
	struct path pwd;
};

typedef struct {
	void *vdso;
} mm_context_t;

struct maple_tree {
	void *ma_root;
};

struct maple_range_64 {
	unsigned long pivot[15];
};

struct maple_arange_64 {
	unsigned long pivot[9];
};

typedef struct {
	long long counter;
} atomic64_t;

struct rw_semaphore {
	atomic64_t owner;
};

struct mm_struct {
	mm_context_t context;
	struct rw_semaphore mmap_lock;
	struct maple_tree mm_mt;
	unsigned long arg_start;
	unsigned long start_stack;
};

struct vm_area_struct {
	unsigned long vm_start, vm_end, vm_flags, vm_pgoff;
	struct file *vm_file;
};

typedef struct {
	int counter;
} atomic_t;

struct rlimit {
	unsigned long rlim_cur;
	unsigned long rlim_max;
};

struct signal_struct {
	atomic_t live;
	struct rlimit rlim[16];
};

struct seccomp {
	int mode;
};

struct pid_namespace;

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct task_struct {
	struct thread_info thread_info;
	int pid;
	int tgid;
	int exit_code;
	unsigned int flags;
	unsigned long nvcsw;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct signal_struct *signal;
	struct seccomp seccomp;
	struct mm_struct *mm;
	const struct cred *real_cred;
	const struct cred *cred;
	struct fs_struct *fs;
	struct files_struct *files;
};

struct kernel_siginfo {
	int si_code;
};

struct io_kiocb {
	__u8 opcode;
};

struct linux_binprm {
	struct file *file;
	const char *filename;
	const char *interp;
};

struct sock_common {
	unsigned short skc_family;
	__be16 skc_dport;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
};

struct socket {
	short type;
	struct sock *sk;
};

struct bpf_iter__task {
	struct task_struct *task;
};

#pragma clang attribute pop

#endif
