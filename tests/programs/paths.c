/* paths: in the working folder, one of each thing that can be done to a path; ends with the line number of the first
 * that failed. Expects nothing to be there, and leaves `folder`. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MUST(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: errno %d\n", __LINE__, errno);                                       \
			return __LINE__ % 100 + 1;                                                                     \
		}                                                                                                      \
	} while (0)

/* Far from everything else that is written or read, so that nobody touches the page before the kernel does. */
static struct {
	_Alignas(4096) char before[4096];
	char path[4096];
	char after[4096];
} untouched = {.path = "folder/untouched-stat"};
static const struct {
	_Alignas(4096) char before[4096];
	char path[4096];
	char after[4096];
} untouched_open = {.path = "folder/file"};

static int opens(void)
{
	struct open_how how = {.flags = O_RDONLY};
	int folder, file;

	MUST(!mkdir("folder", 0755));
	MUST((folder = open("folder", O_RDONLY | O_DIRECTORY)) >= 0);
	MUST((file = openat(folder, "file", O_RDWR | O_CREAT, 0644)) >= 0);
	MUST(write(file, "x", 1) == 1);
	MUST(!ftruncate(file, 0) && !fchmod(file, 0600) && !flock(file, LOCK_EX) && !futimens(file, NULL));
	MUST(!close(file));
	MUST((file = open("folder/file", O_WRONLY | O_APPEND)) >= 0 && !close(file));
	MUST((file = open("folder/file", O_WRONLY | O_TRUNC)) >= 0 && !close(file));
	MUST((file = creat("folder/created", 0644)) >= 0 && !close(file));
	MUST((file = open(untouched_open.path, O_RDONLY)) >= 0 && !close(file));
	MUST((file = syscall(SYS_openat2, folder, "../folder/created", &how, sizeof(how))) >= 0 && !close(file));
	MUST((file = open("folder", O_TMPFILE | O_RDWR, 0600)) >= 0 && !close(file));
	MUST((file = open("folder", O_PATH)) >= 0 && !close(file));
	MUST(open("folder/missing", O_RDONLY) < 0 && errno == ENOENT);
	MUST(open("folder/no/file", O_WRONLY | O_CREAT, 0600) < 0 && errno == ENOENT);
	MUST(stat(untouched.path, &(struct stat){0}) < 0 && errno == ENOENT);
	MUST(!close(folder));
	return 0;
}

static int names(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "folder/socket"};
	int file, listener, client;
	void *map;

	MUST(!symlink("file", "folder/symlink"));
	MUST((file = open("folder/symlink", O_RDONLY)) >= 0);
	map = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
	MUST(map != MAP_FAILED && !close(file));
	MUST((file = open("folder/created", O_RDONLY)) >= 0);
	map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
	MUST(map != MAP_FAILED && !mprotect(map, 4096, PROT_READ | PROT_EXEC) && !close(file));
	MUST(!link("folder/file", "folder/linked"));
	MUST(!rename("folder/linked", "folder/renamed"));
	MUST(!mkdir("folder/a", 0755) && !mkdir("folder/b", 0755));
	MUST(!rename("folder/renamed", "folder/a/moved"));
	MUST(!rename("folder/a", "folder/c"));
	MUST(!unlink("folder/c/moved") && !rmdir("folder/c") && !unlinkat(AT_FDCWD, "folder/b", AT_REMOVEDIR));
	MUST(!mkfifo("folder/fifo", 0600) && !chmod("folder/fifo", 0644) && !chown("folder/fifo", -1, -1));
	MUST(!truncate("folder/file", 0) && !utimensat(AT_FDCWD, "folder/file", NULL, 0));
	MUST(!access("folder/file", R_OK) && !chdir("folder") && !chdir(".."));
	MUST((listener = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
	MUST(!bind(listener, (struct sockaddr *)&address, sizeof(address)) && !listen(listener, 1));
	MUST((client = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
	MUST(!connect(client, (struct sockaddr *)&address, sizeof(address)));
	return 0;
}

int main(void)
{
	int status = opens();

	return status ? status : names();
}
