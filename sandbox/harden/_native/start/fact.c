#include "fact.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Appends the answer; false, with errno, for what an error answers. */
typedef bool question(const char *path, struct bytes *answer);

static void add_identity(const struct stat *status, struct bytes *answer)
{
	bytes_number(answer, "", status->st_dev, 10);
	bytes_number(answer, " ", status->st_ino, 10);
	bytes_number(answer, " ", status->st_mode, 8);
	bytes_number(answer, " ", status->st_uid, 10);
	bytes_number(answer, " ", status->st_gid, 10);
	bytes_number(answer, " ", status->st_rdev, 10);
}

static bool ask_identity(const char *path, int flags, struct bytes *answer)
{
	struct stat status;

	if (fstatat(AT_FDCWD, path, &status, flags) < 0)
		return false;
	add_identity(&status, answer);
	return true;
}

static bool ask_stat(const char *path, struct bytes *answer)
{
	return ask_identity(path, 0, answer);
}

static bool ask_lstat(const char *path, struct bytes *answer)
{
	return ask_identity(path, AT_SYMLINK_NOFOLLOW, answer);
}

/* In nanoseconds; there are files from before 1970. */
static void add_time(struct bytes *answer, struct timespec time)
{
	int64_t number = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;

	bytes_number(answer, number < 0 ? " -" : " ", number < 0 ? -(uint64_t)number : (uint64_t)number, 10);
}

static bool ask_version(const char *path, struct bytes *answer)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return false;
	add_identity(&status, answer);
	bytes_number(answer, " ", (uint64_t)status.st_size, 10);
	add_time(answer, status.st_mtim);
	add_time(answer, status.st_ctim);
	return true;
}

/* Only these end: a device or FIFO may give bytes for ever, and opening one may do something. */
static bool require_file(const struct stat *status)
{
	if (!S_ISREG(status->st_mode))
		errno = EINVAL;
	return S_ISREG(status->st_mode);
}

static bool ask_content(const char *path, struct bytes *answer)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), number;
	struct stat status;
	bool whole;

	if (fd < 0)
		return false;
	whole = fstat(fd, &status) == 0 && require_file(&status) && bytes_read(answer, fd);
	number = errno;
	close(fd);
	errno = number;
	return whole;
}

static bool ask_document(const char *path, struct bytes *answer)
{
	struct stat status;

	if (stat(path, &status) < 0 || !require_file(&status))
		return false;
	add_identity(&status, answer);
	bytes_add(answer, " ", 1);
	return ask_content(path, answer);
}

static bool ask_readlink(const char *path, struct bytes *answer)
{
	char target[4096];
	ssize_t length = readlink(path, target, sizeof(target));

	if (length < 0)
		return false;
	bytes_add(answer, target, (size_t)length);
	return true;
}

/* The letter of harden.launch.fact._entry_type(). */
static char type_of(DIR *folder, const struct dirent *entry)
{
	unsigned char type = entry->d_type;
	struct stat status;

	if (type == DT_UNKNOWN && fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		type = (unsigned char)IFTODT(status.st_mode);
	return type == DT_LNK ? 'l' : type == DT_DIR ? 'd' : type == DT_REG ? 'f' : 'o';
}

static int in_order(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static void add_sorted(struct bytes *names, size_t count, struct bytes *answer)
{
	char **sorted = new_array(count, sizeof(*sorted)), *at = names->at;

	for (size_t i = 0; i < count; i++, at += strlen(at) + 1)
		sorted[i] = at;
	qsort(sorted, count, sizeof(*sorted), in_order);
	for (size_t i = 0; i < count; i++) {
		bytes_add(answer, "/", i != 0);
		bytes_add(answer, sorted[i], strlen(sorted[i]));
	}
	free(sorted);
}

static bool list(const char *path, bool typed, struct bytes *answer)
{
	DIR *folder = opendir(path);
	struct bytes names = { 0 };
	struct dirent *entry;
	size_t count = 0;
	int number;

	if (!folder)
		return false;
	while (errno = 0, (entry = readdir(folder))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		bytes_add(&names, entry->d_name, strlen(entry->d_name));
		if (typed)
			bytes_add(&names, (char[]){ '/', type_of(folder, entry) }, 2);
		bytes_add(&names, "", 1);
		count++;
	}
	number = errno;
	closedir(folder);
	if (number == 0)
		add_sorted(&names, count, answer);
	free(names.at);
	errno = number;
	return number == 0;
}

static bool ask_listdir(const char *path, struct bytes *answer)
{
	return list(path, false, answer);
}

static bool ask_scandir(const char *path, struct bytes *answer)
{
	return list(path, true, answer);
}

static bool ask_access(const char *path, int mode, struct bytes *answer)
{
	bytes_add(answer, access(path, mode) == 0 ? "1" : "0", 1);
	return true;
}

static bool ask_executable(const char *path, struct bytes *answer)
{
	return ask_access(path, X_OK, answer);
}

static bool ask_writable(const char *path, struct bytes *answer)
{
	return ask_access(path, W_OK, answer);
}

static bool ask_readable(const char *path, struct bytes *answer)
{
	return ask_access(path, R_OK, answer);
}

static bool ask_variable(const char *name, struct bytes *answer)
{
	const char *value = getenv(name);

	if (value) {
		bytes_add(answer, "=", 1);
		bytes_add(answer, value, strlen(value));
	}
	return true;
}

/* Whether the caller handed this descriptor on. */
static bool ask_inherited(const char *number, struct bytes *answer)
{
	int flags = fcntl(atoi(number), F_GETFD);

	if (flags < 0)
		return false;
	bytes_add(answer, flags & FD_CLOEXEC ? "0" : "1", 1);
	return true;
}

/* Whether a cgroup.procs names nobody but this process. */
static bool ask_alone(const char *path, struct bytes *answer)
{
	struct bytes pids = { 0 };
	bool alone = true, whole = ask_content(path, &pids);
	int number = errno;

	if (whole)
		for (char *pid = strtok(pids.at, "\n"); pid; pid = strtok(NULL, "\n"))
			alone = alone && atoi(pid) == getpid();
	free(pids.at);
	if (whole)
		bytes_add(answer, alone ? "1" : "0", 1);
	errno = number;
	return whole;
}

static const struct {
	char name[12];
	question *ask;
} QUESTIONS[] = {
	{ "stat", ask_stat },
	{ "lstat", ask_lstat },
	{ "readlink", ask_readlink },
	{ "listdir", ask_listdir },
	{ "scandir", ask_scandir },
	{ "version", ask_version },
	{ "content", ask_content },
	{ "document", ask_document },
	{ "variable", ask_variable },
	{ "inherited", ask_inherited },
	{ "alone", ask_alone },
	{ "access1", ask_executable },
	{ "access2", ask_writable },
	{ "access4", ask_readable },
};

bool fact_answer(const char *question, const char *path, struct bytes *answer)
{
	for (size_t i = 0; i < sizeof(QUESTIONS) / sizeof(*QUESTIONS); i++) {
		if (strcmp(question, QUESTIONS[i].name) != 0)
			continue;
		answer->length = 0;
		bytes_add(answer, "", 0);
		if (!QUESTIONS[i].ask(path, answer)) {
			answer->length = 0;
			bytes_number(answer, "!", (uint64_t)errno, 10);
		}
		return true;
	}
	return false;
}

bool facts_hold(char *const *facts, size_t count)
{
	struct bytes answer = { 0 };

	for (size_t i = 0; i + 2 < count; i += 3)
		if (!fact_answer(facts[i], facts[i + 1], &answer) || answer.length != strlen(facts[i + 2]) ||
		    memcmp(answer.at, facts[i + 2], answer.length) != 0)
			return false;
	return true;
}
