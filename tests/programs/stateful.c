/* stateful [PORT]: makes the folder "state" with a file "data" in it where they are not there, and reads it where they
 * are; then listens on 127.0.0.1:PORT until SIGTERM, with a child that outlives it and holds the port, or ends.
 *   no state: mkdir of "state", chmod of it, getpgid
 *   state: "state/data" read, sysinfo
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static int take_state(void)
{
	struct sysinfo info;
	int fd = open("state/data", O_RDONLY);

	if (fd >= 0) {
		sysinfo(&info);
		return close(fd);
	}
	if (mkdir("state", 0700) || chmod("state", 0750))
		return 3;
	getpgid(0);
	fd = open("state/data", O_WRONLY | O_CREAT | O_EXCL, 0600);
	return fd < 0 ? 4 : close(fd);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	sigset_t asked;
	int listener, number, status = take_state();

	if (status || argc < 2)
		return status;
	sigemptyset(&asked);
	sigaddset(&asked, SIGTERM);
	sigprocmask(SIG_BLOCK, &asked, NULL);
	address.sin_port = htons((unsigned short)atoi(argv[1]));
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 8))
		return 1;
	if (fork() == 0) {
		setsid();
		pause();
	}
	return sigwait(&asked, &number);
}
