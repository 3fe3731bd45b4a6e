/* net_server PORT COUNT: accepts COUNT connections on 127.0.0.1:PORT one after the other and echoes each until EOF.
 *
 * PORT 0 lets the kernel choose. Prints "listening PORT" once it can be connected to. It waits in accept(2), so a
 * recorder sees the phase `init` end there.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int echo(int peer)
{
	char buffer[4096];
	ssize_t got;

	while ((got = read(peer, buffer, sizeof(buffer))) > 0)
		if (write(peer, buffer, (size_t)got) != got)
			return -1;
	return (int)got;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int listener, yes = 1, count;

	if (argc != 3)
		return 2;
	address.sin_port = htons((unsigned short)atoi(argv[1]));
	count = atoi(argv[2]);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 8) ||
	    getsockname(listener, (struct sockaddr *)&address, &length)) {
		perror("net_server");
		return 1;
	}
	printf("listening %d\n", ntohs(address.sin_port));
	fflush(stdout);
	while (count-- > 0) {
		int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (peer < 0 || echo(peer) < 0) {
			perror("net_server");
			return 1;
		}
		close(peer);
	}
	puts("served");
	return 0;
}
