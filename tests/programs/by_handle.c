/* by_handle FILE: opens FILE by a handle and by no name (open_by_handle_at(2)), which only the host's root may. Ends with
 * 0 whether it may or not; where FILE has no handle, as on an overlay, it tries one that it makes up. */
#include <fcntl.h>

int main(int argc, char **argv)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} file = { .handle.handle_bytes = MAX_HANDLE_SZ };
	int mount;

	if (argc != 2)
		return 1;
	name_to_handle_at(AT_FDCWD, argv[1], &file.handle, &mount, 0);
	open_by_handle_at(AT_FDCWD, &file.handle, O_RDONLY);
	return 0;
}
