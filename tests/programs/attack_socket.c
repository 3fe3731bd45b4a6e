/* attack_socket ABSTRACT PORT: connects to an abstract socket and to TCP ports of the host, by every address of it that
 * a program can guess. */
#include "attempt.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int abstract(int kind, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(name);
	int fd = socket(AF_UNIX, kind, 0);

	memcpy(address.sun_path + 1, name, length < 100 ? length : 100);
	return connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length));
}

static int tcp(const char *host, const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	struct timeval patience = { .tv_sec = 1 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, host, &address.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return connect(fd, (struct sockaddr *)&address, sizeof(address));
}

int main(int argc, char **argv)
{
	/* Loopback, and the gateways by which user-mode networks show it. */
	static const char *const HOSTS[] = { "127.0.0.1", "0.0.0.0", "10.0.2.2", "10.0.2.3", "169.254.169.254" };

	if (argc != 3)
		return 2;
	attempt("stream", abstract(SOCK_STREAM, argv[1]));
	attempt("seqpacket", abstract(SOCK_SEQPACKET, argv[1]));
	for (unsigned i = 0; i < sizeof(HOSTS) / sizeof(*HOSTS); i++)
		attempt(HOSTS[i], tcp(HOSTS[i], argv[2]));
	return 0;
}
