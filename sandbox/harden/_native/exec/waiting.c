#include "waiting.h"

#include "sys.h"

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int left_ms(uint64_t deadline_ms)
{
	const uint64_t most = 1000000;
	uint64_t now = now_ms(), left = deadline_ms > now ? deadline_ms - now : 0;

	return (int)(left < most ? left : most);
}

bool came_early(int wait_ms, uint64_t since)
{
	return wait_ms < 0 || now_ms() + 1 < since + (uint64_t)wait_ms;
}

static bool one_has_changed(pid_t pid, int how)
{
	siginfo_t found = { 0 };

	return waitid(P_PID, (id_t)pid, &found, how | WNOHANG | WNOWAIT | __WALL) == 0 && found.si_pid;
}

bool has_changed(pid_t init, pid_t payload)
{
	/* Anybody may stop init for a while, which is nothing to wait for. */
	return one_has_changed(init, WEXITED) || (payload && one_has_changed(payload, WEXITED | WSTOPPED));
}

int seize(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC) < 0)
		return -1;
	/* Who is traced already cannot be traced once more. */
	return ptrace(PTRACE_SEIZE, pid, NULL, 0) == 0 ? not_done() : 0;
}

int release(pid_t pid)
{
	if (ptrace(PTRACE_DETACH, pid, NULL, 0) < 0)
		return -1;
	return ptrace(PTRACE_DETACH, pid, NULL, 0) == 0 ? not_done() : 0;
}
