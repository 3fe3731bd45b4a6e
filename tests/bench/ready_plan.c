/* ready_plan HARDEN-EXEC PLAN CGROUP: starts harden-exec with a plan that was encoded before, as `harden run` does: both
 * are copied into sealed memfds, and the run's cgroup is made. The plan expects the cgroup's leaf as descriptor 200 and
 * CGROUP as 201, and itself as 202. Without a C library, whose own start would be measured too (x86_64). */
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/syscall.h>

enum { LEAF = 200, BASE, PLAN };

static long call(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	if (result < 0)
		__asm__ volatile("syscall" : : "a"(SYS_exit_group), "D"(125) : "rcx", "r11", "memory");
	return result;
}

static long sealed_copy(const char *path, long flags)
{
	long memfd = call(SYS_memfd_create, (long)"bench", MFD_ALLOW_SEALING | flags, 0, 0);
	long file = call(SYS_open, (long)path, O_RDONLY | O_CLOEXEC, 0, 0);

	while (call(SYS_sendfile, memfd, file, 0, 1 << 24))
		continue;
	call(SYS_fcntl, memfd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE, 0);
	return memfd;
}

__attribute__((used)) static void run(char **stack)
{
	char *path = (char[]){ "/proc/self/fd/0" };
	const char *arguments[] = { "harden-exec", "202", 0 }, *environment[] = { 0 };
	long program = sealed_copy(stack[2], MFD_CLOEXEC), base;

	call(SYS_dup2, sealed_copy(stack[3], MFD_CLOEXEC), PLAN, 0, 0);
	base = call(SYS_open, (long)stack[4], O_RDONLY | O_DIRECTORY, 0, 0);
	call(SYS_mkdirat, base, (long)"harden-bench", 0755, 0);
	call(SYS_mkdirat, base, (long)"harden-bench/payload", 0755, 0);
	call(SYS_dup2, base, BASE, 0, 0);
	call(SYS_dup2, call(SYS_openat, base, (long)"harden-bench/payload", O_RDONLY | O_DIRECTORY, 0), LEAF, 0, 0);
	path[14] += (char)program;
	call(SYS_execve, (long)path, (long)arguments, (long)environment, 0);
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call run\n");
