/* The recorder of a user: a process of harden-exec's own that holds the listener and answers every call.
 *
 * It is the only holder, so that its death, by itself or with the supervisor, lets no call go on unrecorded: they fail
 * with ENOSYS. It is cloned before everything else and allocates nothing afterwards. */
#include "notify.h"

#include "notify_call.h"
#include "run.h"
#include "sys.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

/* Newer than some distributions' headers. */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

#define WAKE SIGRTMIN
#define RETRY_NS 1000000
#define X32_BIT 0x40000000U

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif

static int listener = -1;
static pid_t recorder;
static union {
	struct seccomp_notif call;
	char room[512]; /* for fields that a newer kernel has (SECCOMP_GET_NOTIF_SIZES) */
} request;
static union {
	struct seccomp_notif_resp answer;
	char room[512];
} response;
static struct seccomp_notif_sizes sizes;

static bool is_valid(uint64_t id)
{
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

static uint32_t abi_of(uint32_t arch, uint32_t *nr)
{
	if (arch != NATIVE_ARCH)
		return ABI_COMPAT;
#ifdef __x86_64__
	if (*nr & X32_BIT && *nr != ~0U) {
		*nr &= ~X32_BIT;
		return ABI_X32;
	}
#else
	(void)nr;
#endif
	return ABI_NATIVE;
}

static bool moves_root(uint32_t nr)
{
	return nr == SYS_chroot || nr == SYS_pivot_root || nr == SYS_unshare || nr == SYS_setns;
}

/* Those in memory (clone3) are what they are before the call is made; the program's other threads may change them. */
static void see_arguments(const struct waiting *call)
{
	const struct argument_row *row = &notify_table->config.arguments[call->nr];
	uint64_t arguments[6];

	memcpy(arguments, call->arguments, sizeof(arguments));
	if (row->pointed && row->index[0] < 6) {
		uint64_t *first = &arguments[row->index[0]];

		if (!look_bytes(call, *first, first, sizeof(*first)) || !look_is_valid(call->id))
			return;
	}
	table_arguments(call->executable, call->nr, arguments, call->process);
}

static void see_native(struct task *task, const struct seccomp_data *data)
{
	uint64_t arguments[6];
	struct waiting call = { .id = request.call.id, .tid = task->tid, .process = task->process,
				.executable = task->executable, .nr = (uint32_t)data->nr, .at_root = task->at_root,
				.arguments = arguments };
	const struct call_row *row;

	if (call.nr >= SYSCALLS)
		return;
	memcpy(arguments, data->args, sizeof(arguments));
	if (notify_table->config.traits[call.nr] & TRAIT_ARGUMENTS)
		see_arguments(&call);
	row = &notify_table->config.calls[call.nr];
	if (row->kind != CALL_NONE || row->also == ALSO_TYPE)
		call_see(&call, task);
	if (moves_root(call.nr))
		task_roots_change();
	else if (call.nr == SYS_execve || call.nr == SYS_execveat)
		task_changes(task);
	else if (call.nr == SYS_exit || call.nr == SYS_exit_group)
		task_ends(task, call.nr == SYS_exit_group);
	else if (call.nr == SYS_seccomp && arguments[0] == SECCOMP_SET_MODE_FILTER &&
		 arguments[1] & SECCOMP_FILTER_FLAG_NEW_LISTENER)
		notify_table->header.listeners++;
}

static void see(void)
{
	const struct seccomp_data *data = &request.call.data;
	uint32_t nr = (uint32_t)data->nr, abi = abi_of(data->arch, &nr);
	struct task *task = task_of(request.call.id, (pid_t)request.call.pid);

	if (!task)
		return; /* It was killed: the call is not made. */
	table_count(task->executable, abi, nr, task->process);
	if (abi == ABI_NATIVE)
		see_native(task, data);
	else
		task_changes(task); /* Which foreign call executes a program is not looked up. */
}

static bool answer(void)
{
	memset(&response, 0, sizes.seccomp_notif_resp);
	response.answer.id = request.call.id;
	response.answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	/* ENOENT: it was killed, or a signal interrupted the call, which comes again then. */
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) == 0 || errno == ENOENT || errno == EINTR;
}

static bool is_hung_up(void)
{
	struct pollfd file = { .fd = listener };

	return poll(&file, 1, 0) == 1 && file.revents & POLLHUP;
}

/* Until nobody is left who could call. */
static bool serve(void)
{
	while (atomic_load(&run.shared->recording) != RECORDING_OVER) {
		memset(&request, 0, sizes.seccomp_notif);
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0) {
			if (errno == ENOENT && is_hung_up())
				return true;
			if (errno != ENOENT && errno != EINTR)
				return false;
			continue;
		}
		if (atomic_load(&run.shared->recording) == RECORDING_ON)
			see();
		if (!answer())
			return false;
	}
	return true;
}

/* The listener, from the payload; none comes if the sandbox ends before. */
static int receive_listener(int from)
{
	char byte, ancillary[CMSG_SPACE(sizeof(int))];
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = ancillary,
				  .msg_controllen = sizeof(ancillary) };
	struct cmsghdr *header;
	ssize_t got;
	int fd;

	do
		got = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR && atomic_load(&run.shared->recording) != RECORDING_OVER);
	header = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	/* What else it says: 'K' that received calls wait for fatal signals only. */
	if (byte == 'K')
		notify_table->header.features |= NOTIFY_KILLABLE;
	return fd;
}

static void woken(int number)
{
	(void)number;
}

static _Noreturn void record(int channel, pid_t supervisor)
{
	struct sigaction action = { .sa_handler = woken };
	const char mapped = 'M';

	/* Nothing of its own is to keep others waiting for an end of file. */
	close(run.notify[1]);
	run.notify[1] = -1;
	look_is_valid = is_valid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != supervisor || !look_prepare() ||
	    !table_map(run.plan.header.notify_fd) || sigaction(WAKE, &action, NULL) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0 || sizes.seccomp_notif > sizeof(request) ||
	    sizes.seccomp_notif_resp > sizeof(response) || send(channel, &mapped, 1, MSG_NOSIGNAL) != 1)
		_exit(EXIT_HARDEN);
	if (run.plan.header.notify_flags & NOTIFY_PLAN_ONE_CPU)
		notify_table->header.features |= NOTIFY_ONE_CPU;
	notify_table->header.state = NOTIFY_RECORDING;
	listener = receive_listener(channel);
	if (listener < 0)
		_exit(0);
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) == 0)
		notify_table->header.features |= NOTIFY_SYNC_WAKE_UP;
	if (!serve())
		_exit(EXIT_HARDEN);
	task_finish();
	notify_table->header.state = NOTIFY_FINISHED;
	_exit(0);
}

/* The payload inherits it, and everything else that is started here. */
static bool stay_on_one_cpu(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	if (cpu < 0)
		return false;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

bool notify_start(void)
{
	pid_t supervisor = getpid();
	char byte;

	if ((run.plan.header.notify_flags & NOTIFY_PLAN_ONE_CPU) && !stay_on_one_cpu())
		return false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, run.notify) < 0)
		return false;
	recorder = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (recorder == 0 && getpid() == supervisor)
		recorder = not_done();
	if (recorder < 0)
		return false;
	if (recorder == 0)
		record(run.notify[0], supervisor);
	close(run.notify[0]);
	return recv(run.notify[1], &byte, 1, 0) == 1;
}

void notify_begin(void)
{
	atomic_store(&run.shared->recording, RECORDING_ON);
	/* The payload's own end is closed with its exec. */
	if (run.notify[1] >= 0)
		close(run.notify[1]);
	run.notify[1] = -1;
}

bool notify_died(void)
{
	int status;

	if (recorder <= 0 || waitpid(recorder, &status, WNOHANG) != recorder)
		return false;
	recorder = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return false;
	for (uint32_t i = run.plan.first[STAGE_PAYLOAD]; i < run.plan.first[STAGE_CHECK]; i++)
		if (run.plan.ops[i].code == OP_NOTIFY)
			run.op = i;
	fail_detail("", 0, "the recorder died, and no call of the program was carried out any more");
	return true;
}

void notify_end(void)
{
	struct timespec pause = { .tv_nsec = RETRY_NS };

	if (recorder <= 0)
		return;
	atomic_store(&run.shared->recording, RECORDING_OVER);
	/* A signal that comes just before it waits is lost: one more follows. */
	while (waitpid(recorder, NULL, WNOHANG) == 0) {
		kill(recorder, WAKE);
		nanosleep(&pause, NULL);
	}
	recorder = 0;
}

/* sendmsg with a value in the argument register that it ignores: the filter lets this one call pass by. */
static long send_listener(int fd, char byte, uint64_t cookie)
{
	char ancillary[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = ancillary,
				  .msg_controllen = sizeof(ancillary) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return syscall(SYS_sendmsg, run.notify[1], &message, (unsigned long)MSG_NOSIGNAL, 0UL, 0UL, (unsigned long)cookie);
}

int op_notify(const struct op *op)
{
	struct sock_fprog filter = { .len = (unsigned short)(op->n[1] / 8),
				     .filter = (struct sock_filter *)(uintptr_t)(run.plan.blobs + op->n[0]) };
	unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
	char kind = 'K';

	if (fd < 0 && errno == EINVAL) {
		kind = 'I';
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
	}
	if (fd < 0)
		return fail("seccomp");
	return send_listener((int)fd, kind, op->n[2]) == 1 ? 0 : fail("sendmsg");
}
