#include "become.h"

#include "controllers.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#endif
#define SEALS 0xf /* F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE */

/* As in harden.kernel.idmap. */
#define IDS "/run/harden/ids"
enum { IDS_FIRST = 1879048192, IDS_COUNT = 4094, IDS_PER_SANDBOX = 65536 };
enum { TOKEN = 12 }; /* letters */

/* The run's cgroup, for as long as harden-exec does not remove it. */
struct made {
	int base;
	char paths[3][64]; /* each below the one before */
	unsigned count;
};

static bool put_at(struct entry *entry, size_t at, const void *value, size_t size)
{
	if (at > entry->plan_size || size > entry->plan_size - at)
		return false;
	memcpy(entry->plan + at, value, size);
	return true;
}

static bool put(struct entry *entry, enum places kind, const void *value, size_t size)
{
	for (size_t i = 0; i < entry->place_count[kind]; i++)
		if (!put_at(entry, entry->places[kind][i], value, size))
			return false;
	return true;
}

/* Pairs: where, and how far above the first id. */
static bool put_owners(struct entry *entry, uint64_t first)
{
	const size_t *at = entry->places[PLACES_OWNERS];

	for (size_t i = 0; i + 1 < entry->place_count[PLACES_OWNERS]; i += 2) {
		uint64_t id = first + at[i + 1];

		if (!put_at(entry, at[i], &id, sizeof(id)))
			return false;
	}
	return true;
}

static bool random_bytes(void *out, size_t size)
{
	return getrandom(out, size, 0) == (ssize_t)size;
}

/* For harden-exec; should it not start, Python's children must not have them. */
static struct {
	int fds[4]; /* plan, lock, and two of the cgroup */
	unsigned count;
} inherited;

static bool is_inherited(int fd)
{
	inherited.fds[inherited.count++] = fd;
	return fcntl(fd, F_SETFD, 0) == 0;
}

static int sealed_program(const char *path)
{
	int copy = memfd_create("harden-exec", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	int source = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t sent = -1;

	if (copy >= 0 && source >= 0)
		do
			sent = sendfile(copy, source, NULL, 1 << 24);
		while (sent > 0);
	close(source);
	return sent == 0 && fcntl(copy, F_ADD_SEALS, SEALS) == 0 ? copy : -1;
}

static int sealed_plan(const struct entry *entry)
{
	int copy = memfd_create("plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (copy < 0 || write(copy, entry->plan, entry->plan_size) != (ssize_t)entry->plan_size)
		return -1;
	return fcntl(copy, F_ADD_SEALS, SEALS) == 0 && is_inherited(copy) ? copy : -1;
}

/* Where the file can be locked once more flock(2) only says that it locks: Python names it. */
static bool is_locked(const char *path)
{
	int again = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	bool refused = again >= 0 && flock(again, LOCK_EX | LOCK_NB) < 0;

	close(again);
	return refused;
}

/* A range of ids that no other sandbox has: the lock lives as long as a process has it open. */
static bool claim_ids(struct entry *entry)
{
	uint64_t start;

	if (!random_bytes(&start, sizeof(start)))
		return false;
	for (unsigned i = 0; i < IDS_COUNT; i++) {
		unsigned index = (unsigned)((start % IDS_COUNT + i) % IDS_COUNT);
		char path[64], first[24];
		int lock;

		snprintf(path, sizeof(path), IDS "/%u", index);
		lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (lock < 0)
			return false;
		if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
			close(lock);
			continue;
		}
		snprintf(first, sizeof(first), "%lld", IDS_FIRST + (long long)index * IDS_PER_SANDBOX);
		return is_locked(path) && is_inherited(lock) && put(entry, PLACES_FIRST_IDS, first, strlen(first)) &&
		       put_owners(entry, IDS_FIRST + (uint64_t)index * IDS_PER_SANDBOX);
	}
	return false;
}

static bool is_usable(const struct entry *entry, const uint32_t half[2])
{
	return half[0] && half[1] && half[0] != half[1] && !memmem(entry->plan, entry->plan_size, &half[0], 4) &&
	       !memmem(entry->plan, entry->plan_size, &half[1], 4);
}

/* 64 random bits of which neither half is in the plan already: no other constant is mistaken for one. */
static bool draw_cookie(struct entry *entry)
{
	uint32_t half[2];

	do
		if (!random_bytes(half, sizeof(half)))
			return false;
	while (!is_usable(entry, half));
	return put(entry, PLACES_COOKIE, half, sizeof(half)) && put(entry, PLACES_LOW, &half[0], 4) &&
	       put(entry, PLACES_HIGH, &half[1], 4);
}

/* When this process began, in the words of proc(5): field 22, the 20th after the name. */
static bool time_of_start(char *out, size_t size)
{
	char line[1024], *at;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

	close(fd);
	if (got < 0)
		return false;
	line[got] = 0;
	at = strrchr(line, ')');
	for (unsigned field = 0; at && field < 20; field++)
		at = strchr(at + 1, ' ');
	if (!at || strcspn(at + 1, " ") >= size)
		return false;
	snprintf(out, size, "%.*s", (int)strcspn(at + 1, " "), at + 1);
	return true;
}

/* The mark of harden.kernel.cgroup_owner, by which a cgroup that nobody removed is known. */
static bool mark_owner(int payload)
{
	struct stat namespace;
	char started[24], mark[96];

	if (stat("/proc/self/ns/pid", &namespace) < 0 || !time_of_start(started, sizeof(started)))
		return false;
	snprintf(mark, sizeof(mark), "%llu %d %s", (unsigned long long)namespace.st_ino, (int)getpid(), started);
	return fsetxattr(payload, "user.harden.owner", mark, strlen(mark), 0) == 0;
}

static bool make_cgroup(struct entry *entry, struct made *made)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
	unsigned char random[TOKEN / 2];
	char token[TOKEN + 1];
	int32_t fds[2];

	if (entry->place_count[PLACES_FDS] != 2 || !random_bytes(random, sizeof(random)))
		return false;
	for (unsigned i = 0; i < sizeof(random); i++)
		snprintf(token + 2 * i, 3, "%02x", random[i]);
	made->base = open(entry->cgroup, flags);
	snprintf(made->paths[0], sizeof(made->paths[0]), "harden-%s", token);
	snprintf(made->paths[1], sizeof(made->paths[1]), "harden-%s/limited", token);
	snprintf(made->paths[2], sizeof(made->paths[2]), "harden-%s/limited/payload", token);
	for (; made->count < 3; made->count++)
		if (made->base < 0 || mkdirat(made->base, made->paths[made->count], 0755) < 0)
			return false;
	fds[0] = openat(made->base, made->paths[2], flags);
	fds[1] = made->base;
	for (unsigned i = 0; i < 2; i++)
		if (fds[i] < 0 || !is_inherited(fds[i]) ||
		    !put_at(entry, entry->places[PLACES_FDS][i], &fds[i], sizeof(*fds)))
			return false;
	if (!mark_owner(fds[0]))
		return false;
	return put(entry, PLACES_CGROUP_NAMES, token, TOKEN);
}

static bool has_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return false;
	return true;
}

static bool prepare(struct entry *entry, struct made *made)
{
	if (entry->place_count[PLACES_FIRST_IDS] && !claim_ids(entry))
		return false;
	if (entry->place_count[PLACES_COOKIE] && !draw_cookie(entry))
		return false;
	if (entry->cgroup[0] && !make_cgroup(entry, made))
		return false;
	return !entry->controllers[0] || pass_controllers_on(made->base, made->paths[0], entry->controllers);
}

void become_harden_exec(struct entry *entry, pid_t parent)
{
	char number[12], starter[12], *environment[] = { NULL };
	char *arguments[] = { (char[]){ "harden-exec" }, number, starter, NULL };
	struct made made = { .base = -1 };
	size_t said = strlen(entry->notes);
	int program = has_standard_streams() ? sealed_program(entry->program) : -1, plan;

	if (program >= 0 && prepare(entry, &made) && (plan = sealed_plan(entry)) >= 0 &&
	    write(STDERR_FILENO, entry->notes, said) == (ssize_t)said) {
		snprintf(number, sizeof(number), "%d", plan);
		snprintf(starter, sizeof(starter), "%d", (int)parent);
		syscall(SYS_execveat, program, "", arguments, environment, AT_EMPTY_PATH);
	}
	while (made.count)
		unlinkat(made.base, made.paths[--made.count], AT_REMOVEDIR);
	while (inherited.count)
		close(inherited.fds[--inherited.count]);
}
