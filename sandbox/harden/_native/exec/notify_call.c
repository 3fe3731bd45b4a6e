/* Calls on files. Nothing is known yet of how they will end: what is recorded is what was asked, and what was there. */
#include "notify_call.h"

#include "notify_socket.h"
#include "sys.h"

#include <linux/mman.h>
#include <string.h>
#include <sys/mman.h>

static struct named first, second;
static struct found found;

static uint64_t argument(const struct waiting *call, uint8_t index)
{
	return index < 6 ? call->arguments[index] : 0;
}

static int folder(const struct waiting *call, uint8_t index)
{
	return index == NO_ARGUMENT ? AT_FDCWD : (int)argument(call, index);
}

static struct seen_key key_of(const struct waiting *call, enum look look, uint32_t flags, uint32_t mode)
{
	return (struct seen_key){
		.executable = call->executable,
		.nr = (uint16_t)call->nr,
		.error = (int16_t)look,
		.flags = flags,
		.mode = mode,
	};
}

static void send(const struct waiting *call, struct seen_key *key, uint16_t marks, const struct segments *text)
{
	uint64_t hash = notify_table->config.seed;

	for (unsigned i = 0; i < SEGMENTS; i++) {
		hash = table_hash(hash, &text->length[i], sizeof(text->length[i]));
		if (text->length[i])
			hash = table_hash(hash, text->bytes[i], text->length[i]);
	}
	key->hash = hash;
	/* Else what was read is nobody's, or another's, and the call is not made. */
	if (look_is_valid(call->id) && table_see(key, call->process))
		table_event(key, (uint32_t)call->tid, EVENT_FILE, marks, text);
}

static void see_object(const struct waiting *call, enum look look, uint32_t flags, uint32_t mode, const char *path)
{
	struct seen_key key = key_of(call, look, flags, mode);
	struct segments text = { 0 };

	text.bytes[SEGMENT_BASE] = path;
	text.length[SEGMENT_BASE] = strlen(path);
	send(call, &key, MARK_OBJECT, &text);
}

static void see_name(const struct waiting *call, enum look look, uint32_t flags, uint32_t mode, const struct named *named)
{
	struct seen_key key = key_of(call, look, flags, mode);
	struct segments text = { 0 };

	text.bytes[SEGMENT_STRING] = named->name;
	text.length[SEGMENT_STRING] = named->length;
	text.bytes[SEGMENT_BASE] = named->base;
	text.length[SEGMENT_BASE] = named->base_length;
	send(call, &key, 0, &text);
}

/* The name that led to what was found, where that is another one: links on the way have to be there. */
static void see_links(const struct waiting *call, const struct named *named)
{
	if (strcmp(found.object, named->whole) != 0)
		see_name(call, LOOK_THERE, FLAG_NAMED, 0, named);
}

static void see_both(const struct waiting *call, uint32_t flags, uint32_t mode, const struct named *named)
{
	if (!found.is_pathless)
		see_object(call, LOOK_THERE, flags, mode, found.object);
	see_links(call, named);
}

static void see_descriptor(const struct waiting *call, int fd, uint32_t flags)
{
	static char path[NOTIFY_PATH];
	struct stat status;

	if (look_descriptor(call->tid, fd, path) < 0 || !look_status(call->tid, fd, &status))
		return; /* EBADF */
	if (!look_is_pathless(path, &status))
		see_object(call, LOOK_THERE, flags, status.st_mode & S_IFMT, path);
}

static bool is_wanted(const struct waiting *call, const struct call_row *row, int fd)
{
	struct stat status;
	int command = (int)call->arguments[1];

	switch (row->condition) {
	case WHEN_LOCKING:
		return command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW;
	case WHEN_DEVICE:
		return look_status(call->tid, fd, &status) && (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode));
	case WHEN_EXECUTABLE:
		return call->arguments[2] & PROT_EXEC && !(call->arguments[3] & MAP_ANONYMOUS);
	default:
		return true;
	}
}

/* openat2's flags and how it resolves lie in memory. */
static bool open_flags(const struct waiting *call, const struct call_row *row, uint64_t *flags, bool *in_root)
{
	struct open_how how = { 0 };

	*in_root = false;
	if (row->flags == CREAT_FLAGS)
		*flags = O_CREAT | O_WRONLY | O_TRUNC;
	else if (row->flags != OPEN_HOW)
		*flags = argument(call, row->flags);
	else if (look_bytes(call, call->arguments[2], &how, sizeof(how)))
		*flags = how.flags;
	else
		return false;
	*in_root = how.resolve & RESOLVE_IN_ROOT;
	return true;
}

/* What the name leads to is not known. */
static void count_lost(const struct waiting *call)
{
	if (found.is_lost && look_is_valid(call->id))
		notify_table->header.unfollowed++;
}

static void see_open(const struct waiting *call, const struct call_row *row)
{
	uint64_t flags;
	uint32_t kept;
	bool in_root, makes;

	if (row->path == NO_ARGUMENT || !open_flags(call, row, &flags, &in_root))
		return;
	if (!look_name(call, argument(call, row->path), folder(call, row->dirfd), in_root, &first))
		return;
	kept = (uint32_t)flags & row->flag_mask;
	makes = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
	look_up(call, &first, !(flags & O_NOFOLLOW) && !makes, &found);
	count_lost(call);
	if (found.look == LOOK_THERE && (makes || (S_ISLNK(found.type) && !(flags & O_PATH)))) {
		see_name(call, LOOK_TAKEN, kept, 0, &first);
	} else if (found.look == LOOK_THERE && (flags & O_TMPFILE) == O_TMPFILE) {
		/* A file without a name in that folder, which is what the decoder takes off again. */
		strcat(found.object, "/#");
		see_both(call, kept, S_IFREG | MODE_CREATED, &first);
	} else if (found.look == LOOK_THERE) {
		see_both(call, kept, found.type, &first);
	} else if (found.look == LOOK_FREE && flags & O_CREAT) {
		see_object(call, LOOK_FREE, kept, S_IFREG | MODE_CREATED, found.object);
		see_links(call, &first);
	} else {
		see_name(call, found.look, kept, 0, &first);
	}
}

static void see_path(const struct waiting *call, const struct call_row *row, uint32_t flags)
{
	uint64_t name = argument(call, row->path);
	char start = 0;

	if (name && !look_bytes(call, name, &start, 1))
		return;
	if (!start) {
		/* No name: AT_EMPTY_PATH, or utimensat(fd, NULL). */
		if (row->condition != WHEN_NAMED && row->dirfd != NO_ARGUMENT)
			see_descriptor(call, folder(call, row->dirfd), flags);
		return;
	}
	if (!look_name(call, name, folder(call, row->dirfd), false, &first))
		return;
	look_up(call, &first, false, &found);
	see_name(call, found.look, flags, found.type, &first);
}

/* chdir, chroot, execve: what is there at the end of the name counts. */
static void see_followed(const struct waiting *call, const struct named *named)
{
	look_up(call, named, true, &found);
	count_lost(call);
	if (found.look == LOOK_THERE)
		see_both(call, 0, found.type, named);
	else
		see_name(call, found.look, 0, 0, named);
}

static void see_exec(const struct waiting *call, const struct task *task, const struct call_row *row)
{
	uint64_t name = argument(call, row->path);
	int fd = folder(call, row->dirfd);
	struct stat status;
	char start = 0;

	if (!name || !look_bytes(call, name, &start, 1))
		return;
	if (start) {
		if (!look_name(call, name, fd, false, &first))
			return;
		see_followed(call, &first);
	} else {
		if (look_descriptor(call->tid, fd, found.object) < 0)
			return;
		found.has_jumped = false;
		found.is_pathless = look_status(call->tid, fd, &status) && look_is_pathless(found.object, &status);
		first.name[0] = 0;
		memcpy(first.whole, found.object, sizeof(first.whole));
		see_descriptor(call, fd, 0);
	}
	if (look_is_valid(call->id))
		task_executes(call, task, &first, &found);
}

/* rename, link, mount: two names. A first one that is empty is linkat's AT_EMPTY_PATH: its object is not followed. */
static void see_names(const struct waiting *call, const struct call_row *row, uint32_t flags)
{
	struct segments text = { 0 };
	struct seen_key key;
	bool has_first = look_name(call, argument(call, row->path), folder(call, row->dirfd), false, &first);

	if (!look_name(call, argument(call, row->path2), folder(call, row->dirfd2), false, &second))
		return;
	found.look = LOOK_UNSEEN;
	found.type = 0;
	if (has_first)
		look_up(call, &first, false, &found);
	key = key_of(call, found.look, flags, found.type);
	if (has_first) {
		text.bytes[SEGMENT_STRING] = first.name;
		text.length[SEGMENT_STRING] = first.length;
		text.bytes[SEGMENT_BASE] = first.base;
		text.length[SEGMENT_BASE] = first.base_length;
	}
	text.bytes[SEGMENT_STRING2] = second.name;
	text.length[SEGMENT_STRING2] = second.length;
	text.bytes[SEGMENT_BASE2] = second.base;
	text.length[SEGMENT_BASE2] = second.base_length;
	send(call, &key, 0, &text);
}

/* mprotect to executable: what the first page of the range maps. */
static void see_protect(const struct waiting *call)
{
	ssize_t length;

	if (!(call->arguments[2] & PROT_EXEC))
		return;
	length = look_mapping(call->tid, call->arguments[0], found.object);
	if (length > 0)
		see_object(call, LOOK_THERE, 0, S_IFREG, found.object);
}

static void see_moved(const struct waiting *call, const struct call_row *row)
{
	if (look_name(call, argument(call, row->path), AT_FDCWD, false, &first))
		see_followed(call, &first);
}

/* mount, fsopen: which kind of file system. mount(2) may be given none. */
static void see_type(const struct waiting *call, const struct call_row *row)
{
	static char type[NOTIFY_PATH];
	struct seen_key key = key_of(call, LOOK_UNSEEN, (uint32_t)argument(call, row->also_flags), 0);
	struct segments text = { 0 };
	uint64_t name = argument(call, row->also_at);
	ssize_t length = name ? look_string(call, name, type) : 0;

	if (length <= 0)
		return;
	text.bytes[SEGMENT_STRING] = type;
	text.length[SEGMENT_STRING] = (size_t)length;
	key.hash = table_hash(notify_table->config.seed, type, (size_t)length);
	if (look_is_valid(call->id) && table_see(&key, call->process))
		table_event(&key, (uint32_t)call->tid, EVENT_TYPE, 0, &text);
}

void call_see(const struct waiting *call, const struct task *task)
{
	const struct call_row *row = &notify_table->config.calls[call->nr];
	uint32_t flags = (uint32_t)argument(call, row->flags) & row->flag_mask;

	if (call->nr == SYS_execve || call->nr == SYS_execveat) {
		see_exec(call, task, row);
		return;
	}
	if (row->also == ALSO_TYPE)
		see_type(call, row);
	switch (row->kind) {
	case CALL_OPEN:
		see_open(call, row);
		break;
	case CALL_FD:
		if (is_wanted(call, row, (int)argument(call, row->path)))
			see_descriptor(call, (int)argument(call, row->path), flags);
		break;
	case CALL_PATH:
		see_path(call, row, flags);
		break;
	case CALL_PATHS:
		see_names(call, row, flags);
		break;
	case CALL_PROTECT:
		see_protect(call);
		break;
	case CALL_CHDIR:
	case CALL_CHROOT:
		see_moved(call, row);
		break;
	default:
		socket_see(call, row);
	}
}
