/* The supervisor: starts init, makes what only the outside can make, verifies, relays signals and the end. */
#include "cgroup.h"
#include "inherited.h"
#include "limit.h"
#include "notify.h"
#include "pty.h"
#include "readback.h"
#include "report.h"
#include "run.h"
#include "sys.h"
#include "terminal.h"
#include "waiting.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PIDFD_TO_GROUP (1U << 2) /* PIDFD_SIGNAL_PROCESS_GROUP, newer than some distributions' headers */
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof(*(array)))

static const int FORWARDED[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGUSR1,  SIGUSR2,   SIGTERM,
				 SIGCONT, SIGWINCH, SIGALRM, SIGVTALRM, SIGPROF };

/* Where the terminal's descriptors stand in what watch() polls. */
enum { TERMINAL_AT = 6 };

enum phase { STARTING, AT_GATE, EXECUTING, RUNNING };

static struct {
	enum phase phase;
	int signals;
	pid_t payload;
	int payload_pidfd;
	bool traced;
	bool killed;
	bool timed_out, lifeline_lost;
	bool init_gone;
	bool blind; /* what happens cannot be watched any more */
	int init_status;
	uint64_t deadline_ms;
	int32_t pieces[PLAN_MAX_SLOTS];
} state;

/* Init's death ends the pid namespace; cgroup.kill also reaches helpers beside it and needs no namespace. */
static void kill_all(void)
{
	if (state.killed)
		return;
	state.killed = true;
	cgroup_kill();
	/* Init is our unreaped child, so the number is its own. */
	if (run.init_pid > 0 && !state.init_gone)
		kill(run.init_pid, SIGKILL);
}

/* A call without which nothing can be waited for: not once more and again, but the end, named. */
static void cannot_watch(const char *call)
{
	fail(call);
	state.blind = true;
	kill_all();
}

static void open_gate(void)
{
	char byte = 'X';

	state.phase = EXECUTING;
	if (send(run.control[0], &byte, 1, MSG_NOSIGNAL) != 1) {
		fail("send");
		kill_all();
	}
}

/* The sandbox's processes have their own copies of the pieces; the host must not keep the mounts alive. */
static void drop_pieces(void)
{
	for (unsigned i = 0; i < PLAN_MAX_SLOTS; i++)
		if (state.pieces[i])
			close(state.pieces[i] - 1);
	if (run.user_namespace_fd >= 0)
		close(run.user_namespace_fd);
	drop_passed();
}

static void begin_tracing(pid_t payload)
{
	state.payload = payload;
	state.payload_pidfd = sys_pidfd_open(payload);
	if (state.payload_pidfd < 0) {
		fail("pidfd_open");
		kill_all();
	} else if (seize(payload) < 0) {
		fail("ptrace");
		kill_all();
	} else {
		state.traced = true;
	}
}

/* From init, before the payload exists. */
static void take_terminal(const struct cmsghdr *header)
{
	int master;

	if (!header || header->cmsg_type != SCM_RIGHTS)
		return;
	memcpy(&master, CMSG_DATA(header), sizeof(master));
	terminal_adopt(master);
}

/* It stays traced until it has executed its program. */
static void payload_born(pid_t payload)
{
	drop_pieces();
	begin_tracing(payload);
	if (state.traced && !readback_begin(payload))
		kill_all();
	else if (state.traced && run.plan.header.gate_fd < 0)
		open_gate();
}

/* From init or the payload, whose number outside comes from the kernel, with the packet. */
static void packet_arrived(short events)
{
	char byte, ancillary[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = ancillary,
				  .msg_controllen = sizeof(ancillary) };
	ssize_t got = recvmsg(run.control[0], &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *header = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
	struct ucred sender;

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	/* An end of file is one only where the other end is gone, as its process is then. */
	if (got == 0 && !(events & POLLHUP))
		got = not_done();
	if (got < 0)
		cannot_watch("recvmsg");
	if (got != 1 || state.phase != STARTING)
		return;
	if (!header || header->cmsg_type != SCM_CREDENTIALS) {
		not_done();
		cannot_watch("setsockopt");
		return;
	}
	memcpy(&sender, CMSG_DATA(header), sizeof(sender));
	if (byte == PACKET_TERMINAL) {
		take_terminal(CMSG_NXTHDR(&message, header));
		return;
	}
	if (byte == PACKET_BORN) {
		payload_born(sender.pid);
		return;
	}
	state.phase = AT_GATE;
	report_ready(run.init_pid, state.payload);
}

static bool verify(void)
{
	struct text document;

	text_begin(&document);
	if (!readback(&document))
		return false;
	if (run.plan.header.enforced_fd >= 0 && !text_write(&document, run.plan.header.enforced_fd)) {
		fail("write");
		return false;
	}
	if (run.plan.header.gate_fd < 0)
		report_ready(run.init_pid, state.payload);
	report_enforced(&document);
	terminal_begin();
	notify_begin();
	state.phase = RUNNING;
	return true;
}

static void payload_stopped(int status)
{
	int number = WSTOPSIG(status);

	if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) {
		if (!verify()) {
			/* It stands still and never runs: it is not let go, and dies itself before anything else does.
			 * It stays ours to reap; init waits for that. */
			sys_pidfd_send_signal(state.payload_pidfd, SIGKILL);
			kill_all();
			return;
		}
		/* One that was killed meanwhile cannot be detached and stays ours to reap, too. */
		state.traced = release(state.payload) < 0;
		if (state.traced && errno == E_NOT_DONE)
			cannot_watch("ptrace");
		return;
	}
	/* A signal that arrived before the program: it gets it. */
	ptrace(PTRACE_CONT, state.payload, NULL, status >> 16 ? 0 : number);
}

static void children_changed(void)
{
	pid_t of_payload = 0, of_init = 0;
	bool changed = false;
	int status;

	while (state.traced && !state.blind &&
	       (of_payload = waitpid(state.payload, &status, WNOHANG | __WALL)) == state.payload) {
		changed = true;
		if (WIFSTOPPED(status))
			payload_stopped(status);
		else
			state.traced = false;
	}
	if (!state.init_gone && !state.blind)
		of_init = waitpid(run.init_pid, &state.init_status, WNOHANG);
	if (of_init == run.init_pid)
		state.init_gone = changed = true;
	/* ECHILD: a payload that ended, and was reaped, before it was detached. */
	if (of_init < 0 || (of_payload < 0 && errno != ECHILD))
		cannot_watch("wait4");
	else if (!changed && has_changed(run.init_pid, state.traced ? state.payload : 0))
		not_done(), cannot_watch("wait4");
	if (notify_died())
		kill_all();
}

/* What a key of the terminal sends is for a whole process group. */
static void pass_on(int number, bool from_key)
{
	if (from_key && syscall(SYS_pidfd_send_signal, state.payload_pidfd, number, NULL, PIDFD_TO_GROUP) == 0)
		return;
	/* Before Linux 6.9 its number names the group, while the pidfd says that it is there. */
	if (from_key && sys_pidfd_send_signal(state.payload_pidfd, 0) == 0 && kill(-state.payload, number) == 0)
		return;
	sys_pidfd_send_signal(state.payload_pidfd, number);
}

static void signal_arrived(void)
{
	struct signalfd_siginfo info;
	ssize_t got = read(state.signals, &info, sizeof(info));

	if (got == 0)
		got = not_done();
	if (got < 0 && errno != EAGAIN && errno != EINTR)
		cannot_watch("read");
	if (got != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		children_changed();
		return;
	}
	if (info.ssi_signo == SIGWINCH && run.terminals) {
		terminal_resize();
		return;
	}
	/* The payload stops first, and init says so. */
	if (info.ssi_signo == SIGTSTP) {
		if (state.phase == RUNNING)
			pass_on(SIGTSTP, true);
		return;
	}
	if (info.ssi_signo == SIGCONT && state.phase == RUNNING)
		terminal_continued();
	/* From the terminal it went to a parent too, which passes on what it wants passed on. */
	if (info.ssi_code == SI_KERNEL && run.plan.header.flags & PLAN_QUIET)
		return;
	/* It may be there before its birth was read. */
	if (state.payload_pidfd >= 0 && atomic_load(&run.shared->at_gate))
		pass_on((int)info.ssi_signo, info.ssi_code == SI_KERNEL || (run.terminals && info.ssi_signo == SIGCONT));
	else if (info.ssi_signo != SIGWINCH && info.ssi_signo != SIGCONT) {
		fail_detail("", 0, "a signal ended harden before the program started");
		kill_all();
	}
}

static void gate_answered(void)
{
	char byte;
	ssize_t got = read(run.plan.header.gate_fd, &byte, 1);

	if (got == 1) {
		open_gate();
		return;
	}
	fail_detail("read", 0, "the gate was closed before it was opened");
	kill_all();
}

static int wait_ms(void)
{
	int left;

	if (!state.deadline_ms || state.killed)
		return -1;
	left = left_ms(state.deadline_ms);
	if (left)
		return left;
	state.timed_out = true;
	kill_all();
	return -1;
}

/* Told by init. */
static void payload_suspended(void)
{
	int number = pty_take_stop();

	if (number == 0 || state.phase != RUNNING)
		return;
	terminal_stopped(number);
	pass_on(SIGCONT, true);
}

static bool wait_for_event(struct pollfd *files, nfds_t count)
{
	int wait = wait_ms();
	uint64_t since = wait > 0 ? now_ms() : 0;
	int ready = poll(files, count, wait);

	if (ready == 0 && came_early(wait, since))
		ready = not_done();
	if (ready < 0 && errno != EINTR)
		cannot_watch("poll");
	return ready >= 0;
}

/* Killed, but not seen to end: the traced payload first, for which init waits. */
static void reap_all(void)
{
	int status;

	while (state.traced && waitpid(state.payload, &status, __WALL) == state.payload)
		state.traced = WIFSTOPPED(status);
	if (waitpid(run.init_pid, &state.init_status, __WALL) == run.init_pid)
		state.init_gone = true;
}

static void watch(void)
{
	while (!state.init_gone && !state.blind) {
		struct pollfd files[] = {
			{ .fd = state.signals, .events = POLLIN },
			{ .fd = state.phase == STARTING ? run.control[0] : -1, .events = POLLIN },
			{ .fd = state.phase == AT_GATE && !state.killed ? run.plan.header.gate_fd : -1, .events = POLLIN },
			/* No event asked for: only the hang-up of the other end is of interest. */
			{ .fd = state.killed ? -1 : run.plan.header.lifeline_fd, .events = 0 },
			{ .fd = run.stops_fd, .events = POLLIN },
			{ .fd = state.killed ? -1 : parent_fd(), .events = POLLIN },
			[TERMINAL_AT + TERMINAL_FILES - 1] = { .fd = -1 },
		};

		terminal_poll(files + TERMINAL_AT);
		if (!wait_for_event(files, ARRAY_LENGTH(files)))
			continue;
		if (files[1].revents & POLLIN)
			packet_arrived(files[1].revents);
		if (files[1].revents & POLLNVAL)
			cannot_watch("poll");
		if (files[2].revents)
			gate_answered();
		if (files[3].revents || files[5].revents) {
			state.lifeline_lost = true;
			kill_all();
		}
		if (files[0].revents)
			signal_arrived();
		terminal_move(files + TERMINAL_AT);
		if (files[4].revents)
			payload_suspended();
	}
	if (state.blind)
		reap_all();
}

static int exit_status(bool failed, bool ended)
{
	int status = run.shared->payload_status;

	if (failed && run.plan.ops[run.shared->error_op].code == OP_EXEC && run.shared->error_call[0])
		return run.shared->error_number == ENOENT || run.shared->error_number == ENOTDIR ? EXIT_NOT_FOUND
											       : EXIT_NOT_EXECUTABLE;
	if (failed)
		return EXIT_HARDEN;
	if (state.timed_out)
		return EXIT_TIMEOUT;
	if (ended)
		return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return state.lifeline_lost || state.killed ? 128 + SIGKILL : EXIT_HARDEN;
}

static _Noreturn void finish(void)
{
	bool failed, told, ended = atomic_load(&run.shared->payload_ended);
	int status = run.shared->payload_status;

	kill_all();
	notify_end();
	/* 1: a process died while it wrote the error down; half of one is still an error. */
	failed = atomic_load(&run.shared->failed) != 0;
	if (!failed && !ended && !state.timed_out && !state.lifeline_lost) {
		fail_detail("", 0, "the sandbox's init was killed");
		failed = true;
	}
	/* Its filter can kill it at execve: that is no end of a program, which never began. Another signal was sent. */
	if (!failed && ended && state.phase != RUNNING && (!WIFSIGNALED(status) || WTERMSIG(status) == SIGSYS)) {
		run.op = run.plan.first[STAGE_CHECK] - 1;
		fail_detail("", 0, "the process died before it became the program; does its filter kill execve?");
		failed = true;
	}
	/* A program that was verified and then ran is not undone by what comes later. */
	if (failed && ended && state.phase == RUNNING)
		failed = false;
	limits_report();
	cgroup_remove();
	terminal_end(state.signals, state.lifeline_lost ? PAST_MS : state.deadline_ms);
	told = report_end(failed, ended, state.timed_out);
	if (failed && !(run.plan.header.flags & PLAN_QUIET))
		print_error();
	status = exit_status(failed, ended);
	/* A run that was to be reported, and was not, is no success of harden's. */
	_exit(told || status ? status : EXIT_HARDEN);
}

/* Before there is anything to end: says why, and leaves nothing behind. */
static _Noreturn void give_up(const char *call)
{
	fail(call);
	finish();
}

/* The scheduler takes a session for a unit (sched(7), autogroup): a recorder that answers every call must be in that of the
 * program, or each switch between them costs half as much again. It leaves the caller's before either is born. */
static void share_session(void)
{
	if (run.plan.header.notify_fd >= 0 && !run.terminals)
		run.own_session = setsid() >= 0;
}

static void prepare(void)
{
	sigset_t set, blocked, now;
	int on = 1;

	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_LENGTH(FORWARDED); i++)
		sigaddset(&set, FORWARDED[i]);
	sigaddset(&set, SIGCHLD);
	if (!terminal_find(state.deadline_ms))
		give_up("timer_create");
	share_session();
	if (run.terminals)
		sigaddset(&set, SIGTSTP);
	/* A SIGCHLD that is ignored by our parent would make the kernel reap our children. */
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	blocked = set;
	/* Who blocks them may change a terminal from the background, and is not stopped when a read comes too late. */
	sigaddset(&blocked, SIGTTOU);
	sigaddset(&blocked, SIGTTIN);
	sigemptyset(&now);
	if (sigprocmask(SIG_BLOCK, &blocked, &run.original_mask) < 0 || sigprocmask(SIG_BLOCK, NULL, &now) < 0)
		give_up("rt_sigprocmask");
	if (sigismember(&now, SIGCHLD) != 1) {
		not_done();
		give_up("rt_sigprocmask");
	}
	state.signals = made(sys_signalfd(&set, SFD_CLOEXEC | SFD_NONBLOCK));
	if (state.signals < 0)
		give_up("signalfd");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, run.control) < 0 || run.control[0] < 0)
		give_up("socketpair");
	if (setsockopt(run.control[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		give_up("setsockopt");
	run.stops_fd = run.terminals ? made(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) : -1;
	if (run.terminals && run.stops_fd < 0)
		give_up("eventfd2");
	if (!raise_file_limit())
		give_up("prlimit");
	if ((run.plan.header.flags & PLAN_DIE_WITH_PARENT) && !watch_parent(&state.lifeline_lost))
		give_up("pidfd_open");
	if (run.plan.header.notify_fd >= 0 && !notify_start())
		give_up("seccomp_unotify");
}

_Noreturn void supervise(void)
{
	char byte = 'G';

	state.payload_pidfd = -1;
	if (run.plan.header.timeout_ms)
		state.deadline_ms = now_ms() + run.plan.header.timeout_ms;
	prepare();
	if (state.lifeline_lost || run_stage(STAGE_OUTSIDE) < 0) {
		kill_all();
		if (run.init_pid > 0)
			waitpid(run.init_pid, &state.init_status, __WALL);
		finish();
	}
	memcpy(state.pieces, run.shared->slots, sizeof(state.pieces));
	if (send(run.control[0], &byte, 1, MSG_NOSIGNAL) != 1) {
		fail("send");
		kill_all();
	}
	begin_gate();
	/* From here on the table is shared no more with anybody who may write to our end. */
	watch();
	finish();
}
