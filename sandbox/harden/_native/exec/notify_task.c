/* Tasks and executables.
 *
 * A task's program is read from /proc/TID/exe and from the name that execve was given, which the kernel leaves in the
 * program's memory (AT_EXECFN, getauxval(3)): only that tells a script from its interpreter. It is looked up again after
 * an exec. A number whose task ended is looked up again too, and all are when the kernel begins anew to count, because
 * one that was killed said nothing. */
#include "notify_task.h"

#include "notify_survivors.h"
#include "sys.h"
#include "text.h"

#include <elf.h>
#include <limits.h>
#include <string.h>

#define TASKS 65536
#define PENDING 1024
#define FAR_BELOW 4096 /* tasks that begin together are seen in any order */
#define AUXILIARY_WORDS 128
#define FEW_THREADS 16

/* An execve under way. */
struct pending {
	pid_t tid, group;
	uint32_t caller;
	uint64_t name;      /* hash of what AT_EXECFN will be */
	char path[NOTIFY_PATH]; /* what was executed, from the root */
	char object[NOTIFY_PATH]; /* and where that leads */
};

struct program {
	uint64_t file, name, script;
};

static struct task tasks[TASKS]; /* by number; one that is pushed out is looked up again */
static struct pending pendings[PENDING];
static struct program programs[NOTIFY_EXECUTABLES];
static uint64_t generation = 1;
static pid_t first_group; /* the payload's */
static bool is_over;      /* the payload ended by itself */

static pid_t newest;      /* the task that was looked up last for the first time */

void task_roots_change(void)
{
	look_forget_root();
	generation++;
}

void task_changes(struct task *task)
{
	struct task *leader = &tasks[(unsigned)task->group % TASKS];

	task->generation = 0;
	/* A thread that executes takes its group's number. */
	if (leader->group == task->group)
		leader->generation = 0;
}

static uint64_t hash_of(const char *string)
{
	return table_hash(notify_table->config.seed, string, strlen(string));
}

/* What execve's caller named, as the kernel hands it on: a descriptor stands for its own path in /dev/fd. */
static uint64_t name_hash(const struct waiting *call, const char *name)
{
	struct text text;

	text_begin(&text);
	if (call->nr == SYS_execveat && name[0] != '/' && (int)call->arguments[0] != AT_FDCWD) {
		text_add(&text, "/dev/fd/");
		text_number(&text, (int)call->arguments[0]);
		text_add(&text, name[0] ? "/" : "");
	}
	text_add(&text, name);
	return hash_of(text_string(&text));
}

void task_executes(const struct waiting *call, const struct task *task, const struct named *named,
		   const struct found *found)
{
	struct pending *pending = &pendings[(unsigned)task->group % PENDING];

	/* Somebody else's that nobody came back from: whether its program was a script is lost. */
	if (pending->group && pending->group != task->group && look_is_alive(pending->group))
		notify_table->header.losses.tasks++;
	pending->tid = task->tid;
	pending->group = task->group;
	pending->caller = task->executable;
	pending->name = name_hash(call, named->name);
	memcpy(pending->path, named->whole, sizeof(pending->path));
	/* A name by way of a descriptor is another file's the next time. */
	if (found->is_pathless)
		memcpy(pending->path, found->object + 1, sizeof(pending->path) - 1);
	else if (found->has_jumped)
		memcpy(pending->path, found->object, sizeof(pending->path));
	memcpy(pending->object, found->object, sizeof(pending->object));
}

/* Values of the auxiliary vector: the address of the name that was executed, and where the loader is. */
static bool read_auxiliary(pid_t tid, uint64_t *name, uint64_t *loader)
{
	unsigned long words[AUXILIARY_WORDS];
	ssize_t got = look_file(tid, "auxv", words, sizeof(words));

	*name = *loader = 0;
	if (got < 0)
		return false;
	for (size_t i = 0; i + 1 < (size_t)got / sizeof(*words); i += 2) {
		if (words[i] == AT_EXECFN)
			*name = words[i + 1];
		else if (words[i] == AT_BASE)
			*loader = words[i + 1];
	}
	return true;
}

static void take(struct segments *text, enum segment segment, const char *string, size_t length)
{
	text->bytes[segment] = string;
	text->length[segment] = length;
}

/* The event that gives a number its names. */
static void describe(pid_t tid, uint32_t number, const char *file, uint64_t loader, const char *script)
{
	static char loader_path[NOTIFY_PATH], argument[PATH_MAX];
	struct seen_key key = { .executable = number };
	struct segments text = { 0 };
	bool anonymous = strncmp(file, "/memfd:", 7) == 0;
	bool in_memory = script[0] && script[0] != '/';
	ssize_t length;

	take(&text, SEGMENT_STRING, script, strlen(script));
	take(&text, SEGMENT_BASE, file, strlen(file));
	if (in_memory)
		take(&text, SEGMENT_BASE2, script, strlen(script));
	if (loader) {
		length = look_mapping(tid, loader, loader_path);
		if (length > 0)
			take(&text, SEGMENT_LOADER, loader_path, (size_t)length);
		else
			notify_table->header.losses.mappings++;
	}
	length = look_file(tid, "cmdline", argument, sizeof(argument));
	if (length > 0)
		take(&text, SEGMENT_ARGV0, argument, strnlen(argument, (size_t)length));
	table_event(&key, (uint32_t)tid, EVENT_EXECUTABLE,
		    (anonymous || in_memory ? MARK_INTERNAL : 0) | (in_memory ? MARK_DESCRIPTOR : 0), &text);
}

static uint32_t find_program(const struct program *wanted, bool by_script)
{
	for (uint32_t i = notify_table->header.executables; i > 0; i--) {
		const struct program *program = &programs[i];

		if (program->file == wanted->file && program->name == wanted->name &&
		    (!by_script || program->script == wanted->script))
			return i;
	}
	return 0;
}

static uint32_t number_of(pid_t tid, const struct program *program, const char *file, uint64_t loader, const char *script)
{
	uint32_t number = find_program(program, true);

	if (number)
		return number;
	if (notify_table->header.executables + 1 == NOTIFY_EXECUTABLES) {
		notify_table->header.losses.map_full++;
		return 0;
	}
	number = ++notify_table->header.executables;
	programs[number] = *program;
	describe(tid, number, file, loader, script);
	return number;
}

static void see_exec(uint32_t caller, uint32_t number, uint32_t process)
{
	struct seen_key key = { .hash = number, .executable = caller, .nr = EXEC_NR };

	table_see(&key, process);
}

/* A program that nobody was seen to execute: the payload itself. */
static uint32_t first_seen(const struct waiting *call, const struct program *program, const char *file, uint64_t loader,
			   const char *name)
{
	static struct named named;
	static struct found found;
	uint32_t number = find_program(program, false);
	struct program whole = *program;
	const char *script = "";

	if (number)
		return number;
	if (name[0] == '/' && strlen(name) < sizeof(named.whole)) {
		memcpy(named.whole, name, strlen(name) + 1);
		look_up(call, &named, true, &found);
		if (found.look == LOOK_THERE && strcmp(found.object, file) != 0)
			script = name;
	}
	whole.script = hash_of(script);
	number = number_of(call->tid, &whole, file, loader, script);
	see_exec(0, number, call->process);
	return number;
}

/* Whether the execve that is under way in this group has become the program that calls now. */
static uint32_t executed(struct pending *pending, const struct task *task, const struct program *program,
			 const char *file, uint64_t loader)
{
	const char *script = strcmp(pending->object, file) == 0 ? "" : pending->path;
	struct program whole = *program;
	uint32_t number;

	whole.script = hash_of(script);
	number = number_of(task->tid, &whole, file, loader, script);
	if (number != pending->caller)
		see_exec(pending->caller, number, task->process);
	pending->group = 0;
	return number;
}

static bool identify(const struct waiting *call, struct task *task)
{
	struct pending *pending = &pendings[(unsigned)task->group % PENDING];
	static char file[NOTIFY_PATH], name[NOTIFY_PATH];
	struct program program = { 0 };
	uint64_t name_at, loader;

	if (look_link(task->tid, "exe", file) < 0 || !read_auxiliary(task->tid, &name_at, &loader))
		return false;
	name[0] = 0;
	if (name_at && look_string(call, name_at, name) < 0)
		name[0] = 0;
	if (!look_is_valid(call->id))
		return false;
	program.file = hash_of(file);
	program.name = hash_of(name);
	if (pending->group == task->group && pending->name == program.name)
		task->executable = executed(pending, task, &program, file, loader);
	else {
		if (pending->group == task->group && pending->tid == task->tid)
			pending->group = 0; /* It failed. */
		task->executable = first_seen(call, &program, file, loader, name);
	}
	return true;
}

struct task *task_of(uint64_t id, pid_t tid)
{
	struct task *task = &tasks[(unsigned)tid % TASKS];
	struct waiting call = { .id = id, .tid = tid };

	if (task->tid == tid && task->generation == generation && !task->has_ended)
		return task;
	if (task->tid != tid || task->has_ended) {
		if (tid + FAR_BELOW < newest)
			generation++;
		newest = tid;
	}
	*task = (struct task){ .tid = tid, .at_root = look_is_at_root(tid) };
	task->group = look_group(tid, &task->process);
	call.at_root = task->at_root;
	call.process = task->process;
	if (!task->group || !identify(&call, task)) {
		task->tid = 0;
		if (!look_is_valid(id))
			return NULL;
		notify_table->header.losses.tasks++;
		*task = (struct task){ .tid = tid };
	}
	task->generation = generation;
	if (!first_group)
		first_group = task->group;
	return task;
}

/* One that said that it ends does so. */
static enum life life_of(pid_t pid, pid_t tid)
{
	const struct task *task = &tasks[(unsigned)tid % TASKS], *leader = &tasks[(unsigned)pid % TASKS];
	enum life life = look_life(tid);

	if (life == LIFE_RUNS &&
	    ((task->tid == tid && task->has_ended) || (leader->tid == pid && leader->group_has_ended)))
		return LIFE_ENDS;
	return life;
}

/* Those of which nobody heard that they ended: too many are counted rather than too few. */
static uint32_t count_unended(void)
{
	uint32_t count = 0;

	for (unsigned i = 0; i < TASKS; i++)
		if (tasks[i].tid && tasks[i].tid == tasks[i].group && !tasks[i].has_ended &&
		    tasks[i].group != first_group)
			count++;
	return count;
}

/* The program ends: who is still there will be killed with the sandbox. Its parent is the sandbox's init. */
static void count_survivors(const struct task *last)
{
	int count = count_descendants(look_parent(first_group), first_group, life_of);

	/* Killed before it could end by itself: with all others, who were not counted then. */
	if (look_life(last->tid) != LIFE_RUNS)
		return;
	is_over = true;
	notify_table->header.killed = count < 0 ? count_unended() : (uint32_t)count;
}

/* Whether the process may end with this thread: its first one has ended, and hardly any are left. A dozen that end at the
 * same moment hide that it is the last; then task_finish counts. */
static bool may_be_last(const struct task *task)
{
	const struct task *leader = &tasks[(unsigned)task->group % TASKS];

	if (leader != task && leader->tid == task->group && !leader->has_ended)
		return false;
	return look_threads(task->tid) <= FEW_THREADS;
}

void task_ends(struct task *task, bool whole_group)
{
	struct task *leader = &tasks[(unsigned)task->group % TASKS];

	if (task->group == first_group && (whole_group || may_be_last(task)))
		count_survivors(task);
	if (whole_group && leader->group == task->group)
		leader->has_ended = leader->group_has_ended = true;
	task->has_ended = true;
}

void task_finish(void)
{
	/* It was killed, and with it whoever still ran. */
	if (!is_over)
		notify_table->header.killed = count_unended();
}
