/* harden-exec: carries out one plan. argv[1] is the number of a sealed memfd that holds it; argv[2], where harden became
 * this program, that of the process that had started harden. */
#include "cgroup.h"
#include "inherited.h"
#include "relro.h"
#include "run.h"
#include "sys.h"
#include "text.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/stat.h>

static const char *const HINT = "start programs with `harden run`; it starts harden-exec and writes its plan";

static _Noreturn void refuse_with(const char *what, const char *why, const char *hint)
{
	struct text message;

	text_begin(&message);
	text_add(&message, "harden: ");
	text_add(&message, what);
	text_add(&message, ": ");
	text_add(&message, why);
	text_add(&message, "\nhint: ");
	text_add(&message, hint);
	text_add(&message, "\n");
	text_write(&message, STDERR_FILENO);
	if (run.shared)
		cgroup_remove();
	_exit(EXIT_HARDEN);
}

static _Noreturn void refuse(const char *what, const char *why)
{
	refuse_with(what, why, HINT);
}

/* A descriptor of ours must never stand where the program's standard streams are: it would keep it. */
static void fill_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			refuse("/dev/null", errno_name(errno));
}

/* From a folder ".." leads to everything that the host has there, whatever view the program is shown. */
static void refuse_folders(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (is_folder(fd))
			refuse_with("a standard stream", "it is a folder of the host, and a way out of the sandbox",
				    "give it a file or /dev/null; --bind shows a folder");
}

/* What a caller has switched off for itself, such as the random layout of memory (setarch -R, debuggers), goes to every
 * process after it: personality(2). */
static void reset_personality(void)
{
	char shown[16] = "";
	int fd;

	if (personality(PER_LINUX) < 0)
		refuse_with("personality", errno_name(errno), "run harden without the filter that hides this call");
	fd = open("/proc/self/personality", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, shown, sizeof(shown) - 1) <= 0 || strcspn(shown, "\n") != strspn(shown, "0"))
		refuse_with("personality", "/proc/self/personality says that it is not that of a plain process",
			    "run harden without setarch, and with /proc");
	close(fd);
}

/* In decimal and nothing else; -1: it is none. */
static int number_of(const char *word, size_t most_digits)
{
	size_t digits = strspn(word, "0123456789");
	int number = 0;

	if (!digits || word[digits] || digits > most_digits || (word[0] == '0' && digits > 1))
		return -1;
	for (; *word; word++)
		number = number * 10 + (*word - '0');
	return number;
}

static int plan_fd(int argc, char **argv)
{
	int fd = argc == 2 || argc == 3 ? number_of(argv[1], 6) : -1;

	if (fd < 1)
		refuse("harden-exec", "expected the number of a descriptor");
	/* No process has a number of more than 22 bits (PID_MAX_LIMIT). */
	run.parent = argc == 3 ? number_of(argv[2], 7) : getppid();
	if (run.parent < 0)
		refuse("harden-exec", "expected the number of a process");
	return fd;
}

static void load_plan(int fd)
{
	const int wanted = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat status;
	const char *problem;
	void *bytes;

	if (seals < 0 || (seals & wanted) != wanted)
		refuse("the plan", "it is not a sealed memfd");
	if (fstat(fd, &status) < 0 || status.st_size < 1 || status.st_size > PLAN_MAX_BYTES)
		refuse("the plan", "its size is impossible");
	bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		refuse("the plan", errno_name(errno));
	problem = plan_decode(&run.plan, bytes, (size_t)status.st_size);
	if (problem)
		refuse("the plan is damaged", problem);
	close(fd);
}

static char **string_vector(uint32_t offset, uint64_t count)
{
	char **vector = mmap(NULL, (count + 1) * sizeof(char *), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const char *at = plan_string(&run.plan, offset);

	if (vector == MAP_FAILED)
		refuse("the plan", errno_name(errno));
	for (uint64_t i = 0; i < count; i++) {
		vector[i] = (char *)(uintptr_t)at;
		at += strlen(at) + 1;
	}
	return vector;
}

/* Everything that needs memory is done before the first clone. */
static void allocate(void)
{
	const struct op *exec = &run.plan.ops[run.plan.first[STAGE_CHECK] - 1];

	run.shared = mmap(NULL, sizeof(*run.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run.shared == MAP_FAILED)
		refuse("mmap", errno_name(errno));
	run.argv = string_vector(exec->s[1], exec->n[1]);
	run.environment = string_vector(exec->s[2], exec->n[2]);
	run.init_pidfd = run.user_namespace_fd = run.staging_fd = run.root_fd = run.proc_fd = run.landlock_fd = -1;
	run.notify[0] = run.notify[1] = -1;
	run.control[0] = run.control[1] = run.to_payload[0] = run.to_payload[1] = -1;
}

/* Descriptors that Python left inheritable on purpose must not be inherited once more by mistake. */
static void close_on_exec(void)
{
	if (sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		refuse("close_range", errno_name(errno));
}

int main(int argc, char **argv)
{
	fill_standard_streams();
	refuse_folders();
	if (!protect_relocated())
		refuse("mprotect", errno_name(errno));
	if (getauxval(AT_SECURE))
		refuse("harden-exec", "it must not be set-user-id, set-group-id or carry file capabilities");
	if (argc >= 2 && strcmp(argv[1], "probe") == 0)
		return probe_main(argc, argv);
	load_plan(plan_fd(argc, argv));
	allocate();
	close_on_exec();
	reset_personality();
	if (run.plan.header.mode == MODE_ENTER)
		enter();
	supervise();
}
