/* births MODE FOLDER [N]: ways to make tasks. Each mode opens only the files named here, below FOLDER.
 *
 *   threads N      N threads that live at the same time; each calls getppid once; reads "threads" when all are there
 *   exec-thread    a second thread executes /bin/true while the first one waits
 *   vfork          a vfork child reads "vfork" and executes /bin/true; then the parent reads "parent"
 *   daemon         a grandchild in a session of its own, whose parent is gone, reads "daemon" before the program ends
 *   last-thread    the first thread ends before the second one, which kills one of two children and leaves the other
 *   headless       leaves a child whose first thread has ended, and another one lives
 *   bomb N         every process forks until the limit of N processes of this user refuses; then the first one writes
 *                  "full" and kills all others
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_barrier_t all;

static int read_name(const char *name)
{
	int fd = open(name, O_RDONLY);

	return fd < 0 ? 1 : close(fd);
}

static void *live(void *unused)
{
	pthread_barrier_wait(&all);
	syscall(SYS_getppid);
	return unused;
}

static int threads(int count)
{
	pthread_t *thread = calloc(count, sizeof(*thread));
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	if (!thread || pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN) ||
	    pthread_barrier_init(&all, NULL, count + 1))
		return 1;
	for (int i = 0; i < count; i++)
		if (pthread_create(&thread[i], &attributes, live, NULL))
			return 1;
	pthread_barrier_wait(&all);
	for (int i = 0; i < count; i++)
		pthread_join(thread[i], NULL);
	return read_name("threads");
}

static void *become(void *unused)
{
	execl("/bin/true", "true", (char *)NULL);
	return unused;
}

static int exec_thread(void)
{
	pthread_t thread;

	syscall(SYS_getpgid, 0);
	if (pthread_create(&thread, NULL, become, NULL))
		return 1;
	for (;;)
		pause();
}

static int by_vfork(void)
{
	int status;
	pid_t child = vfork();

	if (child == 0) {
		if (read_name("vfork"))
			_exit(1);
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	return waitpid(child, &status, 0) != child || status || read_name("parent");
}

static int daemonized(void)
{
	int up[2];
	char byte;

	if (pipe(up))
		return 1;
	if (fork() == 0) {
		setsid();
		if (fork())
			_exit(0);
		_exit(read_name("daemon"));
	}
	close(up[1]);
	/* The other end is open as long as the daemon lives. */
	return read(up[0], &byte, 1) != 0 || wait(NULL) < 0;
}

static pthread_t first_thread;

static void *outlive(void *unused)
{
	int up[2];
	char byte;
	pid_t killed = pipe(up) ? -1 : fork();

	if (killed && fork()) {
		if (killed < 0 || read(up[0], &byte, 1) != 1 || pthread_join(first_thread, NULL))
			_exit(1);
		kill(killed, SIGKILL);
		waitpid(killed, NULL, 0);
		/* The C library would end the process with its last thread. */
		syscall(SYS_exit, 0);
	}
	for (;;)
		if (killed || write(up[1], "x", 1) == 1)
			pause();
	return unused;
}

static int last_thread(void)
{
	pthread_t thread;

	first_thread = pthread_self();
	if (pthread_create(&thread, NULL, outlive, NULL))
		return 1;
	pthread_exit(NULL);
}

static int up[2];

static void *live_on(void *first)
{
	/* A thread can be joined when it is through with the program, whatever the kernel has still to do for it. */
	if (pthread_join(*(pthread_t *)first, NULL) || write(up[1], "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static int headless(void)
{
	pthread_t thread;
	char byte;

	if (pipe(up))
		return 1;
	if (fork())
		return read(up[0], &byte, 1) != 1;
	first_thread = pthread_self();
	if (pthread_create(&thread, NULL, live_on, &first_thread))
		return 1;
	pthread_exit(NULL);
}

static int bomb(int limit)
{
	struct rlimit processes = {limit, limit};
	struct timespec second = {.tv_sec = 1};
	pid_t first = getpid();
	int fd;

	/* In a sandbox it leads its session, and with it a group, from the start. */
	if ((getpgrp() != first && setpgid(0, 0)) || setrlimit(RLIMIT_NPROC, &processes))
		return 1;
	while (fork() >= 0)
		;
	if (getpid() != first)
		for (;;)
			nanosleep(&second, NULL);
	fd = open("full", O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || close(fd))
		return 1;
	signal(SIGTERM, SIG_IGN);
	return kill(0, SIGTERM);
}

int main(int argc, char **argv)
{
	int number = argc > 3 ? atoi(argv[3]) : 0;

	if (argc < 3 || chdir(argv[2]))
		return 2;
	if (strcmp(argv[1], "threads") == 0)
		return threads(number);
	if (strcmp(argv[1], "exec-thread") == 0)
		return exec_thread();
	if (strcmp(argv[1], "vfork") == 0)
		return by_vfork();
	if (strcmp(argv[1], "daemon") == 0)
		return daemonized();
	if (strcmp(argv[1], "last-thread") == 0)
		return last_thread();
	if (strcmp(argv[1], "headless") == 0)
		return headless();
	return strcmp(argv[1], "bomb") == 0 ? bomb(number) : 2;
}
