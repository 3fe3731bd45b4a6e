#include "entry.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define MAGIC "HRDNCCH4"
#define FOLDER "harden/plans"
enum { HEAD = 16, LARGEST = 4 << 20 };

struct words {
	char **at;
	size_t count;
};

/* A number in decimal and nothing else. */
static bool number_of(const char *word, size_t most, size_t *number)
{
	*number = 0;
	if (!*word)
		return false;
	for (; *word; word++) {
		if (*word < '0' || *word > '9')
			return false;
		*number = *number * 10 + (size_t)(*word - '0');
		if (*number > most)
			return false;
	}
	return true;
}

static bool is_of_key(const char *line)
{
	static const char STARTS[][12] = { "Uid:", "Gid:", "Groups:", "NoNewPrivs:", "Seccomp", "Cap" };

	for (size_t i = 0; i < sizeof(STARTS) / sizeof(*STARTS); i++)
		if (strncmp(line, STARTS[i], strlen(STARTS[i])) == 0)
			return true;
	return false;
}

/* Who this process is and what it may do: proc_pid_status(5). */
static bool add_status(struct bytes *key)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	struct bytes status = { 0 };
	bool first = true, whole = fd >= 0 && bytes_read(&status, fd);

	close(fd);
	for (char *line = whole ? strtok(status.at, "\n") : NULL; line; line = strtok(NULL, "\n")) {
		if (!is_of_key(line))
			continue;
		bytes_add(key, "\n", !first);
		bytes_add(key, line, strlen(line));
		first = false;
	}
	free(status.at);
	return whole;
}

/* Strings that end with a NUL each, in the order of harden.launch.cached_plan.key(). */
static bool make_key(char *const *arguments, struct bytes *key)
{
	char cwd[PATH_MAX];
	struct stat folder;
	struct sysinfo memory;

	if (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/' || stat(".", &folder) < 0 || sysinfo(&memory) < 0)
		return false;
	bytes_add(key, cwd, strlen(cwd) + 1);
	bytes_number(key, "", folder.st_dev, 10);
	bytes_number(key, ":", folder.st_ino, 10);
	bytes_add(key, "", 1);
	bytes_number(key, "", (uint64_t)memory.totalram * memory.mem_unit / (unsigned long)getpagesize(), 10);
	bytes_add(key, "", 1);
	if (!add_status(key))
		return false;
	bytes_add(key, "", 1);
	for (; *arguments; arguments++)
		bytes_add(key, *arguments, strlen(*arguments) + 1);
	return true;
}

/* harden.launch.cached_plan.name_of(): the key as a little-endian number, modulo 2^127 - 1. */
static void name_of(const struct bytes *key, char name[33])
{
	const unsigned __int128 prime = ((unsigned __int128)1 << 127) - 1;
	unsigned __int128 number = 0;

	/* The last NUL ends a word and separates none. */
	for (size_t i = key->length - 1; i-- > 0;) {
		number = (number << 8 & prime) | number >> 119;
		number += (unsigned char)key->at[i];
		if (number >= prime)
			number -= prime;
	}
	for (unsigned i = 0; i < 32; i++)
		name[i] = "0123456789abcdef"[(unsigned)(number >> (124 - 4 * i)) & 15];
	name[32] = 0;
}

static bool is_private(const struct stat *status)
{
	return status->st_uid == geteuid() && (status->st_mode & 077) == 0;
}

static int open_plans(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct bytes path = { 0 };
	const uid_t user = geteuid();
	struct stat status;
	int folder = -1;

	bytes_add(&path, "/run", sizeof("/run") - 1);
	if (user != 0)
		bytes_number(&path, "/user/", user, 10);
	/* Into another one a sandboxed program may have written: no guard knows of it. */
	if (user == 0 || (runtime && strcmp(runtime, path.at) == 0)) {
		bytes_add(&path, "/" FOLDER, sizeof("/" FOLDER) - 1);
		folder = open(path.at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	free(path.at);
	if (folder >= 0 && fstat(folder, &status) == 0 && is_private(&status))
		return folder;
	close(folder);
	return -1;
}

static bool read_file(int folder, const char *name, struct bytes *data)
{
	int file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	bool whole;

	if (file < 0)
		return false;
	whole = fstat(file, &status) == 0 && is_private(&status) && S_ISREG(status.st_mode) &&
		status.st_size <= LARGEST && bytes_read(data, file) && data->length <= LARGEST;
	close(file);
	return whole;
}

/* `head` ends with a NUL. */
static struct words split(char *head, size_t size)
{
	struct words words = { .count = 1 };

	for (size_t i = 0; i < size; i++)
		words.count += head[i] == 0;
	words.at = new_array(words.count, sizeof(*words.at));
	for (size_t i = 0; i < words.count; i++, head += strlen(head) + 1)
		words.at[i] = head;
	return words;
}

static bool parse_places(char *word, struct entry *entry, enum places kind)
{
	size_t *at = entry->places[kind] = new_array(strlen(word) / 2 + 1, sizeof(*at));

	for (char *number = strtok(word, " "); number; number = strtok(NULL, " "))
		if (!number_of(number, LARGEST, &at[entry->place_count[kind]++]))
			return false;
	return true;
}

/* The key, then what struct entry has, in its order. */
static bool decode(struct words words, const struct bytes *key, struct entry *entry)
{
	const char *at = key->at;
	size_t count, plan_size;

	if (!number_of(words.at[0], words.count, &count) || words.count < count + 13)
		return false;
	for (size_t i = 0; i < count; i++, at += strlen(at) + 1)
		if (at >= key->at + key->length || strcmp(words.at[1 + i], at) != 0)
			return false;
	if (at != key->at + key->length)
		return false;
	words.at += 1 + count;
	words.count -= 1 + count;
	entry->notes = words.at[0];
	entry->cgroup = words.at[1];
	entry->program = words.at[2];
	entry->controllers = words.at[3];
	for (unsigned i = 0; i < PLACES_COUNT; i++)
		if (!parse_places(words.at[4 + i], entry, i))
			return false;
	if (!number_of(words.at[11], LARGEST, &plan_size) || plan_size != entry->plan_size)
		return false;
	entry->facts = words.at + 12;
	entry->fact_count = words.count - 12;
	/* Planning always asks: a plan that depends on nothing was not made by it. */
	return entry->fact_count > 0 && entry->fact_count % 3 == 0;
}

bool entry_find(char *const *arguments, struct entry *entry)
{
	struct bytes key = { 0 }, data = { 0 };
	int folder = open_plans();
	uint64_t size;
	char name[33];
	bool found;

	if (folder < 0)
		return false;
	found = make_key(arguments, &key);
	if (found) {
		name_of(&key, name);
		found = read_file(folder, name, &data);
	}
	close(folder);
	if (!found || data.length < HEAD || memcmp(data.at, MAGIC, 8) != 0)
		return false;
	memcpy(&size, data.at + 8, sizeof(size));
	if (size > data.length - HEAD)
		return false;
	entry->plan_size = data.length - HEAD - size;
	entry->plan = new_array(entry->plan_size, 1);
	memcpy(entry->plan, data.at + HEAD + size, entry->plan_size);
	data.at[HEAD + size] = 0;
	return decode(split(data.at + HEAD, size), &key, entry);
}
