/* Works on files: static_files INPUT FOLDER copies INPUT to FOLDER/copy and tries every kind of change once.
 *
 * Linked statically it makes, beside the C library's start-up and exit, exactly these system calls:
 *   chdir chmod close link mkdir newfstatat openat read rename rmdir socketpair symlink unlink write
 * (x86_64; newer architectures have only the …at forms). In FOLDER it leaves `copy` and `made/renamed`.
 * Status: 0, or the line of the call that failed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRY(call)                                                                                                      \
	do {                                                                                                           \
		if ((call) < 0)                                                                                        \
			return __LINE__;                                                                               \
	} while (0)

static int copy(int from, int to)
{
	char buffer[4096];
	ssize_t got;

	while ((got = read(from, buffer, sizeof(buffer))) > 0)
		if (write(to, buffer, (size_t)got) != got)
			return -1;
	return (int)got;
}

int main(int argc, char **argv)
{
	struct stat status;
	int in, out, pair[2];

	if (argc != 3)
		return 2;
	TRY(in = open(argv[1], O_RDONLY | O_CLOEXEC));
	TRY(chdir(argv[2]));
	TRY(out = open("copy", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
	TRY(copy(in, out));
	TRY(close(in));
	TRY(close(out));
	TRY(mkdir("made", 0750));
	TRY(link("copy", "made/linked"));
	TRY(symlink("linked", "made/symbolic"));
	TRY(rename("made/linked", "made/renamed"));
	TRY(unlink("made/symbolic"));
	TRY(chmod("made/renamed", 0600));
	TRY(mkdir("made/gone", 0700));
	TRY(rmdir("made/gone"));
	if (stat("does-not-exist", &status) == 0)
		return __LINE__;
	TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	TRY(write(pair[0], "x", 1));
	TRY(write(STDOUT_FILENO, "done\n", 5));
	return 0;
}
