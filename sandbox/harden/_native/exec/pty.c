#include "pty.h"

#include "run.h"
#include "sys.h"
#include "waiting.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

/* Init's descriptors after the lock-down, the first PTY_INIT_FILES. */
enum { INIT_SLAVE = 0, INIT_STOPS = 1 };

/* Somebody outside may have stopped init. */
enum { CHANGE_WAIT_MS = 1000 };

static int send_master(int master)
{
	char byte = PACKET_TERMINAL, ancillary[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = ancillary,
				  .msg_controllen = sizeof(ancillary) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &master, sizeof(int));
	return sendmsg(run.control[1], &message, MSG_NOSIGNAL) == 1 ? 0 : fail("sendmsg");
}

static int open_pair(int devpts, int *master)
{
	int unlocked = 0;

	*master = openat(devpts, "ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (*master < 0)
		return fail("openat");
	if (ioctl(*master, TIOCSPTLCK, &unlocked) < 0)
		return fail("ioctl");
	run.slave_fd = made(ioctl(*master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
	return run.slave_fd < 0 ? fail("ioctl") : 0;
}

int pty_make(int devpts)
{
	int master, result;

	if (open_pair(devpts, &master) < 0)
		return -1;
	if (setsid() <= 0)
		return fail("setsid");
	if (ioctl(run.slave_fd, TIOCSCTTY, 0) < 0)
		return fail("ioctl");
	result = send_master(master);
	close(master);
	return result;
}

/* Without an own terminal nobody waits for it, and there is no descriptor. */
static void wake_supervisor(int stops)
{
	uint64_t one = 1;
	ssize_t ignored = write(stops, &one, sizeof(one));

	(void)ignored;
}

/* The group of the payload is its number, init's own is 1. SIGTTOU is blocked, which permits the call. */
static void change_foreground(int number)
{
	pid_t group = number == SIGUSR1 ? run.payload_pid : 1;
	int saved = errno;

	ioctl(INIT_SLAVE, TIOCSPGRP, &group);
	atomic_store(&run.shared->foreground_changed, 1);
	wake_supervisor(INIT_STOPS);
	errno = saved;
}

int pty_lock_down(void)
{
	struct sigaction action = { .sa_handler = change_foreground, .sa_flags = SA_RESTART };
	sigset_t wanted;

	/* Both are above 2, where the standard streams are. */
	if (dup2(run.slave_fd, INIT_SLAVE) != INIT_SLAVE || dup2(run.stops_fd, INIT_STOPS) != INIT_STOPS)
		return fail("dup2");
	if (sigaction(SIGUSR1, &action, NULL) < 0 || sigaction(SIGUSR2, &action, NULL) < 0)
		return fail("rt_sigaction");
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGUSR1);
	sigaddset(&wanted, SIGUSR2);
	return sigprocmask(SIG_UNBLOCK, &wanted, NULL) < 0 ? fail("rt_sigprocmask") : 0;
}

void pty_report_stop(int number)
{
	atomic_store(&run.shared->payload_stopped, (unsigned)number);
	wake_supervisor(INIT_STOPS);
}

/* The same terminal through the payload's own mounts, so that it has a name there. It is compared, not trusted. */
static int reopen_slave(void)
{
	int fd = sys_openat2(AT_FDCWD, "/dev/pts/0", O_RDWR | O_NOCTTY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	struct stat ours, found;

	if (fd < 0)
		return fail("openat2");
	if (fstat(run.slave_fd, &ours) < 0 || fstat(fd, &found) < 0)
		return fail("fstat");
	if (ours.st_dev != found.st_dev || ours.st_ino != found.st_ino || ours.st_rdev != found.st_rdev)
		return fail_detail("openat2", 0, "/dev/pts/0 is not the sandbox's terminal");
	return fd;
}

int pty_enter(unsigned uid)
{
	int fd = reopen_slave();

	if (fd < 0)
		return -1;
	if (fchown(fd, uid, (gid_t)-1) < 0)
		return fail("fchown");
	if (setpgid(0, 0) < 0 || (getpgrp() != getpid() && not_done() < 0))
		return fail("setpgid");
	if (run.attended && tcsetpgrp(fd, getpid()) < 0)
		return fail("tcsetpgrp");
	for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
		if ((run.terminals >> stream & 1) && dup2(fd, stream) != stream)
			return fail("dup2");
	return 0;
}

int pty_take_stop(void)
{
	uint64_t times;

	if (read(run.stops_fd, &times, sizeof(times)) != sizeof(times))
		return 0;
	return (int)atomic_exchange(&run.shared->payload_stopped, 0);
}

/* Takes the next word of init, of whatever it is; false when none comes. */
static bool hear_init(uint64_t until_ms)
{
	struct pollfd files[] = { { .fd = run.stops_fd, .events = POLLIN }, { .fd = run.init_pidfd, .events = POLLIN } };
	int left = left_ms(until_ms);
	uint64_t times;

	if (!left || poll(files, 2, left) <= 0 || files[1].revents)
		return false;
	return read(run.stops_fd, &times, sizeof(times)) == sizeof(times);
}

/* A payload that goes on before its place is changed reads where it has to stop, and is not stopped any more. */
void pty_attend(int attended)
{
	uint64_t until = now_ms() + CHANGE_WAIT_MS;

	atomic_store(&run.shared->foreground_changed, 0);
	if (sys_pidfd_send_signal(run.init_pidfd, attended ? SIGUSR1 : SIGUSR2) < 0)
		return;
	while (!atomic_load(&run.shared->foreground_changed) && hear_init(until))
		;
	/* What was heard may have been a stop: it is still to be taken. */
	wake_supervisor(run.stops_fd);
}
