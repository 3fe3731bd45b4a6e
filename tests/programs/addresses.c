/* addresses PORT: binds and connects IPv4, IPv6 and abstract sockets of loopback; ends with 1 if something failed.
 * Nothing may listen on PORT. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
	in_port_t port = htons(argc > 1 ? atoi(argv[1]) : 0);
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0harden"};
	struct iovec part = {.iov_base = "x", .iov_len = 1};
	struct msghdr message = {.msg_name = &v4, .msg_namelen = sizeof(v4), .msg_iov = &part, .msg_iovlen = 1};
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	int datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
	int datagram6 = socket(AF_INET6, SOCK_DGRAM, 0), local = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	int pair[2];

	if (connect(client, (struct sockaddr *)&v4, sizeof(v4)) == 0 || errno != ECONNREFUSED)
		return 1;
	if (bind(listener, (struct sockaddr *)&v4, sizeof(v4)) || listen(listener, 1))
		return 1;
	if (connect(client, (struct sockaddr *)&v4, sizeof(v4)))
		return 1;
	if (sendto(datagram6, "x", 1, 0, (struct sockaddr *)&v6, sizeof(v6)) != 1)
		return 1;
	if (sendmsg(datagram, &message, 0) != 1)
		return 1;
	if (bind(local, (struct sockaddr *)&name, offsetof(struct sockaddr_un, sun_path) + 7))
		return 1;
	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) ? 1 : 0;
}
