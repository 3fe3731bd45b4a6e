/* mounting FILE: in a child that clone3 puts into a new user and mount namespace, in this order:
 *   mount of a tmpfs on "here"; mount of "here" on itself (MS_BIND, with a type that counts for nothing)
 *   mount of a type with a line feed in its name (ENODEV), fsopen of tmpfs, fsopen of a type that is none (ENODEV)
 *   unshare of a network namespace
 * FILE holds the child's struct clone_args: it is mapped, so that its page is not there before the kernel wants it.
 * With "-" for FILE it lies on the stack, which is.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int mount_things(void)
{
	if (syscall(SYS_mount, "none", "here", "tmpfs", 0UL, ""))
		return 3;
	if (syscall(SYS_mount, "here", "here", "nothing", (unsigned long)MS_BIND, NULL))
		return 4;
	if (syscall(SYS_mount, "none", "here", "two\n# lines", 0UL, NULL) != -1)
		return 5;
	if (syscall(SYS_fsopen, "tmpfs", 0) < 0 || syscall(SYS_fsopen, "no\x80ne", 0) != -1)
		return 6;
	return unshare(CLONE_NEWNET) ? 7 : 0;
}

int main(int argc, char **argv)
{
	struct clone_args on_stack = {.flags = CLONE_NEWUSER | CLONE_NEWNS, .exit_signal = SIGCHLD}, *args = &on_stack;
	int status, file;
	long child, second;

	if (argc != 2)
		return 2;
	if (strcmp(argv[1], "-") != 0) {
		file = open(argv[1], O_RDONLY);
		args = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
	}
	child = syscall(SYS_clone3, args, sizeof(*args));
	if (child == 0)
		_exit(mount_things());
	/* A second one, without a namespace. */
	on_stack.flags = 0;
	second = child < 0 ? -1 : syscall(SYS_clone3, &on_stack, sizeof(on_stack));
	if (second == 0)
		_exit(0);
	if (second < 0 || waitpid((pid_t)second, &status, 0) < 0 || waitpid((pid_t)child, &status, 0) < 0 || !WIFEXITED(status))
		return 8;
	return WEXITSTATUS(status);
}
