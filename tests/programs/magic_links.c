/* magic_links FOLDER: goes to FOLDER, opens files there by links of proc(5) that have no text of their own, and
 * ends with the line number of the first that failed. Expects there: the empty files root cwd pid thread open above
 * near tree/inner tree/linked tree/moved, and the links "link" to /proc/self/cwd/tree, "own" to /proc/self and "round" to
 * itself. Makes "made". What is not there: "missing".
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static char path[8192];

#define MUST(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: errno %d, %s\n", __LINE__, errno, path);                             \
			_exit(__LINE__ % 100 + 1);                                                                     \
		}                                                                                                      \
	} while (0)
#define OPEN(flags, ...) (snprintf(path, sizeof(path), __VA_ARGS__), open(path, flags, 0600))

static void *in_thread(void *nothing)
{
	(void)nothing;
	MUST(OPEN(O_RDONLY, "/proc/thread-self/cwd/thread") >= 0);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int ends[2], file, folder;

	MUST(argc == 2 && !chdir(argv[1]) && !pipe(ends));
	MUST(OPEN(O_RDONLY, "/proc/self/root%s/root", argv[1]) >= 0);
	MUST(OPEN(O_RDONLY, "/proc/self/cwd/cwd") >= 0);
	MUST(OPEN(O_RDONLY, "/proc/%d/cwd/pid", getpid()) >= 0);
	MUST(!pthread_create(&thread, NULL, in_thread, NULL) && !pthread_join(thread, NULL));
	MUST((folder = open("tree", O_PATH)) >= 0);
	MUST(OPEN(O_RDONLY, "/proc/self/fd/%d/inner", folder) >= 0);
	MUST(OPEN(O_RDONLY, "/proc/self/fd/%d/../above", folder) >= 0);
	MUST((file = open("open", O_PATH)) >= 0);
	MUST(OPEN(O_RDONLY, "/proc/self/fd/%d", file) >= 0);
	MUST(OPEN(O_RDWR, "/dev/fd/%d", file) >= 0);
	MUST(OPEN(O_RDONLY, "link/linked") >= 0);
	MUST(OPEN(O_RDONLY, "own/cwd/near") >= 0);
	MUST(OPEN(O_WRONLY | O_CREAT, "/proc/self/cwd/made") >= 0);
	MUST(OPEN(O_RDONLY, "/proc/self/cwd/missing") < 0 && errno == ENOENT);
	MUST(OPEN(O_RDONLY, "/proc/self/fd/%d", 99) < 0 && errno == ENOENT);
	MUST(OPEN(O_RDONLY, "round") < 0 && errno == ELOOP);
	MUST(OPEN(O_RDONLY | O_NOFOLLOW, "link") < 0 && errno == ELOOP);
	MUST(OPEN(O_RDONLY, "/proc/self/fd/%d", ends[0]) >= 0);
	MUST(OPEN(O_RDONLY, "/proc/self/ns/uts") >= 0);
	MUST(!chdir("/proc/self/cwd/tree"));
	MUST(OPEN(O_RDONLY, "moved") >= 0);
	return 0;
}
