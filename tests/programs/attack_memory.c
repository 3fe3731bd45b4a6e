/* attack_memory fill PATH | core | stall: fills a file until the file system is full and prints how many KiB it took;
 * wants core files and dies; or asks for what makes the kernel wait for a program (userfaultfd, FUSE). */
#include "attempt.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fill(const char *path)
{
	static char block[65536];
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	unsigned long bytes = 0;
	ssize_t got = 0;

	if (!attempt("open", fd))
		return 0;
	memset(block, 1, sizeof(block));
	while (bytes < 1UL << 30 && (got = write(fd, block, sizeof(block))) > 0)
		bytes += (unsigned long)got;
	attempt("endless", got);
	printf("kib %lu\n", bytes >> 10);
	return unlink(path);
}

static int dump(void)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	attempt("raise", setrlimit(RLIMIT_CORE, &limit));
	limit.rlim_cur = limit.rlim_max = 1UL << 20;
	attempt("raise-less", syscall(SYS_prlimit64, 0, RLIMIT_CORE, &limit, NULL));
	prctl(PR_SET_DUMPABLE, 1);
	abort();
}

static int stall(void)
{
	attempt("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC));
	attempt("userfaultfd-user", syscall(SYS_userfaultfd, O_CLOEXEC | 1));
	attempt("fuse", open("/dev/fuse", O_RDWR));
	attempt("mount-fuse", mount("x", "/tmp", "fuse", 0, "fd=0,rootmode=40000,user_id=0,group_id=0"));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3)
		return fill(argv[2]);
	return argc == 2 && strcmp(argv[1], "core") == 0 ? dump() : stall();
}
