/* Program start and the one system call function, per architecture. */
#include "raw.h"

#if defined(__x86_64__)

__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	and $-16, %rsp\n"
	"	call prober_main\n"
	"	ud2\n");

long raw_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long answer;

	__asm__ volatile("syscall"
			 : "=a"(answer)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return answer;
}

#elif defined(__aarch64__)

__asm__(".globl _start\n"
	"_start:\n"
	"	mov x29, #0\n"
	"	mov x30, #0\n"
	"	bl prober_main\n"
	"	brk #0\n");

long raw_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}

#else
#error "the prober knows x86_64 and aarch64"
#endif

/* The compiler may call these two even in a freestanding program. */
__attribute__((optimize("no-tree-loop-distribute-patterns"))) void *memset(void *target, int byte, unsigned long size)
{
	unsigned char *bytes = target;

	while (size--)
		*bytes++ = (unsigned char)byte;
	return target;
}

__attribute__((optimize("no-tree-loop-distribute-patterns"))) void *memcpy(void *target, const void *source,
									   unsigned long size)
{
	unsigned char *to = target;
	const unsigned char *from = source;

	while (size--)
		*to++ = *from++;
	return target;
}

_Noreturn void raw_exit(int status)
{
	for (;;) {
		RAW(__NR_exit_group, status);
		RAW(__NR_exit, status);
	}
}
