/* attack_ids: becomes somebody else, or gets a capability, by every call there is; prints its sets first. */
#include "attempt.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdint.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static long raise(unsigned field)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 }, { 0 } };
	uint32_t *fields[] = { &data[0].effective, &data[0].permitted, &data[0].inheritable };

	*fields[field] = 1U << CAP_SYS_ADMIN;
	return syscall(SYS_capset, &header, data);
}

static void print_sets(void)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");

	while (status && fgets(line, sizeof(line), status))
		if (strncmp(line, "Cap", 3) == 0 || strncmp(line, "NoNewPrivs", 10) == 0)
			printf("%.*s %s", (int)strcspn(line, ":"), line, strrchr(line, '\t') + 1);
}

int main(void)
{
	gid_t groups[] = { 0, 4, 65535 };

	print_sets();
	attempt("setgroups-none", setgroups(0, NULL));
	attempt("setgroups", setgroups(2, groups));
	attempt("setuid-daemon", setresuid(1, 1, 1));
	attempt("setgid-daemon", setresgid(1, 1, 1));
	attempt("setuid-unmapped", setresuid(70000, 70000, 70000));
	setfsuid(70001);
	errno = EPERM;
	attempt("setfsuid", setfsuid(-1) == 70001 ? 0 : -1);
	attempt("raise-effective", raise(0));
	attempt("raise-permitted", raise(1));
	attempt("raise-inheritable", raise(2));
	attempt("raise-ambient", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0));
	attempt("securebits", prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS, 0, 0, 0));
	attempt("no-new-privs", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	attempt("allow-setgroups", open("/proc/self/setgroups", O_WRONLY) < 0 ? -1 :
				   write(open("/proc/self/setgroups", O_WRONLY), "allow", 5));
	attempt("write-map", write(open("/proc/self/uid_map", O_WRONLY), "0 0 4294967295", 14));
	return 0;
}
