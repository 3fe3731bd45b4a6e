/* descriptors MODE [N]: ways to have descriptors.
 *
 *   dup N        duplicates standard input to the number N, and closes it
 *   open N       opens files until the number N is given out, then closes all
 *   pipe         has 3 pipes at once (numbers 3 to 8)
 *   pass         a child hands standard input over by SCM_RIGHTS: it becomes number 5
 *   child N      a child does what `dup N` does
 *   limit N      sets its soft and hard limit to N
 *   all          sets its soft limit to its hard one
 *   full         opens until there are no more, says how many are open and why it ended, and closes all
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int duplicate(int number)
{
	return dup2(0, number) != number || close(number);
}

static int open_to(int number)
{
	int fd = 0;

	while (fd < number) {
		fd = open("/dev/null", O_RDONLY);
		if (fd < 0)
			return 1;
	}
	for (; fd > 2; fd--)
		close(fd);
	return 0;
}

static int pipes(void)
{
	int ends[2];

	return pipe(ends) || pipe(ends) || pipe(ends) || ends[1] != 8;
}

static int hand_over(int channel, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(channel, &message, 0) != 1;
}

static int take_over(int channel)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
				 .msg_controllen = sizeof(control)};

	return recvmsg(channel, &message, 0) != 1 || close(5);
}

static int pass(void)
{
	int channel[2], status;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, channel))
		return 1;
	if (fork() == 0)
		_exit(hand_over(channel[1], 0));
	return take_over(channel[0]) || wait(&status) < 0 || status;
}

static int in_child(int number)
{
	int status;

	if (fork() == 0)
		_exit(duplicate(number));
	return wait(&status) < 0 || status;
}

static int set_limit(rlim_t soft, rlim_t hard)
{
	struct rlimit limit = {soft, hard};

	return setrlimit(RLIMIT_NOFILE, &limit) != 0;
}

static int take_all(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) || set_limit(limit.rlim_max, limit.rlim_max);
}

static int fill(void)
{
	int fd, highest = 2;

	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		highest = fd;
	printf("%d %s\n", highest + 1, strerrorname_np(errno));
	for (fd = 3; fd <= highest; fd++)
		close(fd);
	return fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
	int number = argc > 2 ? atoi(argv[2]) : 0;

	if (argc < 2)
		return 2;
	if (strcmp(argv[1], "dup") == 0)
		return duplicate(number);
	if (strcmp(argv[1], "open") == 0)
		return open_to(number);
	if (strcmp(argv[1], "pipe") == 0)
		return pipes();
	if (strcmp(argv[1], "pass") == 0)
		return pass();
	if (strcmp(argv[1], "child") == 0)
		return in_child(number);
	if (strcmp(argv[1], "limit") == 0)
		return set_limit(number, number);
	if (strcmp(argv[1], "all") == 0)
		return take_all();
	return strcmp(argv[1], "full") == 0 ? fill() : 2;
}
