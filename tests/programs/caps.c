/* caps FOLDER: tries one action per capability and prints "NAME ok" or "NAME ERRNO" for each.
 * Everything it changes is in FOLDER, in itself, or in its own namespaces (set_host_name sets the name it has). */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int chown_file(void)
{
	int file = open("caps-file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (file < 0)
		return -1;
	close(file);
	return chown("caps-file", 12, 12);
}

static int bind_low_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(81) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int answer;

	if (fd < 0)
		return -1;
	answer = bind(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return answer;
}

static int open_raw_socket(void)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);

	return fd < 0 ? -1 : close(fd);
}

static int set_host_name(void)
{
	char name[65];

	return gethostname(name, sizeof(name)) ? -1 : sethostname(name, strlen(name));
}

static int change_root(void)
{
	return chroot("/");
}

static int make_device(void)
{
	return mknod("caps-device", S_IFCHR | 0600, makedev(1, 3));
}

static int raise_priority(void)
{
	return setpriority(PRIO_PROCESS, 0, -1);
}

/* setuid(2) of the C library would change all threads; the call itself is enough here, and comes last. */
static int change_user(void)
{
	return (int)syscall(SYS_setuid, 12);
}

static const struct {
	const char *capability;
	int (*action)(void);
} actions[] = {
	{ "CAP_CHOWN", chown_file },	      { "CAP_NET_BIND_SERVICE", bind_low_port }, { "CAP_NET_RAW", open_raw_socket },
	{ "CAP_SYS_ADMIN", set_host_name },   { "CAP_SYS_CHROOT", change_root },	 { "CAP_MKNOD", make_device },
	{ "CAP_SYS_NICE", raise_priority },   { "CAP_SETUID", change_user },
};

int main(int argc, char **argv)
{
	if (argc != 2 || chdir(argv[1])) {
		perror("caps");
		return 2;
	}
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (actions[i].action() == 0)
			printf("%s ok\n", actions[i].capability);
		else
			printf("%s %d\n", actions[i].capability, errno);
	}
	return 0;
}
