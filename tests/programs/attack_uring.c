/* attack_uring PATH: opens a file by io_uring, which no seccomp filter sees, and prints whether it could be. */
#include "attempt.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct io_uring_params params = { 0 };
	int ring = (int)syscall(SYS_io_uring_setup, 4, &params);
	struct io_uring_sqe *entries;
	struct io_uring_cqe *completions;
	uint32_t *array, *tail;
	char *submit, *complete;

	if (!attempt("setup", ring) || argc < 2)
		return 0;
	submit = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	complete = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	entries = mmap(NULL, 4 * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	if (submit == MAP_FAILED || complete == MAP_FAILED || entries == MAP_FAILED)
		return 1;
	*entries = (struct io_uring_sqe){ .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD,
					  .addr = (uint64_t)(uintptr_t)argv[1], .open_flags = O_RDONLY };
	array = (uint32_t *)(void *)(submit + params.sq_off.array);
	tail = (uint32_t *)(void *)(submit + params.sq_off.tail);
	array[0] = 0;
	__atomic_store_n(tail, 1, __ATOMIC_RELEASE);
	if (!attempt("enter", syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0)))
		return 0;
	completions = (struct io_uring_cqe *)(void *)(complete + params.cq_off.cqes);
	errno = completions->res < 0 ? -completions->res : 0;
	attempt("open", completions->res);
	return 0;
}
