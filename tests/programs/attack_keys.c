/* attack_keys add|find NAME: puts a key into the session's and the user's keyring, or looks for it by every way to a
 * keyring that is not one's own. */
#include "attempt.h"

#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static long find(long keyring, const char *name)
{
	return syscall(SYS_keyctl, KEYCTL_SEARCH, keyring, "user", name, 0);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	if (strcmp(argv[1], "add") == 0) {
		attempt("session", syscall(SYS_add_key, "user", argv[2], "value", 5, KEY_SPEC_SESSION_KEYRING));
		attempt("user", syscall(SYS_add_key, "user", argv[2], "value", 5, KEY_SPEC_USER_KEYRING));
		return 0;
	}
	attempt("request", syscall(SYS_request_key, "user", argv[2], NULL, 0));
	attempt("session", find(KEY_SPEC_SESSION_KEYRING, argv[2]));
	attempt("process", find(KEY_SPEC_PROCESS_KEYRING, argv[2]));
	attempt("user", find(KEY_SPEC_USER_KEYRING, argv[2]));
	attempt("user-session", find(KEY_SPEC_USER_SESSION_KEYRING, argv[2]));
	attempt("persistent", find(syscall(SYS_keyctl, KEYCTL_GET_PERSISTENT, -1, KEY_SPEC_PROCESS_KEYRING), argv[2]));
	attempt("to-parent", syscall(SYS_keyctl, KEYCTL_SESSION_TO_PARENT));
	return 0;
}
