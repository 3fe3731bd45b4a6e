#include "report.h"

#include "end_report.h"
#include "run.h"
#include "usage.h"

#include <sys/wait.h>
#include <unistd.h>

void report(struct text *line)
{
	text_add(line, "\n");
	/* A parent that has closed its end is noticed by the lifeline, or does not care. */
	if (run.plan.header.status_fd >= 0)
		text_write(line, run.plan.header.status_fd);
}

void report_ready(pid_t init, pid_t payload)
{
	struct text line;

	text_begin(&line);
	text_add(&line, "{\"event\":\"ready\",\"init\":");
	text_number(&line, init);
	text_add(&line, ",\"payload\":");
	text_number(&line, payload);
	text_add(&line, "}");
	report(&line);
}

void report_enforced(struct text *document)
{
	struct text line;

	text_begin(&line);
	end_report_begin();
	text_add(&line, "{\"event\":\"enforced\",\"document\":");
	text_add(&line, text_string(document));
	text_add(&line, "}");
	report(&line);
}

bool report_end(bool failed, bool ended, bool timed_out)
{
	const struct shared *shared = run.shared;
	struct text line;
	int status = shared->payload_status;

	text_begin(&line);
	text_add(&line, "{\"event\":\"end\",\"timed_out\":");
	text_add(&line, timed_out ? "true" : "false");
	text_member_number(&line, "exit", WEXITSTATUS(status), ended && WIFEXITED(status));
	text_member_number(&line, "signal", WTERMSIG(status), ended && WIFSIGNALED(status));
	text_member_number(&line, "user_us", microseconds(shared->payload_usage.ru_utime), ended);
	text_member_number(&line, "system_us", microseconds(shared->payload_usage.ru_stime), ended);
	text_member_number(&line, "max_rss_kib", shared->payload_usage.ru_maxrss, ended);
	text_member_number(&line, "error_op", shared->error_op, failed);
	text_member_number(&line, "error_number", shared->error_number, failed);
	text_member(&line, "error_call");
	text_json(&line, failed ? shared->error_call : "");
	text_member(&line, "error_detail");
	text_json(&line, failed ? shared->error_detail : "");
	text_add(&line, "}");
	report(&line);
	return end_report_write(failed, ended, timed_out);
}

void error_sentence(struct text *message)
{
	const struct shared *shared = run.shared;

	text_safe(message, plan_string(&run.plan, run.plan.ops[shared->error_op].sentence));
	if (shared->error_call[0]) {
		text_add(message, ": ");
		text_safe(message, shared->error_call);
	}
	if (shared->error_number) {
		text_add(message, ": ");
		text_add(message, errno_name(shared->error_number));
		text_add(message, " (");
		text_add(message, errno_sentence(shared->error_number));
		text_add(message, ")");
	}
	if (shared->error_detail[0]) {
		text_add(message, ": ");
		text_safe(message, shared->error_detail);
	}
}

void print_error(void)
{
	const struct op *op = &run.plan.ops[run.shared->error_op];
	struct text message;

	text_begin(&message);
	text_add(&message, "harden: ");
	error_sentence(&message);
	text_add(&message, "\n");
	if (op->hint) {
		text_add(&message, "hint: ");
		text_safe(&message, plan_string(&run.plan, op->hint));
		text_add(&message, "\n");
	}
	text_write(&message, STDERR_FILENO);
}
