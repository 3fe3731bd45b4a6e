/* disturbed PORT: serves one byte per connection on 127.0.0.1:PORT until SIGTERM, and does one thing of its own for each
 * disturbance:
 *   always: getpgid, "page" read for each connection
 *   output is a terminal: uname; output and input are pipes: times
 *   SIGHUP: "reloaded" read; SIGUSR1: "rotated" read; both by their handlers
 *   EMFILE from accept or open: sysinfo
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t is_over, must_reload, must_rotate;

static void take(int number)
{
	if (number == SIGTERM)
		is_over = 1;
	else if (number == SIGHUP)
		must_reload = 1;
	else
		must_rotate = 1;
}

static void read_name(const char *name)
{
	struct sysinfo info;
	int fd = open(name, O_RDONLY);

	if (fd >= 0)
		close(fd);
	else if (errno == EMFILE)
		sysinfo(&info);
	else
		exit(3);
}

static int is_pipe(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

static void look_at_streams(void)
{
	struct utsname name;
	struct tms spent;

	if (isatty(0) && isatty(1))
		uname(&name);
	if (is_pipe(0) && is_pipe(1))
		times(&spent);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timespec soon = {.tv_nsec = 1000000};
	struct sigaction action = {.sa_handler = take};
	struct sysinfo info;
	int listener;

	if (argc != 2)
		return 2;
	address.sin_port = htons((unsigned short)atoi(argv[1]));
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	getpgid(0);
	look_at_streams();
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 8))
		return 1;
	while (!is_over) {
		int peer = accept(listener, NULL, NULL);

		if (peer < 0 && errno == EMFILE) {
			sysinfo(&info);
			nanosleep(&soon, NULL);
		}
		if (must_reload)
			read_name("reloaded");
		if (must_rotate)
			read_name("rotated");
		must_reload = must_rotate = 0;
		if (peer >= 0) {
			read_name("page");
			if (write(peer, "x", 1) != 1)
				return 1;
			close(peer);
		}
	}
	return 0;
}
