/* harden-prober: runs under a profile in the workload's place, tries a catalogue of actions and says what came of each.
 *
 * One line per action on fd 1, fields separated by tabs:
 *   id  allowed|refused|killed|not-tried  errno or signal name, or -  its number  system call  what it is for
 * and a last line "end TAB count". Status 0: every action has its line; 3: nothing could be written.
 */
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <stddef.h>

#include "action.h"
#include "raw.h"

/* A child ends with FAILED + errno (at most 133), so that a shell's own status is not taken for one. */
enum { FAILED = 100, CANNOT_REPORT = 3, NO_CHILD = -4096 };

static const char *const errno_names[] = {
	[EPERM] = "EPERM",
	[ENOENT] = "ENOENT",
	[ESRCH] = "ESRCH",
	[EINTR] = "EINTR",
	[EIO] = "EIO",
	[ENXIO] = "ENXIO",
	[E2BIG] = "E2BIG",
	[ENOEXEC] = "ENOEXEC",
	[EBADF] = "EBADF",
	[ECHILD] = "ECHILD",
	[EAGAIN] = "EAGAIN",
	[ENOMEM] = "ENOMEM",
	[EACCES] = "EACCES",
	[EFAULT] = "EFAULT",
	[EBUSY] = "EBUSY",
	[EEXIST] = "EEXIST",
	[EXDEV] = "EXDEV",
	[ENODEV] = "ENODEV",
	[ENOTDIR] = "ENOTDIR",
	[EISDIR] = "EISDIR",
	[EINVAL] = "EINVAL",
	[ENFILE] = "ENFILE",
	[EMFILE] = "EMFILE",
	[ENOTTY] = "ENOTTY",
	[ETXTBSY] = "ETXTBSY",
	[ENOSPC] = "ENOSPC",
	[EROFS] = "EROFS",
	[ENAMETOOLONG] = "ENAMETOOLONG",
	[ENOSYS] = "ENOSYS",
	[ELOOP] = "ELOOP",
	[EUSERS] = "EUSERS",
	[EPROTONOSUPPORT] = "EPROTONOSUPPORT",
	[ESOCKTNOSUPPORT] = "ESOCKTNOSUPPORT",
	[EOPNOTSUPP] = "EOPNOTSUPP",
	[EAFNOSUPPORT] = "EAFNOSUPPORT",
	[EADDRNOTAVAIL] = "EADDRNOTAVAIL",
	[ENETUNREACH] = "ENETUNREACH",
	[ETIMEDOUT] = "ETIMEDOUT",
	[ECONNREFUSED] = "ECONNREFUSED",
	[EHOSTUNREACH] = "EHOSTUNREACH",
	[EINPROGRESS] = "EINPROGRESS",
	[ESTALE] = "ESTALE",
	[EDQUOT] = "EDQUOT",
	[ENOKEY] = "ENOKEY",
};

static char line[512];
static unsigned int used;

static void add_text(const char *text)
{
	while (*text && used < sizeof(line) - 1)
		line[used++] = *text++;
}

static void add_number(long number)
{
	char digits[24];
	unsigned int at = sizeof(digits);

	digits[--at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number && at);
	add_text(digits + at);
}

/* The profile may know only one of the ways to write; a terminal, file, pipe and socket take at least one of them. */
static long write_some(const char *text, unsigned int size)
{
	struct iovec all = { (void *)text, size };
	long answer = RAW(__NR_write, 1, text, size);

	if (answer < 0)
		answer = RAW(__NR_writev, 1, &all, 1);
	if (answer < 0)
		answer = RAW(__NR_sendto, 1, text, size, 0, NULL, 0);
	return answer;
}

static void flush_line(void)
{
	unsigned int done = 0;

	line[used++] = '\n';
	while (done < used) {
		long answer = write_some(line + done, used - done);

		if (answer <= 0)
			raw_exit(CANNOT_REPORT);
		done += (unsigned int)answer;
	}
	used = 0;
}

static void report(const struct action *action, const char *result, const char *name, long number)
{
	add_text(action->id);
	add_text("\t");
	add_text(result);
	add_text("\t");
	add_text(name);
	add_text("\t");
	add_number(number);
	add_text("\t");
	add_text(action->call);
	add_text("\t");
	add_text(action->about);
	flush_line();
}

static int means_allowed(long answer, const int *passed)
{
	if (answer >= 0)
		return 1;
	for (int i = 0; i < 3 && passed[i]; i++)
		if (answer == -passed[i])
			return 1;
	return 0;
}

static void report_answer(const struct action *action, long answer, const int *passed)
{
	const char *name = "-";
	long number = answer < 0 ? -answer : 0;

	if (number) {
		name = "?";
		if (number < (long)(sizeof(errno_names) / sizeof(errno_names[0])) && errno_names[number])
			name = errno_names[number];
	}
	report(action, means_allowed(answer, passed) ? "allowed" : "refused", name, number);
}

/* The C library's fork(3) first, with its flags: a profile may list those exactly. */
static long fork_any_way(void)
{
	static int child_id;
	struct clone_args arguments = { .exit_signal = SIGCHLD };
	unsigned long flags = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
	long answer;

#if defined(__x86_64__)
	answer = RAW(__NR_clone, flags, NULL, NULL, &child_id, NULL);
#else
	answer = RAW(__NR_clone, flags, NULL, NULL, NULL, &child_id);
#endif
	if (answer < 0)
		answer = RAW(__NR_clone, SIGCHLD, NULL, NULL, NULL, NULL);
#ifdef __NR_fork
	if (answer < 0)
		answer = RAW(__NR_fork);
#endif
	if (answer < 0)
		answer = RAW(__NR_clone3, &arguments, sizeof(arguments));
	return answer;
}

/* Wait status as wait(2) gives it, or NO_CHILD. */
static long wait_any_way(long child)
{
	struct {
		int signal, error, code, padding, pid;
		unsigned int uid;
		int status;
		char rest[100];
	} info;
	int status = 0;

	if (RAW(__NR_wait4, child, &status, 0, NULL) == child)
		return status;
	if (RAW(__NR_waitid, P_PID, child, &info, WEXITED, NULL) == 0)
		return info.code == CLD_EXITED ? info.status << 8 : info.status;
	return NO_CHILD;
}

/* Run the action in a child: its wait status, or NO_CHILD when the profile allows none (or no waiting for it). */
static long run_in_child(long (*function)(void))
{
	long answer, child = fork_any_way();

	if (child < 0)
		return NO_CHILD;
	if (child == 0) {
		answer = function ? function() : 0;
		raw_exit(answer < 0 ? FAILED - (int)answer : 0);
	}
	return wait_any_way(child);
}

static void try_in_child(const struct action *action)
{
	long status = run_in_child(action->in_child);
	int signal = (int)(status & 0x7f), code = (int)(status >> 8 & 0xff);

	if (status == NO_CHILD)
		report(action, "not-tried", "-", 0);
	else if (signal == SIGSYS)
		report(action, "killed", "SIGSYS", signal);
	else if (signal == SIGSEGV && action->alone == NULL)
		/* A kernel without the i386 entry answers int 0x80 with a fault. */
		report(action, "killed", "SIGSEGV", signal);
	else if (signal == 0 && code > FAILED && code <= FAILED + 133)
		report_answer(action, FAILED - code, action->passed);
	else
		report(action, "allowed", "-", 0);
}

/* The action that says what refused the step before it: same line, the other call. */
static struct action first_step(const struct action *action)
{
	return (struct action){
		.id = action->id,
		.call = action->first_call,
		.about = action->about,
		.in_child = action->first,
		.alone = action->first,
	};
}

static int first_step_works(const struct action *action, int has_children)
{
	if (action->first == NULL)
		return 1;
	return has_children ? run_in_child(action->first) == 0 : action->first() >= 0;
}

static void try_alone(const struct action *action)
{
	if (action->alone == NULL)
		report(action, "not-tried", "-", 0);
	else
		report_answer(action, action->alone(), action->passed_alone);
}

_Noreturn void prober_main(void)
{
	int has_children = run_in_child(NULL) != NO_CHILD;

	for (unsigned int i = 0; i < action_count; i++) {
		struct action tried = actions[i];

		if (!first_step_works(&tried, has_children))
			tried = first_step(&tried);
		if (has_children)
			try_in_child(&tried);
		else
			try_alone(&tried);
	}
	add_text("end\t");
	add_number(action_count);
	flush_line();
	raw_exit(0);
}
