/* filter_probe FILTER: makes system calls under a seccomp filter and prints what became of each.
 *
 * FILTER is a file of struct sock_filter. Standard input has one call per line: an entry ("syscall" for the syscall
 * instruction, "int80" for the i386 gate), the number and six arguments, all in hexadecimal. Each gets one line:
 * "return N", "errno N", or "signal N" when the call ended the process. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_CALLS 65536
#define MOST_INSTRUCTIONS 4096

struct call {
	uint64_t number;
	uint64_t arguments[6];
	uint64_t int80;
};

/* Shared with the children: under the filter they cannot count on write or exit. */
struct results {
	volatile long done;
	volatile int64_t value[MOST_CALLS];
};

static struct call calls[MOST_CALLS];

int64_t enter_syscall(const struct call *call);
int64_t enter_int80(const struct call *call);

#ifdef __x86_64__
__asm__(".text\n"
	"enter_syscall:\n"
	"	mov 0(%rdi), %rax\n"
	"	mov 16(%rdi), %rsi\n"
	"	mov 24(%rdi), %rdx\n"
	"	mov 32(%rdi), %r10\n"
	"	mov 40(%rdi), %r8\n"
	"	mov 48(%rdi), %r9\n"
	"	mov 8(%rdi), %rdi\n"
	"	syscall\n"
	"	ret\n"
	"enter_int80:\n"
	"	push %rbx\n"
	"	push %rbp\n"
	"	mov 0(%rdi), %eax\n"
	"	mov 8(%rdi), %ebx\n"
	"	mov 16(%rdi), %ecx\n"
	"	mov 24(%rdi), %edx\n"
	"	mov 32(%rdi), %esi\n"
	"	mov 48(%rdi), %ebp\n"
	"	mov 40(%rdi), %edi\n"
	"	int $0x80\n"
	"	cltq\n"
	"	pop %rbp\n"
	"	pop %rbx\n"
	"	ret\n");
#else
int64_t enter_syscall(const struct call *call)
{
	const uint64_t *a = call->arguments;
	long value = syscall((long)call->number, a[0], a[1], a[2], a[3], a[4], a[5]);

	return value;
}

int64_t enter_int80(const struct call *call)
{
	(void)call;
	__builtin_trap();
}
#endif

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(3);
}

static long read_calls(void)
{
	char entry[16];
	long count = 0;

	while (count < MOST_CALLS && scanf("%15s", entry) == 1) {
		struct call *call = &calls[count++];

		call->int80 = strcmp(entry, "int80") == 0;
		if (scanf("%lx", &call->number) != 1)
			fail("number");
		for (int i = 0; i < 6; i++)
			if (scanf("%lx", &call->arguments[i]) != 1)
				fail("argument");
	}
	return count;
}

static struct sock_fprog read_filter(const char *path)
{
	static struct sock_filter filter[MOST_INSTRUCTIONS];
	FILE *file = fopen(path, "rb");
	struct sock_fprog program = { .filter = filter };

	if (!file)
		fail(path);
	program.len = (unsigned short)fread(filter, sizeof(filter[0]), MOST_INSTRUCTIONS, file);
	fclose(file);
	return program;
}

/* Makes calls until one ends the process; an illegal instruction says that none is left. */
static _Noreturn void work(const struct sock_fprog *program, struct results *results, long count)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program)) {
		perror("seccomp");
		_exit(3);
	}
	while (results->done < count) {
		const struct call *call = &calls[results->done];

		results->value[results->done] = call->int80 ? enter_int80(call) : enter_syscall(call);
		results->done++;
	}
	__builtin_trap();
}

static void print(int64_t value)
{
	if (value < 0 && value >= -4095)
		printf("errno %ld\n", -value);
	else
		printf("return %ld\n", value);
}

int main(int argc, char **argv)
{
	struct results *results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct rlimit none = { 0, 0 };

	if (argc != 2 || results == MAP_FAILED || setrlimit(RLIMIT_CORE, &none))
		return 2;
	struct sock_fprog program = read_filter(argv[1]);
	long count = read_calls();

	while (results->done < count) {
		long first = results->done;
		pid_t child = fork();
		int status;

		if (child == 0)
			work(&program, results, count);
		if (child < 0 || waitpid(child, &status, 0) != child)
			fail("child");
		if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
			return 3;
		for (long i = first; i < results->done; i++)
			print(results->value[i]);
		if (results->done < count) {
			if (!WIFSIGNALED(status))
				return 4;
			printf("signal %d\n", WTERMSIG(status));
			results->done++;
		}
	}
	return 0;
}
