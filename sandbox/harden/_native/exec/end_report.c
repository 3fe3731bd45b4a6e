#include "end_report.h"

#include "report.h"
#include "run.h"
#include "sys.h"
#include "usage.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/* In microseconds; the program has started, and ended, where the one and the other is not 0. */
static struct {
	int64_t begun, over;
} times;

static int64_t now_us(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void end_report_begin(void)
{
	times.begun = now_us();
}

void end_report_count(void)
{
	int64_t ignored;

	times.over = now_us();
	for (enum measure i = 0; i < MEASURE_COUNT; i++)
		usage_read(i, &ignored);
}

static const char *ending(bool failed, bool ended, bool timed_out)
{
	if (failed)
		return times.begun ? "killed" : "not-started";
	if (timed_out)
		return "timed-out";
	if (ended)
		return WIFEXITED(run.shared->payload_status) ? "exited" : "signaled";
	return "killed";
}

/* Seconds, or null and why. */
static void add_time(struct text *object, struct text *unknown, const char *name, int64_t us, const char *reason)
{
	text_member(object, name);
	if (!reason) {
		text_seconds(object, us);
		return;
	}
	text_add(object, "null");
	text_member(unknown, name);
	text_json(unknown, reason);
}

/* What wait4(2) told init of the program's own process. */
static void add_process(struct text *object, struct text *unknown, bool ended)
{
	const struct rusage *usage = &run.shared->payload_usage;
	const char *reason = ended ? NULL : "its process was killed with its PID 1, which asks for this, or never was";

	add_time(object, unknown, "process_cpu_user_s", microseconds(usage->ru_utime), reason);
	add_time(object, unknown, "process_cpu_system_s", microseconds(usage->ru_stime), reason);
	text_member_number(object, "process_memory_bytes", usage->ru_maxrss * 1024, ended);
	if (reason) {
		text_member(unknown, "process_memory_bytes");
		text_json(unknown, reason);
	}
}

static void add_error(struct text *document, bool failed)
{
	struct text message;

	text_begin(&message);
	if (failed)
		error_sentence(&message);
	text_member(document, "error");
	text_json(document, text_string(&message));
	text_member(document, "hint");
	text_json(document, failed ? plan_string(&run.plan, run.plan.ops[run.shared->error_op].hint) : "");
}

static void render(struct text *document, bool failed, bool ended, bool timed_out)
{
	struct text unknown;
	int status = run.shared->payload_status;
	/* What ended before it became the program is harden's own. */
	bool known = ended && times.begun;

	text_begin(&unknown);
	text_add(document, "{\"format\":\"harden-report/1\"");
	text_member(document, "ending");
	text_json(document, ending(failed, ended, timed_out));
	text_member(document, "program");
	text_json(document, plan_string(&run.plan, run.plan.ops[run.plan.first[STAGE_CHECK] - 1].s[0]));
	text_member_number(document, "exit_status", WEXITSTATUS(status), known && WIFEXITED(status));
	text_member_number(document, "signal", WTERMSIG(status), known && WIFSIGNALED(status));
	text_member(document, "timed_out");
	text_add(document, timed_out ? "true" : "false");
	add_error(document, failed);
	text_member(document, "usage");
	text_add(document, "{");
	add_time(document, &unknown, "elapsed_s", times.over - times.begun,
		 times.begun ? NULL : "the program did not start");
	usage_add(document, &unknown);
	add_process(document, &unknown, known);
	text_add(document, "}");
	text_member(document, "unknown");
	text_add(document, "{");
	text_add(document, text_string(&unknown));
	text_add(document, "}}\n");
	document->overflow |= unknown.overflow;
}

static bool refuse(const char *call)
{
	int number = errno;
	struct text message;

	text_begin(&message);
	text_add(&message, "harden: the report ");
	text_safe(&message, plan_string(&run.plan, run.plan.header.report_name));
	text_add(&message, " cannot be written: ");
	text_add(&message, call);
	text_add(&message, ": ");
	text_add(&message, errno_name(number));
	text_add(&message, " (");
	text_add(&message, errno_sentence(number));
	text_add(&message, ")\nhint: it says \"unfinished\" still; the program ended all the same\n");
	text_write(&message, STDERR_FILENO);
	return false;
}

/* What cannot be written whole is not there at all: by rename(2), as harden.kernel.atomic_file does. */
static bool replace(const struct text *document)
{
	const char *name = plan_string(&run.plan, run.plan.header.report_name), *failed = NULL;
	int folder = run.plan.header.report_fd, fd;
	struct text temporary;
	uint64_t random;

	text_begin(&temporary);
	/* A name that a program which may write there cannot have taken. */
	if (syscall(SYS_getrandom, &random, sizeof(random), 0) != sizeof(random))
		return refuse("getrandom");
	text_add(&temporary, ".");
	text_add(&temporary, name);
	text_add(&temporary, ".");
	text_hex(&temporary, random);
	text_add(&temporary, ".new");
	fd = openat(folder, text_string(&temporary), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return refuse("openat");
	if (!text_write(document, fd))
		failed = "write";
	else if (fsync(fd) < 0)
		failed = "fsync";
	else if (syscall(SYS_renameat2, folder, temporary.bytes, folder, name, 0) < 0)
		failed = "renameat2";
	if (failed) {
		refuse(failed);
		unlinkat(folder, temporary.bytes, 0);
	}
	close(fd);
	return !failed;
}

bool end_report_write(bool failed, bool ended, bool timed_out)
{
	struct text document;

	text_begin(&document);
	if (run.plan.header.report_fd < 0)
		return true;
	render(&document, failed, ended, timed_out);
	if (document.overflow) {
		errno = EMSGSIZE;
		return refuse("write");
	}
	return replace(&document);
}
