/* Limits of the sandbox's cgroup, written before anything is born into it: cgroups(7), admin-guide/cgroup-v2.rst. */
#include "limit.h"

#include "end_report.h"
#include "run.h"
#include "sys.h"
#include "usage.h"

#include <errno.h>
#include <string.h>

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return at;
}

static const char *word_end(const char *at, const char *end)
{
	while (at < end && *at != ' ' && *at != '\t')
		at++;
	return at;
}

const char *next_line(const char **lines, size_t *length)
{
	const char *line = *lines;

	if (*line == 0)
		return NULL;
	*length = strcspn(line, "\n");
	*lines = line + *length + (line[*length] == '\n');
	return line;
}

bool same_line(const char *left, size_t left_length, const char *right, size_t right_length)
{
	const char *left_end = left + left_length, *right_end = right + right_length;

	for (;;) {
		const char *left_word = skip_blanks(left, left_end), *right_word = skip_blanks(right, right_end);

		left = word_end(left_word, left_end);
		right = word_end(right_word, right_end);
		if (left - left_word != right - right_word ||
		    memcmp(left_word, right_word, (size_t)(left - left_word)) != 0)
			return false;
		if (left == left_word)
			return true;
	}
}

static void add_part(struct text *text, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		text_add(text, (char[]){ bytes[i], 0 });
}

/* The limits are set one above the cgroup that the payload is born in, which is the root of its cgroup namespace: where
 * it could write to its own cgroup's files, it still has no way to these. */
static int open_file(const char *name, int flags)
{
	struct text path;

	text_begin(&path);
	text_add(&path, "../");
	text_add(&path, name);
	return openat(run.plan.header.cgroup_fd, text_string(&path), flags | O_CLOEXEC | O_NOFOLLOW);
}

int op_limit(const struct op *op)
{
	const char *value = plan_string(&run.plan, op->s[1]);
	size_t length = strlen(value);
	ssize_t written;
	int fd = open_file(plan_string(&run.plan, op->s[0]), O_WRONLY);

	if (fd < 0)
		return fail("openat");
	written = write(fd, value, length);
	if (written != (ssize_t)length)
		fail("write");
	close(fd);
	return written == (ssize_t)length ? 0 : -1;
}

bool read_limited(const char *name, char *out, size_t size)
{
	int fd = open_file(name, O_RDONLY), number;
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, out, size - 1);
	number = errno;
	close(fd);
	errno = number;
	out[got > 0 ? got : 0] = 0;
	return got >= 0;
}

static bool has_line(const char *content, const char *wanted, size_t wanted_length)
{
	const char *line;
	size_t length;

	while ((line = next_line(&content, &length)))
		if (same_line(line, length, wanted, wanted_length))
			return true;
	return false;
}

bool check_limits(const char *expected, struct text *value)
{
	const char *line;
	size_t length;

	while ((line = next_line(&expected, &length))) {
		size_t name_length = (size_t)(word_end(line, line + length) - line);
		char name[64], content[4096];

		if (name_length >= sizeof(name))
			return false;
		memcpy(name, line, name_length);
		name[name_length] = 0;
		text_add(value, value->length ? ", " : "");
		if (!read_limited(name, content, sizeof(content))) {
			text_add(value, name);
			text_add(value, " cannot be read");
			return false;
		}
		if (!has_line(content, line + name_length, length - name_length)) {
			text_add(value, name);
			text_add(value, " is ");
			add_part(value, content, strcspn(content, "\n"));
			return false;
		}
		add_part(value, line, length);
	}
	return true;
}

static void report_event(const char *before, int64_t count, const char *after)
{
	struct text message;

	text_begin(&message);
	text_add(&message, before);
	text_number(&message, count);
	text_add(&message, after);
	text_write(&message, STDERR_FILENO);
}

void limits_report(void)
{
	int64_t kills, refused, events = 0;

	if (run.plan.header.report_fd >= 0)
		end_report_count();
	/* A parent that asked for silence reads the same files. */
	if (run.plan.header.cgroup_fd < 0 || run.plan.header.flags & PLAN_QUIET)
		return;
	/* A kill without its limit being reached came from above: oom counts the one, oom_kill both. */
	if (usage_read(OOM_KILLS, &kills) && kills > 0)
		report_event("harden: memory: the kernel killed ", kills,
			     !usage_read(OOM_EVENTS, &events) || events > 0
				     ? " of its processes: the memory limit was reached\n"
				     : " of its processes: the host, or a cgroup above, was out of memory\n");
	if (usage_read(FORKS_REFUSED, &refused) && refused > 0)
		report_event("harden: pids: ", refused,
			     " processes or threads were refused: the pids limit was reached\n");
}

static const struct {
	const char *name, *title;
} RLIMITS[] = {
	{ "cpu", "Max cpu time" },
	{ "fsize", "Max file size" },
	{ "data", "Max data size" },
	{ "stack", "Max stack size" },
	{ "core", "Max core file size" },
	{ "rss", "Max resident set" },
	{ "nproc", "Max processes" },
	{ "nofile", "Max open files" },
	{ "memlock", "Max locked memory" },
	{ "as", "Max address space" },
	{ "locks", "Max file locks" },
	{ "sigpending", "Max pending signals" },
	{ "msgqueue", "Max msgqueue size" },
	{ "nice", "Max nice priority" },
	{ "rtprio", "Max realtime priority" },
	{ "rttime", "Max realtime timeout" },
};

static const char *rlimit_title(const char *name, size_t length)
{
	for (unsigned i = 0; i < sizeof(RLIMITS) / sizeof(*RLIMITS); i++)
		if (strlen(RLIMITS[i].name) == length && strncmp(RLIMITS[i].name, name, length) == 0)
			return RLIMITS[i].title;
	return NULL;
}

/* The soft and the hard value of one limit, as the kernel writes them. */
static bool check_rlimit(const char *title, const char *expected, size_t expected_length, const char *actual,
			 struct text *value)
{
	const char *line = title ? strstr(actual, title) : NULL, *end, *soft, *hard;

	if (!line)
		return false;
	end = line + strcspn(line, "\n");
	soft = skip_blanks(line + strlen(title), end);
	hard = skip_blanks(word_end(soft, end), end);
	add_part(value, soft, (size_t)(word_end(soft, end) - soft));
	text_add(value, " of ");
	add_part(value, hard, (size_t)(word_end(hard, end) - hard));
	return same_line(soft, (size_t)(word_end(hard, end) - soft), expected, expected_length);
}

bool check_rlimits(const char *expected, const char *actual, struct text *value)
{
	const char *line;
	size_t length;

	while ((line = next_line(&expected, &length))) {
		size_t name_length = (size_t)(word_end(line, line + length) - line);

		text_add(value, value->length ? ", " : "");
		add_part(value, line, name_length);
		text_add(value, " ");
		if (!check_rlimit(rlimit_title(line, name_length), line + name_length, length - name_length, actual,
				  value))
			return false;
	}
	return true;
}
