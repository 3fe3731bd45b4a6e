/* attack_swap A B: exchanges two names for as long as it lives, as fast as it can: a path that holds one of them is
 * never the same twice. Prints "ready" after the first exchange. */
#include "attempt.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 3 || renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	while (renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) == 0)
		continue;
	return 1;
}
