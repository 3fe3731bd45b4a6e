/* attack_file PATH: changes, replaces or removes one file in the folder it lies in, by every call there is. The folder
 * itself may be writable. Each attempt starts where the one before left off: after one success nothing that follows
 * means anything, and the program ends. */
#include "attempt.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static char path[4096], folder[4096], other[4200], own[4200];

static int nameless(int link_it)
{
	char name[64];
	int fd = open(folder, O_TMPFILE | O_RDWR, 0644);

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return fd < 0 || !link_it ? fd : linkat(AT_FDCWD, name, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

static void stop_if(bool done)
{
	if (done)
		exit(0);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	snprintf(path, sizeof(path), "%s", argv[1]);
	snprintf(folder, sizeof(folder), "%s", argv[1]);
	dirname(folder);
	snprintf(own, sizeof(own), "%s/own", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	stop_if(!attempt("make", open(own, O_CREAT | O_WRONLY, 0600)));
	stop_if(attempt("write", open(path, O_WRONLY)));
	stop_if(attempt("truncate", truncate(path, 0)));
	stop_if(attempt("chmod", chmod(path, 0777)));
	stop_if(attempt("setxattr", setxattr(path, "user.x", "x", 1, 0)));
	stop_if(attempt("utime", utimensat(AT_FDCWD, path, (struct timespec[2]){ { 1, 0 }, { 1, 0 } }, 0)));
	stop_if(attempt("link-over", linkat(AT_FDCWD, own, AT_FDCWD, path, 0)));
	stop_if(attempt("nameless-over", nameless(1)));
	stop_if(attempt("rename-over", rename(own, path)));
	stop_if(attempt("exchange", renameat2(AT_FDCWD, own, AT_FDCWD, path, RENAME_EXCHANGE)));
	stop_if(attempt("rename-away", rename(path, other)));
	stop_if(attempt("unlink", unlink(path)));
	stop_if(attempt("rename-folder", rename(folder, "/var/lib/moved")));
	stop_if(attempt("uncover", umount2(path, MNT_DETACH)));
	attempt("remove-own", unlink(own));
	return 0;
}
