/* wish FILE: does what the lines of FILE say, in order, and prints "LINE: ok" or "LINE: ERRNO" for each.
 *
 *   call NR              the system call NR with six zeros
 *   control FD CMD       fcntl(FD, CMD, 0)
 *   compat               getpid by the 32-bit ABI (x86 only; ENOSYS elsewhere)
 *   stat PATH   read PATH   write PATH (made if missing)   remove PATH
 *   own PATH             chown to uid 12
 *   socket FAMILY TYPE   connect PORT   bind PORT (TCP on 127.0.0.1)
 *   start PATH           runs it in a child and waits for it
 *   crowd NUMBER         starts so many threads that make calls all the time
 *   protect              makes a page writable and executable
 *   type                 pushes a key into the terminal that standard input would be
 *   remove-named-in PATH unlinks what PATH holds the name of, from a mapping of PATH that nobody has touched
 *   end STATUS
 *
 * A line that begins with `!` must work: otherwise the status is 1 at once. Of one that begins with `-` nothing is said.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long use_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	return fd < 0 ? -1 : close(fd);
}

static long use_port(int port, int (*action)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int answer;

	if (fd < 0)
		return -1;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	answer = action(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return answer;
}

static long use_compat(void)
{
#if defined(__x86_64__)
	long answer;

	__asm__ volatile("int $0x80" : "=a"(answer) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
	return answer;
#else
	errno = ENOSYS;
	return -1;
#endif
}

static long start(char *path)
{
	char *words[] = { path, NULL };
	pid_t child = fork();
	int status;

	if (child == 0) {
		execv(path, words);
		_exit(errno);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return -1;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return errno ? -1 : 0;
}

static void *keep_calling(void *unused)
{
	for (;;)
		syscall(SYS_gettid);
	return unused;
}

static long crowd(long number)
{
	pthread_t thread;

	for (; number; number--)
		if ((errno = pthread_create(&thread, NULL, keep_calling, NULL)))
			return -1;
	return 0;
}

static long remove_named_in(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *name = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);

	return name == MAP_FAILED ? -1 : unlink(name);
}

static long protect(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? -1 : mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
}

static long do_line(const char *word, char *first, char *second)
{
	long number = strtol(first, NULL, 0), other = strtol(second, NULL, 0);
	int fd;

	if (!strcmp(word, "call"))
		return syscall(number, 0, 0, 0, 0, 0, 0);
	if (!strcmp(word, "control"))
		return fcntl((int)number, (int)other, 0);
	if (!strcmp(word, "compat"))
		return use_compat();
	if (!strcmp(word, "stat"))
		return access(first, F_OK);
	if (!strcmp(word, "read"))
		return use_file(first, O_RDONLY);
	if (!strcmp(word, "write"))
		return use_file(first, O_WRONLY | O_CREAT);
	if (!strcmp(word, "remove"))
		return unlink(first);
	if (!strcmp(word, "protect"))
		return protect();
	if (!strcmp(word, "type"))
		return ioctl(STDIN_FILENO, TIOCSTI, "x");
	if (!strcmp(word, "crowd"))
		return crowd(number);
	if (!strcmp(word, "remove-named-in"))
		return remove_named_in(first);
	if (!strcmp(word, "own"))
		return chown(first, 12, 12);
	if (!strcmp(word, "socket")) {
		fd = socket((int)number, (int)other, 0);
		return fd < 0 ? -1 : close(fd);
	}
	if (!strcmp(word, "connect"))
		return use_port((int)number, connect);
	if (!strcmp(word, "bind"))
		return use_port((int)number, bind);
	if (!strcmp(word, "start"))
		return start(first);
	if (!strcmp(word, "end"))
		exit((int)number);
	errno = EINVAL;
	return -1;
}

int main(int argc, char **argv)
{
	char line[4352], word[32], first[4096], second[64];
	FILE *wishes = argc == 2 ? fopen(argv[1], "re") : NULL;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!wishes) {
		perror("wish");
		return 2;
	}
	while (fgets(line, sizeof(line), wishes)) {
		int must = line[0] == '!', quiet = line[0] == '-';

		*first = *second = 0;
		line[strcspn(line, "\n")] = 0;
		if (sscanf(line + (must || quiet), "%31s %4095s %63s", word, first, second) < 1)
			continue;
		if (do_line(word, first, second) >= 0)
			errno = 0;
		if (!quiet && errno)
			printf("%s: %d\n", line, errno);
		else if (!quiet)
			printf("%s: ok\n", line);
		if (must && errno)
			return 1;
	}
	return 0;
}
