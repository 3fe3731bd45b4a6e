/* by_descriptor FILE HOW: executes FILE by a descriptor that stays open. HOW is
 *   empty      execveat(2) with AT_EMPTY_PATH, as fexecve(3)
 *   below      execveat(2) of FILE's name and the descriptor of its folder
 *   name       execve(2) of /proc/self/fd/N
 * Ends with 99 where the exec failed.
 */
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv, char **environment)
{
	char *words[] = {"words", NULL}, folder[4096], link[64];
	int fd, is_below;

	if (argc != 3)
		return 2;
	is_below = strcmp(argv[2], "below") == 0;
	snprintf(folder, sizeof(folder), "%s", argv[1]);
	fd = is_below ? open(dirname(folder), O_PATH) : open(argv[1], O_RDONLY);
	if (strcmp(argv[2], "name") == 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		execve(link, words, environment);
	} else {
		syscall(SYS_execveat, fd, is_below ? basename(argv[1]) : "", words, environment, is_below ? 0 : AT_EMPTY_PATH);
	}
	return 99;
}
