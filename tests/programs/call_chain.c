/* Known chains of functions, main → outer → inner → what the first argument names. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLAIN __attribute__((noinline, noclone, noipa))

static volatile int after; /* what is done after a call keeps the call from becoming a jump */

PLAIN static void by_write(const char *name)
{
	if (write(STDOUT_FILENO, name, strlen(name)) < 0)
		abort();
	after++;
}

PLAIN static void by_fopen(const char *name)
{
	FILE *file = fopen(name, "re");

	if (!file)
		abort();
	fclose(file);
	after++;
}

PLAIN static void on_signal(int number)
{
	after += number;
	by_write("signal");
	after++;
}

PLAIN static void by_signal(const char *name)
{
	(void)name;
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	after++;
}

PLAIN static void *thread(void *name)
{
	by_write(name);
	after++;
	return NULL;
}

PLAIN static void by_thread(const char *name)
{
	pthread_t id;

	if (pthread_create(&id, NULL, thread, (void *)name))
		abort();
	pthread_join(id, NULL);
	after++;
}

/* Machine code without a file: mov $SYS_getppid, %eax; syscall; ret. Inside a frame with a frame pointer. */
PLAIN static void by_jit(const char *name)
{
	static const unsigned char code[] = {
		0x55, 0x48, 0x89, 0xe5, 0xb8, SYS_getppid, 0, 0, 0, 0x0f, 0x05, 0x5d, 0xc3,
	};
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)name;
	memcpy(memory, code, sizeof(code));
	((void (*)(void))memory)();
	after++;
}

/* A stack that says nothing: where it should return to is data. */
PLAIN static void by_nonsense(const char *name)
{
	(void)name;
	asm volatile("mov %%rsp, %%rbx\n\tlea -4096(%%rsp), %%rsp\n\tmovq $0, 8(%%rsp)\n\t"
		     "mov $110, %%eax\n\tsyscall\n\tmov %%rbx, %%rsp" ::
			     : "rax", "rbx", "rcx", "r11", "memory");
	after++;
}

/* Processes that are gone before anybody can look at them. */
PLAIN static void by_children(const char *folder)
{
	char name[4200];

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "%s/%d", folder, i);
		if (fork() == 0) {
			open(name, O_RDONLY);
			_exit(0);
		}
		wait(NULL);
	}
	after++;
}

/* Maps code and gives it back, as long as `after` is 0. */
PLAIN static void *remap(void *program)
{
	int file = open(program, O_RDONLY | O_CLOEXEC);

	while (!after) {
		void *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);

		if (memory == MAP_FAILED || munmap(memory, 1 << 20))
			abort();
	}
	return NULL;
}

/* Names that are new while another thread changes what is mapped. */
PLAIN static void by_remapping(const char *folder)
{
	char name[4200];
	pthread_t id;

	if (pthread_create(&id, NULL, remap, (void *)"/proc/self/exe"))
		abort();
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "%s/%d", folder, i);
		open(name, O_RDONLY);
	}
	after++;
	pthread_join(id, NULL);
}

PLAIN static void inner(const char *kind, const char *name)
{
	static const struct {
		const char *kind;
		void (*act)(const char *);
	} acts[] = {
		{"write", by_write}, {"fopen", by_fopen}, {"signal", by_signal}, {"thread", by_thread},
		{"jit", by_jit}, {"nonsense", by_nonsense}, {"children", by_children},
		{"remapping", by_remapping},
	};

	for (unsigned i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		if (!strcmp(kind, acts[i].kind))
			acts[i].act(name);
	after++;
}

PLAIN static void outer(const char *kind, const char *name)
{
	inner(kind, name);
	after++;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	outer(argv[1], argv[2]);
	return after ? 0 : 1;
}
