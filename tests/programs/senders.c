/* senders: sends itself one signal by every call there is for it, and one by a 32-bit call; ends with 0. Needs: kill,
 * tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_open, pidfd_send_signal, and kill of i386. The kernel sends
 * SIGPIPE, which no call of the program's is for. */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* kill is 37 there. */
static long kill_of_i386(int process, int number)
{
	long result;

	asm volatile("int $0x80" : "=a"(result) : "a"(37), "b"(process), "c"(number) : "memory");
	return result;
}

int main(void)
{
	siginfo_t queued = {.si_code = SI_QUEUE};
	int self = getpid(), pidfd, ends[2];
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	pidfd = (int)syscall(SYS_pidfd_open, self, 0);
	if (pidfd < 0 || pipe(ends) || close(ends[0]) || write(ends[1], "x", 1) != -1)
		return 1;
	return syscall(SYS_kill, self, SIGUSR1) || syscall(SYS_tkill, self, SIGUSR2) ||
	       syscall(SYS_tgkill, self, self, SIGURG) || syscall(SYS_rt_sigqueueinfo, self, SIGWINCH, &queued) ||
	       syscall(SYS_rt_tgsigqueueinfo, self, self, SIGIO, &queued) ||
	       syscall(SYS_pidfd_send_signal, pidfd, SIGHUP, NULL, 0) || kill_of_i386(self, SIGTERM);
}
