/* SPDX-License-Identifier: Apache-2.0 */
/* A call's number, arguments and ABI in the saved registers. Arguments survive the call, so sys_exit can read them. */
#ifndef HARDEN_REGISTERS_H
#define HARDEN_REGISTERS_H

#include "maps.h"

/* A call number as an index: the compiler keeps its own bound in another register than the verifier looks at. */
static __always_inline __u64 row_of(__u64 nr)
{
	asm volatile("%0 &= 511" : "+r"(nr));
	return nr;
}

#if defined(__TARGET_ARCH_x86)

#define TS_COMPAT 0x2
#define X32_BIT 0x40000000u

static __always_inline long call_number(const struct pt_regs *regs)
{
	return (int)regs->orig_ax;
}

static __always_inline __u64 instruction(const struct pt_regs *regs)
{
	return regs->ip;
}

static __always_inline __u64 argument(const struct pt_regs *regs, __u8 index)
{
	switch (index) {
	case 0:
		return regs->di;
	case 1:
		return regs->si;
	case 2:
		return regs->dx;
	case 3:
		return regs->r10;
	case 4:
		return regs->r8;
	case 5:
		return regs->r9;
	default:
		return 0;
	}
}

static __always_inline __u64 stack_pointer(const struct pt_regs *regs)
{
	return regs->sp;
}

static __always_inline void take_registers(struct user_registers *to, const struct pt_regs *regs)
{
	to->instruction = regs->ip;
	to->stack = regs->sp;
	to->frame = regs->bp;
	to->base = regs->bx;
}

static __always_inline bool is_compat(const struct task_struct *task)
{
	return task->thread_info.status & TS_COMPAT;
}

#else

#define TIF_32BIT (1ul << 22)
#define X32_BIT 0u

static __always_inline long call_number(const struct pt_regs *regs)
{
	return regs->syscallno;
}

static __always_inline __u64 instruction(const struct pt_regs *regs)
{
	return regs->pc;
}

static __always_inline __u64 argument(const struct pt_regs *regs, __u8 index)
{
	switch (index) {
	case 0:
		return regs->orig_x0;
	case 1:
		return regs->regs[1];
	case 2:
		return regs->regs[2];
	case 3:
		return regs->regs[3];
	case 4:
		return regs->regs[4];
	case 5:
		return regs->regs[5];
	default:
		return 0;
	}
}

static __always_inline __u64 stack_pointer(const struct pt_regs *regs)
{
	return regs->sp;
}

/* Only what begins a chain of frame pointers. */
static __always_inline void take_registers(struct user_registers *to, const struct pt_regs *regs)
{
	to->instruction = regs->pc;
	to->stack = regs->sp;
	to->frame = regs->regs[29];
	to->base = 0;
}

static __always_inline bool is_compat(const struct task_struct *task)
{
	return task->thread_info.flags & TIF_32BIT;
}

#endif

static __always_inline enum call_abi abi_of(const struct task_struct *task, __u32 nr)
{
	if (is_compat(task))
		return ABI_COMPAT;
	return X32_BIT && nr & X32_BIT ? ABI_X32 : ABI_NATIVE;
}

#endif
