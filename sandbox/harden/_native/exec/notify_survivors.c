/* The tree of processes, by the children that the kernel lists for each thread: proc_pid_task(5). */
#include "notify_survivors.h"

#include "notify_look.h"
#include "sys.h"

#include <dirent.h>
#include <string.h>

#define MOST 65536

static pid_t found[MOST];
static int count;

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

static bool add_children_of(pid_t pid)
{
	static char entries[8192];
	int folder = look_open(pid, "task", O_RDONLY | O_DIRECTORY);
	bool listed = true;
	long got;

	if (folder < 0)
		return true; /* It is gone. */
	while (listed && (got = syscall(SYS_getdents64, folder, entries, sizeof(entries))) > 0)
		for (long at = 0; listed && at < got;) {
			const struct dirent64 *entry = (const struct dirent64 *)(const void *)(entries + at);
			char path[280];
			int fd;

			at += entry->d_reclen;
			if (entry->d_name[0] == '.')
				continue;
			strcpy(path, entry->d_name);
			strcat(path, "/children");
			fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
			if (fd >= 0) {
				add_children(fd);
				close(fd);
			} else if (faccessat(folder, entry->d_name, F_OK, 0) == 0) {
				listed = false;
			}
		}
	close(folder);
	return listed;
}

int count_descendants(pid_t of, pid_t except, bool (*is_running)(pid_t pid))
{
	int running = 0;

	count = 0;
	add(of);
	for (int i = 0; i < count; i++) {
		if (!add_children_of(found[i]))
			return -1;
		if (i && found[i] != except && is_running(found[i]))
			running++;
	}
	return running;
}
