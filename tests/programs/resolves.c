/* resolves PORT NAME: for each connection to 127.0.0.1:PORT until SIGTERM, looks NAME up with getaddrinfo:
 *   it has an address: getpgid, and a UDP socket is connected to port 7 of it; no name server answers: sysinfo
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static volatile sig_atomic_t is_over;

static void end(int number)
{
	is_over = number;
}

static const char *look_up(const char *name)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found;
	struct sysinfo info;
	int error = getaddrinfo(name, "7", &hints, &found), fd;

	if (error == EAI_AGAIN) {
		sysinfo(&info);
		return "no";
	}
	if (error)
		return "??";
	getpgid(0);
	fd = socket(found->ai_family, SOCK_DGRAM, 0);
	connect(fd, found->ai_addr, found->ai_addrlen);
	close(fd);
	freeaddrinfo(found);
	return "ok";
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sigaction action = {.sa_handler = end};
	int listener, yes = 1;

	if (argc != 3)
		return 2;
	address.sin_port = htons((unsigned short)atoi(argv[1]));
	sigaction(SIGTERM, &action, NULL);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 8))
		return 1;
	while (!is_over) {
		int peer = accept(listener, NULL, NULL);

		if (peer < 0)
			continue;
		if (write(peer, look_up(argv[2]), 2) != 2)
			return 1;
		close(peer);
	}
	return 0;
}
