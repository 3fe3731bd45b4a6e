/* Reading a process whose call waits for an answer: process_vm_readv(2), proc(5). */
#include "notify_look.h"

#include "sys.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/* Of a task's flags: linux/sched.h in the kernel. */
#define PF_EXITING 0x4
#define PF_SIGNALED 0x400

static int proc_fd = -1;
bool (*look_is_valid)(uint64_t id);

bool look_prepare(void)
{
	proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return proc_fd >= 0;
}

/* TID/WHAT or TID/WHAT/NUMBER */
static void proc_path(char *to, pid_t tid, const char *what, int number)
{
	struct {
		uint64_t value;
		bool is_used;
	} numbers[] = { { (uint64_t)tid, true }, { (uint64_t)(unsigned)number, number >= 0 } };

	for (unsigned i = 0; i < 2; i++) {
		char digits[24], *at = digits + sizeof(digits);

		if (!numbers[i].is_used)
			break;
		if (i) {
			*to++ = '/';
		}
		do
			*--at = (char)('0' + numbers[i].value % 10);
		while (numbers[i].value /= 10);
		memcpy(to, at, (size_t)(digits + sizeof(digits) - at));
		to += digits + sizeof(digits) - at;
		if (i == 0) {
			*to++ = '/';
			memcpy(to, what, strlen(what));
			to += strlen(what);
		}
	}
	*to = 0;
}

static bool unreadable(const struct waiting *call)
{
	/* EFAULT: the program's own pointer is bad, and the kernel will tell it so. One that is gone made no call. */
	if (errno != EFAULT && look_is_valid(call->id))
		notify_table->header.losses.unreadable++;
	return false;
}

bool look_bytes(const struct waiting *call, uint64_t address, void *to, size_t length)
{
	struct iovec here = { to, length }, there = { (void *)(uintptr_t)address, length };
	ssize_t got = process_vm_readv(call->tid, &here, 1, &there, 1, 0);

	if (got == (ssize_t)length)
		return true;
	if (got >= 0)
		errno = EFAULT;
	return unreadable(call);
}

ssize_t look_string(const struct waiting *call, uint64_t address, char *to)
{
	size_t length = 0;

	while (length < PATH_MAX) {
		size_t piece = 4096 - (address + length) % 4096;
		struct iovec here = { to + length, 0 }, there = { (void *)(uintptr_t)(address + length), 0 };
		const char *end;
		ssize_t got;

		/* Most names are short: less than a page is copied. */
		if (piece > 256 && length == 0)
			piece = 256;
		if (piece > PATH_MAX - length)
			piece = PATH_MAX - length;
		here.iov_len = there.iov_len = piece;
		got = process_vm_readv(call->tid, &here, 1, &there, 1, 0);
		if (got <= 0) {
			unreadable(call);
			return -1;
		}
		end = memchr(to + length, 0, (size_t)got);
		if (end)
			return end - to;
		length += (size_t)got;
	}
	/* ENAMETOOLONG: no call takes it (path_resolution(7)). */
	return -1;
}

static ssize_t without_deleted(char *to, ssize_t length)
{
	static const char DELETED[] = " (deleted)";
	const size_t size = sizeof(DELETED) - 1;

	if (length > (ssize_t)size && memcmp(to + length - size, DELETED, size) == 0)
		length -= (ssize_t)size;
	to[length] = 0;
	return length;
}

static ssize_t read_link(const char *path, char *to)
{
	ssize_t length = readlinkat(proc_fd, path, to, PATH_MAX);

	if (length < 0 && errno == ENAMETOOLONG)
		notify_table->header.losses.truncated++;
	return length < 0 ? -1 : without_deleted(to, length);
}

ssize_t look_link(pid_t tid, const char *what, char *to)
{
	char path[64];

	proc_path(path, tid, what, -1);
	return read_link(path, to);
}

ssize_t look_descriptor(pid_t tid, int fd, char *to)
{
	char path[64];

	if (fd < 0)
		return -1;
	proc_path(path, tid, "fd", fd);
	return read_link(path, to);
}

bool look_status(pid_t tid, int fd, struct stat *status)
{
	char path[64];

	if (fd < 0)
		return false;
	proc_path(path, tid, "fd", fd);
	return fstatat(proc_fd, path, status, 0) == 0;
}

bool look_is_pathless(const char *text, const struct stat *status)
{
	/* A memfd and its like look like files of the root that were deleted. */
	return text[0] != '/' || (status->st_nlink == 0 && !strchr(text + 1, '/'));
}

bool look_stat(pid_t tid, const char *what, struct stat *status)
{
	char path[64];

	proc_path(path, tid, what, -1);
	return fstatat(proc_fd, path, status, 0) == 0;
}

int look_open(pid_t tid, const char *what, int flags)
{
	char path[64];

	proc_path(path, tid, what, -1);
	return openat(proc_fd, path, flags | O_CLOEXEC);
}

ssize_t look_file(pid_t tid, const char *what, void *to, size_t size)
{
	int fd = look_open(tid, what, O_RDONLY);
	ssize_t got;

	if (fd < 0)
		return -1;
	got = read(fd, to, size);
	close(fd);
	return got;
}

/* The number behind `name` in /proc/TID/status. */
static const char *status_field(pid_t tid, char *text, size_t size, const char *name)
{
	ssize_t length = look_file(tid, "status", text, size - 1);
	const char *at;

	if (length <= 0)
		return NULL;
	text[length] = 0;
	at = strstr(text, name);
	return at ? at + strlen(name) : NULL;
}

static pid_t number_at(const char *at)
{
	pid_t number = 0;

	while (at && *at >= '0' && *at <= '9')
		number = number * 10 + (*at++ - '0');
	return number;
}

/* In a line of numbers, each behind a tab. */
static const char *next_number(const char *at)
{
	return at + 1 + strspn(at + 1, "0123456789");
}

/*
 * Of the numbers that a process has, one per pid namespace from ours on, the one in the sandbox's: the last of the first
 * process that is looked at, which is the payload.
 */
static uint32_t number_inside(const char *at)
{
	static unsigned depth;
	uint32_t number = 0;
	unsigned count = 0;

	for (; at && *at == '\t' && (!depth || count < depth); at += strspn(at, "0123456789")) {
		number = (uint32_t)number_at(++at);
		count++;
	}
	if (!depth)
		depth = count;
	return count == depth ? number : 0;
}

pid_t look_group(pid_t tid, uint32_t *inside)
{
	static const char OWN[] = "\nNStgid:";
	char text[4096];
	const char *at = status_field(tid, text, sizeof(text), "\nTgid:\t"), *numbers;

	if (inside) {
		numbers = at ? strstr(at, OWN) : NULL;
		*inside = numbers ? number_inside(numbers + strlen(OWN)) : 0;
	}
	return number_at(at);
}

pid_t look_parent(pid_t tid)
{
	char text[1024];

	return number_at(status_field(tid, text, sizeof(text), "\nPPid:\t"));
}

uint32_t look_threads(pid_t tid)
{
	char text[4096];

	return (uint32_t)number_at(status_field(tid, text, sizeof(text), "\nThreads:\t"));
}

const char *look_own_number(pid_t tid, char *text, size_t size)
{
	const char *at = status_field(tid, text, size, "\nNStgid:"), *last = NULL;
	char *end;

	for (; at && *at == '\t'; at += strspn(at, "0123456789"))
		last = ++at;
	if (!last)
		return NULL;
	end = text + (last - text) + strspn(last, "0123456789");
	*end = 0;
	return last;
}

/* Whether `numbers` begins as the line "NStgid:" of NUMBER/status does, from the process space of `proc` on. */
static bool is_numbered(int proc, const char *number, const char *numbers)
{
	static struct text name;
	char text[4096];
	const char *found;
	ssize_t got;
	int fd;

	text_begin(&name);
	text_add(&name, number);
	text_add(&name, "/status");
	fd = openat(proc, text_string(&name), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[got > 0 ? got : 0] = 0;
	found = strstr(text, "\nNStgid:");
	return found && strncmp(found + strlen("\nNStgid:"), numbers, strcspn(numbers, "\n") + 1) == 0;
}

/* A process has a number in each of the pid namespaces that see it: which of them this is, the numbers below tell. */
ssize_t look_self(pid_t tid, int proc, bool is_thread, char *to)
{
	static struct text link;
	char text[4096];
	const char *groups = status_field(tid, text, sizeof(text), "\nNStgid:");
	const char *tasks = groups ? strstr(groups, "\nNSpid:") : NULL;

	tasks = tasks ? tasks + strlen("\nNSpid:") : NULL;
	for (; tasks && *groups == '\t' && *tasks == '\t'; groups = next_number(groups), tasks = next_number(tasks)) {
		text_begin(&link);
		text_number(&link, number_at(groups + 1));
		if (!is_numbered(proc, text_string(&link), groups))
			continue;
		if (is_thread) {
			text_add(&link, "/task/");
			text_number(&link, number_at(tasks + 1));
		}
		memcpy(to, text_string(&link), link.length + 1);
		return (ssize_t)link.length;
	}
	errno = ESRCH;
	return -1;
}

bool look_is_alive(pid_t tid)
{
	char text[1024];
	const char *at = status_field(tid, text, sizeof(text), "\nState:\t");

	return at && *at != 'Z' && *at != 'X';
}

/* Field `number` of /proc/TID/stat, counted as in proc_pid_stat(5), from the state on, which is the third. */
static unsigned long stat_field(const char *state, int number)
{
	for (; number > 3 && state; number--)
		state = strchr(state + 1, ' ');
	return state ? strtoul(state, NULL, 10) : 0;
}

/* A signal that ends a process is SIGKILL for each of its threads, until that takes it (complete_signal() in
 * kernel/signal.c). */
enum life look_life(pid_t tid)
{
	char text[1024];
	ssize_t length = look_file(tid, "stat", text, sizeof(text) - 1);
	const char *state;

	if (length <= 0)
		return LIFE_OVER;
	text[length] = 0;
	state = strrchr(text, ')');
	if (!state || strchr("ZXx", state[2]))
		return LIFE_OVER;
	if (stat_field(state + 2, 31) & 1UL << (SIGKILL - 1) || stat_field(state + 2, 9) & (PF_EXITING | PF_SIGNALED))
		return LIFE_ENDS;
	return LIFE_RUNS;
}

static uint64_t hexadecimal(const char **at)
{
	uint64_t number = 0;

	for (;; ++*at) {
		char c = **at;

		if (c >= '0' && c <= '9')
			number = number << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			number = number << 4 | (uint64_t)(c - 'a' + 10);
		else
			return number;
	}
}

/* The path of one line of /proc/TID/maps if it covers the address; -1 if it does not. */
static ssize_t path_in_line(const char *line, size_t length, uint64_t address, char *to)
{
	const char *at = line, *slash = memchr(line, '/', length);
	uint64_t first = hexadecimal(&at), last;

	at++;
	last = hexadecimal(&at);
	if (address < first || address >= last)
		return -1;
	if (!slash)
		return 0;
	length -= (size_t)(slash - line);
	memcpy(to, slash, length);
	return without_deleted(to, (ssize_t)length);
}

ssize_t look_mapping(pid_t tid, uint64_t address, char *to)
{
	static char buffer[2 * NOTIFY_PATH];
	int fd = look_open(tid, "maps", O_RDONLY);
	ssize_t got, found = -1;
	size_t held = 0;

	if (fd < 0)
		return -1;
	while (found < 0 && (got = read(fd, buffer + held, sizeof(buffer) - held)) > 0) {
		char *line = buffer, *end;

		held += (size_t)got;
		while (found < 0 && (end = memchr(line, '\n', (size_t)(buffer + held - line)))) {
			if (end - line < NOTIFY_PATH)
				found = path_in_line(line, (size_t)(end - line), address, to);
			line = end + 1;
		}
		held = (size_t)(buffer + held - line);
		memmove(buffer, line, held);
	}
	close(fd);
	return found;
}
