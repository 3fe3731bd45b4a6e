/* attack_abi int80|int80-tiocsti|x32|x86-64: makes a call by an ABI that a filter may have forgotten. Prints what it
 * answered, if it lives: getppid, which a profile does not grant, or ioctl(TIOCSTI). */
#include "attempt.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define X32_BIT 0x40000000

static long by_int80(long number, long one, long two, long three)
{
	long answer;

	__asm__ volatile("int $0x80"
			 : "=a"(answer)
			 : "a"(number), "b"(one), "c"(two), "d"(three)
			 : "memory", "r8", "r9", "r10", "r11");
	if (answer < 0 && answer > -4096) {
		errno = (int)-answer;
		return -1;
	}
	return answer;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	/* Where a 32-bit pointer can point. */
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (strcmp(mode, "int80") == 0)
		attempt(mode, by_int80(64, 0, 0, 0));
	else if (strcmp(mode, "int80-tiocsti") == 0)
		attempt(mode, by_int80(54, 0, 0x5412, (long)low));
	else if (strcmp(mode, "x32") == 0)
		attempt(mode, syscall(X32_BIT | SYS_getppid));
	else
		attempt(mode, syscall(SYS_getppid));
	return 0;
}
