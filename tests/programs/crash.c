/* crash [SIGNAL]: prints "crashing" and kills itself, by a bad pointer (SIGSEGV) unless a signal number is given. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

int main(int argc, char **argv)
{
	struct rlimit no_core = { 0, 0 };
	volatile int *nowhere = (volatile int *)8;

	setrlimit(RLIMIT_CORE, &no_core);
	puts("crashing");
	fflush(stdout);
	if (argc > 1)
		raise(atoi(argv[1]));
	else
		*nowhere = 1;
	return 1;
}
