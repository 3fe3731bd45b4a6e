/* Stands for harden-exec: writes the plan that it is given to its standard output. */
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	off_t start = 0;

	return argc == 3 && sendfile(STDOUT_FILENO, atoi(argv[1]), &start, 1 << 24) > 0 ? 0 : 1;
}
