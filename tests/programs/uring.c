/* uring FILE [poll]: opens FILE for reading through an io_uring ring (IORING_OP_OPENAT) and by no other way; with `poll` a
 * thread of the kernel takes it from the ring, and the program only waits for it. Ends with 0 when that worked, 77 where
 * the kernel has no io_uring for it. Needs: io_uring_setup, io_uring_enter, FILE read. */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct io_uring_params parameters = {0};
	struct io_uring_sqe *entries;
	struct io_uring_cqe *completions;
	unsigned int *tail, *index;
	unsigned int how = IORING_ENTER_GETEVENTS;
	int fd, polls = argc == 3;
	char *ring;

	if (argc < 2)
		return 2;
	if (polls)
		parameters.flags = IORING_SETUP_SQPOLL;
	fd = (int)syscall(SYS_io_uring_setup, 4, &parameters);
	if (fd < 0)
		return 77;
	if (!(parameters.features & IORING_FEAT_SINGLE_MMAP))
		return 77;
	ring = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	entries = mmap(NULL, 4 * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	if (ring == MAP_FAILED || entries == MAP_FAILED)
		return 1;
	memset(entries, 0, sizeof(*entries));
	entries[0].opcode = IORING_OP_OPENAT;
	entries[0].fd = AT_FDCWD;
	entries[0].addr = (uintptr_t)argv[1];
	entries[0].open_flags = O_RDONLY;
	index = (unsigned int *)(ring + parameters.sq_off.array);
	tail = (unsigned int *)(ring + parameters.sq_off.tail);
	index[0] = 0;
	__atomic_store_n(tail, 1, __ATOMIC_RELEASE);
	if (polls)
		how |= IORING_ENTER_SQ_WAKEUP; /* it sleeps when there is nothing to take */
	if (syscall(SYS_io_uring_enter, fd, !polls, 1, how, NULL, 0) != !polls)
		return 1;
	completions = (struct io_uring_cqe *)(ring + parameters.cq_off.cqes);
	return completions[0].res < 0;
}
