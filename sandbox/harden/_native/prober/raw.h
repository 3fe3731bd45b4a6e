/* System calls without a C library: the prober has to start and report under filters that allow almost nothing. */
#ifndef HARDEN_PROBER_RAW_H
#define HARDEN_PROBER_RAW_H

#include <asm/unistd.h>
#include <linux/errno.h>

/* The kernel's answer as it is: a negative errno between -4095 and -1 means failure (syscall(2)). */
long raw_syscall(long number, long a, long b, long c, long d, long e, long f);

#define RAW_CHOOSE(_1, _2, _3, _4, _5, _6, _7, NAME, ...) NAME
#define RAW_0(n) raw_syscall(n, 0, 0, 0, 0, 0, 0)
#define RAW_1(n, a) raw_syscall(n, (long)(a), 0, 0, 0, 0, 0)
#define RAW_2(n, a, b) raw_syscall(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define RAW_3(n, a, b, c) raw_syscall(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define RAW_4(n, a, b, c, d) raw_syscall(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define RAW_5(n, a, b, c, d, e) raw_syscall(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define RAW_6(n, a, b, c, d, e, f) \
	raw_syscall(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define RAW(...) RAW_CHOOSE(__VA_ARGS__, RAW_6, RAW_5, RAW_4, RAW_3, RAW_2, RAW_1, RAW_0)(__VA_ARGS__)

_Noreturn void raw_exit(int status);

#endif
