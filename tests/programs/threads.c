/* threads COUNT CALLS: COUNT threads make CALLS getppid(2) calls each; only thread 0 calls uname(2).
 * Prints the number of getppid calls of all threads. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static long calls;

static void *work(void *argument)
{
	struct utsname name;
	long done = 0;

	if ((intptr_t)argument == 0)
		uname(&name);
	while (done < calls) {
		syscall(SYS_getppid);
		done++;
	}
	return (void *)(intptr_t)done;
}

int main(int argc, char **argv)
{
	pthread_t threads[64];
	long total = 0, count;

	if (argc != 3)
		return 2;
	count = atol(argv[1]);
	calls = atol(argv[2]);
	if (count < 1 || count > 64)
		return 2;
	for (long i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i))
			return 1;
	for (long i = 0; i < count; i++) {
		void *done;

		if (pthread_join(threads[i], &done))
			return 1;
		total += (long)(intptr_t)done;
	}
	printf("%ld\n", total);
	return 0;
}
