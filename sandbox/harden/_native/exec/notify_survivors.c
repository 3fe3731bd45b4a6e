/* The tree of processes, by the children that the kernel lists for each thread: proc_pid_task(5). */
#include "notify_survivors.h"

#include "process_check.h"
#include "sys.h"
#include "waiting.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define MOST 65536
#define PATIENCE_MS 10000

static pid_t found[MOST];
static int count;
static int64_t filters; /* of the program */

static void add(pid_t pid)
{
	if (pid && count < MOST)
		found[count++] = pid;
}

/* Numbers with a space behind each. */
static void add_children(int fd)
{
	char text[4096];
	pid_t number = 0;
	ssize_t got;

	while ((got = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < got; i++) {
			if (text[i] >= '0' && text[i] <= '9') {
				number = number * 10 + (text[i] - '0');
				continue;
			}
			add(number);
			number = 0;
		}
	add(number);
}

/* Of one thread, by its entry in the folder; false where the kernel does not list them. */
static bool add_children_of(int folder, const char *tid)
{
	char path[280];
	int fd;

	strcpy(path, tid);
	strcat(path, "/children");
	fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return faccessat(folder, tid, F_OK, 0) < 0;
	add_children(fd);
	close(fd);
	return true;
}

/* The children of a process, and how far its longest-lived thread is; false where the kernel does not list them. */
static bool visit(pid_t pid, enum life (*life_of)(pid_t pid, pid_t tid), enum life *life)
{
	static char entries[8192];
	int folder = look_open(pid, "task", O_RDONLY | O_DIRECTORY);
	bool listed = true;
	long got;

	/* One that is gone was there when its parent was visited. */
	*life = folder < 0 ? LIFE_ENDS : LIFE_OVER;
	if (folder < 0)
		return true;
	while (listed && (got = syscall(SYS_getdents64, folder, entries, sizeof(entries))) > 0)
		for (long at = 0; listed && at < got;) {
			const struct dirent64 *entry = (const struct dirent64 *)(const void *)(entries + at);
			enum life threads;

			at += entry->d_reclen;
			if (entry->d_name[0] == '.')
				continue;
			listed = add_children_of(folder, entry->d_name);
			threads = life_of(pid, (pid_t)strtol(entry->d_name, NULL, 10));
			if (threads > *life)
				*life = threads;
		}
	close(folder);
	return listed;
}

static int64_t filters_of(pid_t pid)
{
	static char text[8192];
	ssize_t length = look_file(pid, "status", text, sizeof(text) - 1);

	text[length < 0 ? 0 : length] = 0;
	return status_number(text, "Seccomp_filters");
}

/* A command that a scenario ran beside the program, and what that left running, are not under the recorder's filter. */
static bool is_recorded(pid_t pid)
{
	int64_t own = filters_of(pid);

	/* Linux says so since 5.9; of who is not known, too many are counted rather than too few. */
	return own < 0 || own >= filters;
}

/* One look at all of them: how many run, or -1; `ends` becomes one that does not any more and is not over, or 0. */
static int walk(pid_t of, pid_t except, enum life (*life_of)(pid_t pid, pid_t tid), pid_t *ends)
{
	enum life life;
	int running = 0;

	*ends = 0;
	count = 0;
	add(of);
	for (int i = 0; i < count; i++) {
		if (!visit(found[i], life_of, &life))
			return -1;
		if (i == 0 || found[i] == except)
			continue;
		if (life == LIFE_RUNS && is_recorded(found[i]))
			running++;
		if (life == LIFE_ENDS)
			*ends = found[i];
	}
	return running;
}

/* Until it is over; false when that takes too long, or the recording ends (notify_end). */
static bool wait_for(pid_t pid, uint64_t until_ms)
{
	struct pollfd file = { .events = POLLIN };
	int left = left_ms(until_ms);
	bool is_over;

	if (!left)
		return false;
	file.fd = sys_pidfd_open(pid);
	if (file.fd < 0)
		return errno == ESRCH;
	is_over = poll(&file, 1, left) == 1;
	close(file.fd);
	return is_over;
}

int count_descendants(pid_t of, pid_t except, enum life (*life_of)(pid_t pid, pid_t tid))
{
	uint64_t until_ms = now_ms() + PATIENCE_MS;
	int running = 0, calm = 0;
	pid_t ends;

	filters = filters_of(except);
	/* Twice: what the first look found to be over may have ended, and left its children, after that began. */
	while (calm < 2) {
		running = walk(of, except, life_of, &ends);
		if (running < 0 || (ends && !wait_for(ends, until_ms)))
			return -1;
		calm = ends ? 0 : calm + 1;
	}
	return running;
}
