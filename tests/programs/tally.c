/* tally FILE: makes getppid(2) for ever and keeps count in FILE, which needs no call: successes, then ENOSYS, then other
 * errors, 64 bits each. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	volatile uint64_t *counts;
	int fd = argc == 2 ? open(argv[1], O_RDWR) : -1;

	if (fd < 0)
		return 2;
	counts = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counts == MAP_FAILED)
		return 2;
	for (;;)
		counts[syscall(SYS_getppid) >= 0 ? 0 : errno == ENOSYS ? 1 : 2]++;
}
