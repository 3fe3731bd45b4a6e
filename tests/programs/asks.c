/* asks HOW NAME: asks the name server at 127.0.0.1:53 for an address of NAME again and again until it answers, without
 * the C library's resolver, then connects a UDP socket to port 7 of the first address in the answer.
 *   connected: connect, write, read (as Go does)
 *   sent: sendto with the address, recvmsg (as musl does); taken: the same with recvfrom, and its sender's address
 * A backslash in NAME stands for a line feed.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in server = {.sin_family = AF_INET};
static unsigned char query[512], answer[2048];

static size_t write_query(const char *name)
{
	static const unsigned char header[12] = {0x12, 0x34, 1, 0, 0, 1}, tail[5] = {0, 0, 1, 0, 1};
	size_t at = sizeof(header);

	memcpy(query, header, sizeof(header));
	while (*name) {
		size_t length = strcspn(name, ".");

		query[at++] = (unsigned char)length;
		for (size_t i = 0; i < length; i++)
			query[at++] = (unsigned char)(name[i] == '\\' ? '\n' : name[i]);
		name += length + (name[length] == '.');
	}
	memcpy(query + at, tail, sizeof(tail));
	return at + sizeof(tail);
}

static ssize_t ask_once(const char *how, int fd, size_t length)
{
	struct sockaddr_in peer;
	struct iovec part = {answer, sizeof(answer)};
	struct msghdr message = {.msg_name = &peer, .msg_namelen = sizeof(peer), .msg_iov = &part, .msg_iovlen = 1};
	struct pollfd waiting = {.fd = fd, .events = POLLIN};
	socklen_t size = sizeof(peer);

	if (how[0] == 'c') {
		if (write(fd, query, length) != (ssize_t)length)
			return -1;
	} else if (sendto(fd, query, length, 0, (struct sockaddr *)&server, sizeof(server)) != (ssize_t)length) {
		return -1;
	}
	if (poll(&waiting, 1, 100) <= 0)
		return -1;
	if (how[0] == 'c')
		return read(fd, answer, sizeof(answer));
	if (how[0] == 's')
		return recvmsg(fd, &message, 0);
	return recvfrom(fd, answer, sizeof(answer), 0, (struct sockaddr *)&peer, &size);
}

int main(int argc, char **argv)
{
	struct timespec soon = {.tv_nsec = 10000000};
	struct sockaddr_in found = {.sin_family = AF_INET, .sin_port = htons(7)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	ssize_t got = -1;
	size_t length;

	if (argc != 3)
		return 2;
	server.sin_port = htons(53);
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	length = write_query(argv[2]);
	if (argv[1][0] == 'c' && connect(fd, (struct sockaddr *)&server, sizeof(server)))
		return 3;
	for (int i = 0; i < 1000 && got < 0; i++) {
		got = ask_once(argv[1], fd, length);
		if (got < 0)
			nanosleep(&soon, NULL);
	}
	/* The record is the last thing in the answer. */
	if (got < (ssize_t)length + 16)
		return got < 0 ? 4 : 0;
	memcpy(&found.sin_addr, answer + got - 4, 4);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	return connect(fd, (struct sockaddr *)&found, sizeof(found)) ? 5 : 0;
}
