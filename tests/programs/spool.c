/* spool FOLDER [PORT]: writes FOLDER/spool.0, spool.1 and so on, 256 KiB each: one for each connection to 127.0.0.1:PORT
 * until SIGTERM, or one and then ends. Where there is no room (ENOSPC) it takes what it wrote away and says so in its own way:
 *   always: getpgid
 *   ENOSPC: unlink of the file, sysinfo; status 4 where it ends then
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static char block[65536];
static volatile sig_atomic_t is_over;

static void end(int number)
{
	is_over = number;
}

static int spool(const char *folder)
{
	static int number;
	struct sysinfo info;
	char name[4096];
	int fd;

	snprintf(name, sizeof(name), "%.4000s/spool.%d", folder, number++);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	getpgid(0);
	for (int i = 0; fd >= 0 && i < 4; i++) {
		if (write(fd, block, sizeof(block)) == (ssize_t)sizeof(block))
			continue;
		/* What fitted was less than it should be; the next write says why. */
		if (write(fd, block, sizeof(block)) != -1 || errno != ENOSPC)
			return 3;
		close(fd);
		unlink(name);
		sysinfo(&info);
		return 4;
	}
	return fd >= 0 ? close(fd) : 5;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sigaction action = {.sa_handler = end};
	int listener;

	if (argc < 2)
		return 2;
	if (argc < 3)
		return spool(argv[1]);
	address.sin_port = htons((unsigned short)atoi(argv[2]));
	sigaction(SIGTERM, &action, NULL);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 8))
		return 1;
	while (!is_over) {
		int peer = accept(listener, NULL, NULL);

		if (peer < 0)
			continue;
		if (write(peer, spool(argv[1]) ? "no" : "ok", 2) != 2)
			return 1;
		close(peer);
	}
	return 0;
}
