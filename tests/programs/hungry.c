/* hungry FILE: takes what the lines of FILE say, says how much of it it got, and gives it back.
 *
 *   open N       N files at once
 *   fork N       N children at once, which wait
 *   memory N     N MiB, each page of them written
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 4096
#define PAGE 4096

static int taken[MOST];

static const char *reason(int got, int wanted)
{
	return got == wanted ? "ok" : strerrorname_np(errno);
}

static void take_files(int wanted)
{
	int got = 0;

	while (got < wanted && (taken[got] = open("/dev/null", O_RDONLY)) >= 0)
		got++;
	printf("open: %d %s\n", got, reason(got, wanted));
	while (got)
		close(taken[--got]);
}

static void take_children(int wanted)
{
	int got = 0, status, never[2];
	char nothing;

	/* With calls that the program makes anyhow: a child may be killed before its first. */
	if (pipe(never))
		exit(2);
	while (got < wanted && (taken[got] = fork()) >= 0)
		if (taken[got++] == 0)
			exit(read(never[0], &nothing, 1) < 0);
	printf("fork: %d %s\n", got, reason(got, wanted));
	while (got) {
		kill(taken[--got], SIGKILL);
		waitpid(taken[got], &status, 0);
	}
	close(never[0]);
	close(never[1]);
}

static void take_memory(int wanted)
{
	size_t size = (size_t)wanted << 20;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t at = 0; memory != MAP_FAILED && at < size; at += PAGE)
		memory[at] = 1;
	printf("memory: %d %s\n", wanted, memory == MAP_FAILED ? "ENOMEM" : "ok");
	munmap(memory, size);
}

int main(int argc, char **argv)
{
	char word[16];
	int number;
	FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;

	if (!file)
		return 2;
	while (fscanf(file, "%15s %d", word, &number) == 2 && number >= 0 && number <= MOST) {
		if (strcmp(word, "open") == 0)
			take_files(number);
		else if (strcmp(word, "fork") == 0)
			take_children(number);
		else if (strcmp(word, "memory") == 0)
			take_memory(number);
		else
			return 2;
		fflush(stdout);
	}
	return fclose(file);
}
