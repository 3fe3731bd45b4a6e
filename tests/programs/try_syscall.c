/* try_syscall NR [ARG…]: makes one system call with up to six numeric arguments (0x… is hexadecimal, @TEXT a pointer
 * to TEXT) and prints "RETURN ERRNO", where RETURN is -1 and ERRNO not 0 when it failed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned long arguments[6] = { 0 };
	long answer;

	if (argc < 2 || argc > 8)
		return 2;
	for (int i = 2; i < argc; i++)
		arguments[i - 2] = argv[i][0] == '@' ? (unsigned long)(argv[i] + 1) : strtoul(argv[i], NULL, 0);
	errno = 0;
	answer = syscall(strtol(argv[1], NULL, 0), arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
			 arguments[5]);
	printf("%ld %d\n", answer, answer == -1 ? errno : 0);
	return 0;
}
