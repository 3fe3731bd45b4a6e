/* The relay has two states. *Attended*: the caller's terminal is raw, every key goes in, and the sandbox's terminal does
 * with it what terminals do (termios(3)): signals, echo, lines. *Unattended*: the caller's terminal stays as it is and
 * is not read, because it is another job's at the moment, or other programs of a pipeline use it too. The payload is
 * then a background job of its own terminal: as soon as it reads, or changes the modes, it stops with SIGTTIN or
 * SIGTTOU, and that is when it gets the terminal. */
#include "terminal.h"

#include "inherited.h"
#include "pty.h"
#include "run.h"
#include "sys.h"
#include "text.h"
#include "waiting.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>

/* What the terminal takes at once without blocking, where it could not be opened a second time (n_tty's WAKEUP_CHARS
 * is 256). */
enum { BUFFER = 16384, SAFE_WRITE = 128, STOP_WAIT_MS = 1000 };

struct buffer {
	size_t from, to;
	char bytes[BUFFER];
};

static struct {
	int in, out; /* of the caller's terminal */
	bool own_description;
	int master, slave;
	bool wanted;   /* by the program, or from the start */
	bool attended; /* raw, and relayed */
	bool inside;   /* the payload is its terminal's foreground job */
	struct termios original;
} state = { .in = -1, .out = -1, .master = -1, .slave = -1 };

/* Apart from what is not zero at the start: this takes no room in the program. */
static struct buffer inward, outward;

static bool is_empty(const struct buffer *buffer)
{
	return buffer->from == buffer->to;
}

/* An own open file description can be non-blocking without the other users of the terminal noticing. */
static int open_again(int stream)
{
	struct text path;
	int fd;

	text_begin(&path);
	text_add(&path, "/proc/self/fd/");
	text_number(&path, stream);
	fd = open(text_string(&path), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	state.own_description = fd >= 0;
	/* It can belong to another user, as after su(1). */
	return fd >= 0 ? fd : fcntl(stream, F_DUPFD_CLOEXEC, 3);
}

static int first_of(const int *streams)
{
	for (unsigned i = 0; i < 3; i++)
		if (run.terminals >> streams[i] & 1)
			return streams[i];
	return -1;
}

/* On a terminal that is not the session's own there is no foreground to be in. */
static bool in_foreground(void)
{
	pid_t group = tcgetpgrp(state.in);

	return group < 0 || group == getpgrp();
}

/* On a terminal harden stops with its program, and a stopped process keeps no time: the kernel continues it for that. */
static bool continue_at(uint64_t deadline_ms)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCONT };
	struct itimerspec at = { .it_value = { (time_t)(deadline_ms / 1000), (long)(deadline_ms % 1000) * 1000000 } };
	timer_t timer;

	return timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, TIMER_ABSTIME, &at, NULL) == 0;
}

bool terminal_find(uint64_t deadline_ms)
{
	static const int IN[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };
	static const int OUT[] = { STDOUT_FILENO, STDERR_FILENO, STDIN_FILENO };

	for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
		if (isatty(stream))
			run.terminals |= 1U << stream;
	if (!run.terminals)
		return true;
	if (deadline_ms && !continue_at(deadline_ms))
		return false;
	state.in = open_again(first_of(IN));
	state.out = open_again(first_of(OUT));
	if (state.in < 0 || state.out < 0 || tcgetattr(state.in, &state.original) < 0)
		/* It was there a moment ago: the program runs on a terminal that has hung up. */
		return true;
	/* With only one of the two this is a pipeline, whose other programs need the terminal too. */
	state.wanted = (run.terminals & 3) == 3;
	run.attended = state.wanted && in_foreground();
	return true;
}

static void copy_size(void)
{
	struct winsize size;

	if (state.in >= 0 && state.master >= 0 && ioctl(state.in, TIOCGWINSZ, &size) == 0)
		ioctl(state.master, TIOCSWINSZ, &size);
}

/* While the caller's terminal processes the output, the sandbox's must not do it as well. */
static void process_output_inside(bool on)
{
	struct termios modes;

	if (state.master < 0 || tcgetattr(state.master, &modes) < 0)
		return;
	modes.c_oflag &= ~(tcflag_t)OPOST;
	if (on)
		modes.c_oflag |= state.original.c_oflag & OPOST;
	tcsetattr(state.master, TCSANOW, &modes);
}

/* The caller's terminal is gone: so is the sandbox's (SIGHUP inside, and end of file). */
static void hang_up(void)
{
	if (state.in >= 0)
		close(state.in);
	if (state.out >= 0)
		close(state.out);
	if (state.slave >= 0)
		close(state.slave);
	if (state.master >= 0)
		close(state.master);
	state.in = state.out = state.slave = state.master = -1;
	state.attended = false;
}

void terminal_adopt(int master)
{
	state.master = master;
	if (state.in < 0 || state.out < 0) {
		hang_up();
		return;
	}
	/* Held open, so that the master is never without a terminal while no process has it open. */
	state.slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	tcsetattr(master, TCSANOW, &state.original);
	state.inside = run.attended;
	if (!state.inside)
		process_output_inside(false);
	copy_size();
}

static void leave(void)
{
	if (state.attended && state.in >= 0)
		tcsetattr(state.in, TCSANOW, &state.original);
	state.attended = false;
}

static void attend(void)
{
	struct termios raw;

	if (!state.attended && tcgetattr(state.in, &state.original) == 0) {
		raw = state.original;
		cfmakeraw(&raw);
		state.attended = tcsetattr(state.in, TCSANOW, &raw) == 0;
	}
	if (!state.inside) {
		process_output_inside(true);
		pty_attend(true);
	}
	state.inside = true;
	copy_size();
}

static void withdraw(void)
{
	if (!state.inside)
		return;
	process_output_inside(false);
	pty_attend(false);
	state.inside = false;
}

void terminal_begin(void)
{
	if (state.master < 0 || state.in < 0)
		return;
	if (state.wanted && in_foreground())
		attend();
	else
		withdraw();
}

void terminal_resize(void)
{
	copy_size();
}

void terminal_poll(struct pollfd files[TERMINAL_FILES])
{
	short out = 0;

	for (unsigned i = 0; i < TERMINAL_FILES; i++)
		files[i] = (struct pollfd){ .fd = -1 };
	if (state.master < 0)
		return;
	/* With no event asked for, a hang-up is still told. */
	files[0].fd = state.in;
	files[0].events = state.attended && is_empty(&inward) ? POLLIN : 0;
	files[1].fd = is_empty(&outward) ? -1 : state.out;
	files[1].events = POLLOUT;
	if (!is_empty(&inward))
		out |= POLLOUT;
	if (is_empty(&outward))
		out |= POLLIN;
	files[2].fd = out ? state.master : -1;
	files[2].events = out;
}

/* Returns false when the descriptor has nothing more to say, ever. */
static bool fill(struct buffer *buffer, int fd)
{
	ssize_t got = read(fd, buffer->bytes, BUFFER);

	if (got > 0) {
		buffer->from = 0;
		buffer->to = (size_t)got;
	}
	return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool empty(struct buffer *buffer, int fd, size_t limit)
{
	size_t length = buffer->to - buffer->from;
	ssize_t done = write(fd, buffer->bytes + buffer->from, length < limit ? length : limit);

	if (done > 0)
		buffer->from += (size_t)done;
	return done >= 0 || errno == EAGAIN || errno == EINTR;
}

static size_t write_limit(void)
{
	return state.own_description ? BUFFER : SAFE_WRITE;
}

static void take_keys(void)
{
	if (fill(&inward, state.in))
		return;
	if (in_foreground()) {
		hang_up();
		return;
	}
	/* Another job has the terminal now, and its modes. */
	state.attended = false;
	withdraw();
}

void terminal_move(const struct pollfd files[TERMINAL_FILES])
{
	if (files[2].revents & POLLIN)
		fill(&outward, state.master);
	if (files[2].revents & POLLOUT)
		empty(&inward, state.master, BUFFER);
	if (files[1].revents && !empty(&outward, state.out, write_limit()))
		/* A terminal that cannot be written to has hung up. */
		hang_up();
	else if (files[0].revents & POLLIN)
		take_keys();
	else if (files[0].revents)
		hang_up();
}

/* Whether somebody wants harden to end; other signals have nothing to say any more. */
static bool must_end(int signals)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return false;
	return info.ssi_signo == SIGHUP || info.ssi_signo == SIGINT || info.ssi_signo == SIGQUIT ||
	       info.ssi_signo == SIGTERM;
}

/* For a terminal that takes nothing: a moment where it is later than that already. */
static int flush_wait_ms(uint64_t deadline_ms)
{
	int left = left_ms(deadline_ms);

	if (!deadline_ms)
		return -1;
	return left ? left : STOP_WAIT_MS;
}

/* Everything that is in the sandbox's terminal goes out, as far as the caller's terminal takes it. */
static void flush_outward(int signals, uint64_t deadline_ms)
{
	while (state.master >= 0 && state.out >= 0) {
		struct pollfd files[] = {
			{ .fd = state.out, .events = POLLOUT },
			{ .fd = signals, .events = POLLIN },
			{ .fd = parent_fd(), .events = POLLIN },
		};

		if (is_empty(&outward) && (!fill(&outward, state.master) || is_empty(&outward)))
			return;
		if (poll(files, 3, flush_wait_ms(deadline_ms)) == 0)
			return;
		if (files[1].revents & POLLIN && must_end(signals))
			return;
		if (files[2].revents && !files[0].revents)
			return;
		if (files[0].revents && !empty(&outward, state.out, write_limit()))
			return;
	}
}

/* Stops the whole job of the caller, as the key or the read would have; false when nothing would ever continue it and
 * the kernel therefore did not stop it: its process group is orphaned. */
static bool stop_job(int number)
{
	sigset_t stop, pending, mask;

	sigemptyset(&stop);
	sigaddset(&stop, number);
	kill(0, number);
	/* The signal that is pending for this process stops it here. */
	sigprocmask(SIG_UNBLOCK, &stop, &mask);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return sigpending(&pending) == 0 && sigismember(&pending, SIGCONT) == 1;
}

void terminal_continued(void)
{
	if (state.master < 0)
		return;
	if (state.wanted && in_foreground())
		attend();
	else
		withdraw();
}

void terminal_stopped(int number)
{
	bool asked = number == SIGTTIN || number == SIGTTOU;

	if (state.master < 0)
		return;
	state.wanted |= asked;
	if (asked && in_foreground()) {
		attend();
		return;
	}
	flush_outward(-1, PAST_MS);
	leave();
	if (stop_job(asked ? number : SIGTSTP) || in_foreground()) {
		terminal_continued();
		return;
	}
	/* What it reads comes when the terminal is harden's. */
	if (!state.inside)
		pty_attend(true);
	state.inside = true;
}

void terminal_end(int signals, uint64_t deadline_ms)
{
	if (state.slave >= 0)
		close(state.slave);
	state.slave = -1;
	flush_outward(signals, deadline_ms);
	leave();
}
