/* The new root becomes the only one: pivot_root(2), umount2(2). */
#include "run.h"
#include "sys.h"

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif
#define MOST_LAYERS 4 /* the old root and the staging area, and then some */

uint64_t mount_id(int fd)
{
	struct statx status = { 0 };

	if (sys_statx(fd, STATX_MNT_ID, &status) < 0 || !(status.stx_mask & STATX_MNT_ID))
		return 0;
	return status.stx_mnt_id;
}

uint64_t mount_id_of(const char *folder)
{
	int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	uint64_t id = fd < 0 ? 0 : mount_id(fd);

	if (fd >= 0)
		close(fd);
	return id;
}

/* What is mounted on top of the root is not seen by a path that begins there, but it is by "/..", which goes up into
 * the uppermost mount. */
static bool is_on_top(const char *path)
{
	return mount_id_of(path) == run.root_mount_id;
}

int op_pivot(const struct op *op)
{
	(void)op;
	if (fchdir(run.root_fd) < 0)
		return fail("fchdir");
	if (sys_pivot_root(".", ".") < 0)
		return fail("pivot_root");
	/* "." is now the old root, stacked on the new one; under a staging area that was on top of "/" before. */
	for (unsigned layer = 0; layer == 0 || (layer < MOST_LAYERS && !is_on_top("/..")); layer++)
		if (sys_umount2(".", MNT_DETACH) < 0)
			return fail("umount2");
	if (chdir("/") < 0)
		return fail("chdir");
	if (mount_id(AT_FDCWD) != run.root_mount_id)
		return not_done(), fail("chdir");
	if (!is_on_top("/") || !is_on_top("/.."))
		return fail_detail("statx", 0, "the old root is still mounted");
	return close(run.root_fd);
}
