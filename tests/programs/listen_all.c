/* listen_all PROGRAM ARGS…: runs PROGRAM in a session of this one's, and lets every call go on that a seccomp listener
 * gets, without a look at it: what user notification costs at least. Ends with the program's status. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

static void become(char **command, volatile int *listener)
{
	struct sock_filter rule = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	struct sock_fprog filter = { 1, &rule };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* No call tells its number: the first one already waits. */
	*listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
	execv(command[0], command);
	_exit(127);
}

static int is_over(int listener)
{
	struct pollfd file = { .fd = listener };

	return poll(&file, 1, 0) == 1 && file.revents & POLLHUP;
}

int main(int argc, char **argv)
{
	volatile int *number = mmap(NULL, sizeof(*number), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct seccomp_notif call;
	struct seccomp_notif_resp answer = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
	int listener, status;
	pid_t child;

	if (argc < 2 || number == MAP_FAILED)
		return 125;
	child = fork();
	if (child == 0)
		become(argv + 1, number);
	while (!*number)
		sched_yield();
	listener = (int)syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, child, 0), *number, 0);
	if (listener < 0 || ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) < 0)
		return 125;
	for (;;) {
		memset(&call, 0, sizeof(call));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) == 0) {
			answer.id = call.id;
			ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
		} else if (is_over(listener)) {
			break;
		}
	}
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
