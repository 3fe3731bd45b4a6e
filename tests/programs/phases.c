/* phases FOLDER: listens on a loopback port, waits for one connection, and does one thing of its own in each phase.
 *
 * Needs, by the phase of the thread:
 *   init: FOLDER/early read, getpgid, listen; the client and the second thread, which never wait for requests:
 *         FOLDER/client read, connect, sysinfo
 *   serving: accept, FOLDER/late read, uname; a child born then: FOLDER/child read, times
 *   both: FOLDER/both read
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static int may_end[2];

static void read_name(const char *name)
{
	int fd = open(name, O_RDONLY);

	if (fd < 0)
		exit(3);
	close(fd);
}

static void *second(void *unused)
{
	struct sysinfo info;
	char byte;

	if (read(may_end[0], &byte, 1) != 1 || sysinfo(&info))
		exit(4);
	return unused;
}

/* Connects once the server is blocked in accept. */
static void be_client(const struct sockaddr_in *address, int server)
{
	char path[64], where[64] = "";
	int fd;

	read_name("client");
	snprintf(path, sizeof(path), "/proc/%d/wchan", server);
	while (!strstr(where, "accept")) {
		int wchan = open(path, O_RDONLY);
		ssize_t got = read(wchan, where, sizeof(where) - 1);

		if (got < 0)
			_exit(5);
		where[got] = 0;
		close(wchan);
		sched_yield();
	}
	fd = socket(AF_INET, SOCK_STREAM, 0);
	_exit(connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? 6 : 0);
}

static void serve_in_a_child(void)
{
	struct tms spent;
	int status;

	if (fork() == 0) {
		times(&spent);
		read_name("child");
		_exit(0);
	}
	if (wait(&status) < 0 || status)
		exit(7);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	struct utsname name;
	pthread_t thread;
	int listener, status;

	if (argc != 2 || chdir(argv[1]) || pipe(may_end))
		return 2;
	read_name("early");
	read_name("both");
	getpgid(0);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &length))
		return 1;
	/* A sleep, and a look that does not wait: neither ends init. */
	poll(NULL, 0, 1);
	poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, 0);
	if (pthread_create(&thread, NULL, second, NULL))
		return 1;
	syscall(SYS_getsid, 0);
	if (fork() == 0)
		be_client(&address, getppid());
	if (accept(listener, NULL, NULL) < 0)
		return 1;
	read_name("late");
	read_name("both");
	uname(&name);
	if (wait(&status) < 0 || status)
		return 1;
	serve_in_a_child();
	if (write(may_end[1], "x", 1) != 1 || pthread_join(thread, NULL))
		return 1;
	return 0;
}
