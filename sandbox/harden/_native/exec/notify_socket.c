/* Calls on sockets: what they are is asked of a copy of the program's descriptor (pidfd_getfd(2), socket(7)). */
#include "notify_socket.h"

#include "notify_name.h"
#include "sys.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ADDRESS_MAX 128
#define MESSAGES 1024 /* UIO_MAXIOV */

/* Both structs of the kernel's own layout, which user space has too on 64-bit machines. */
_Static_assert(sizeof(struct mmsghdr) == 64, "sendmmsg(2)");

static bool ask(int fd, int option, uint32_t *answer)
{
	socklen_t length = sizeof(*answer);

	return getsockopt(fd, SOL_SOCKET, option, answer, &length) == 0;
}

/* Family, type and protocol into the key; false for what is no socket: the call will fail. */
static bool describe(const struct waiting *call, int fd, struct seen_key *key)
{
	uint32_t family = 0, type = 0, protocol = 0;
	struct stat status;
	int process, copy = -1;

	if (!look_status(call->tid, fd, &status) || !S_ISSOCK(status.st_mode))
		return false;
	process = sys_pidfd_open(look_group(call->tid, NULL));
	if (process >= 0) {
		copy = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
		close(process);
	}
	if (copy < 0 || !ask(copy, SO_DOMAIN, &family) || !ask(copy, SO_TYPE, &type) ||
	    !ask(copy, SO_PROTOCOL, &protocol)) {
		if (look_is_valid(call->id))
			notify_table->header.sockets++;
		type = 0;
	}
	if (copy >= 0)
		close(copy);
	key->flags = family | type << 16;
	key->mode = protocol;
	return true;
}

static void send_event(const struct waiting *call, struct seen_key *key, const struct segments *text)
{
	uint64_t hash = notify_table->config.seed;

	hash = table_hash(hash, text->bytes[SEGMENT_STRING], text->length[SEGMENT_STRING]);
	key->hash = table_hash(hash, text->bytes[SEGMENT_BASE], text->length[SEGMENT_BASE]);
	if (look_is_valid(call->id) && table_see(key, call->process))
		table_event(key, (uint32_t)call->tid, EVENT_SOCKET, 0, text);
}

/* A socket in the file system: the folder of its name, and whether something is there. */
static bool look_at_path(const struct waiting *call, const char *path, struct seen_key *key, struct segments *text)
{
	static struct named named;
	static struct found found;

	memcpy(named.name, path, strlen(path) + 1);
	if (!look_base(call, AT_FDCWD, false, &named))
		return false;
	look_up(call, &named, true, &found);
	key->error = (int16_t)found.look;
	text->bytes[SEGMENT_BASE] = named.base;
	text->length[SEGMENT_BASE] = named.base_length;
	return true;
}

/* bind, connect, sendto: a socket and an address in its memory (0: none). */
static void see_address(const struct waiting *call, uint64_t at, uint64_t size)
{
	char address[ADDRESS_MAX + 8] = { 0 };
	size_t length = at ? size > ADDRESS_MAX ? ADDRESS_MAX : (size_t)size : 0;
	struct seen_key key = { .executable = call->executable, .nr = (uint16_t)call->nr, .error = LOOK_UNSEEN };
	struct segments text = { 0 };
	uint16_t family;

	if (!describe(call, (int)call->arguments[0], &key))
		return;
	if (length && !look_bytes(call, at, address, length))
		return;
	memcpy(&family, address, sizeof(family));
	if (!(key.flags & 0xffff))
		key.flags |= family;
	text.bytes[SEGMENT_STRING] = address;
	text.length[SEGMENT_STRING] = length;
	if (length > 2 && family == AF_UNIX && address[2] && !look_at_path(call, address + 2, &key, &text))
		return;
	send_event(call, &key, &text);
}

static void see_message(const struct waiting *call, uint64_t at)
{
	struct msghdr message;

	if (look_bytes(call, at, &message, sizeof(message)) && message.msg_name)
		see_address(call, (uint64_t)(uintptr_t)message.msg_name, message.msg_namelen);
}

static void see_messages(const struct waiting *call)
{
	uint64_t count = call->arguments[2] & 0xffffffff;

	for (uint64_t i = 0; i < count && i < MESSAGES; i++)
		see_message(call, call->arguments[1] + i * sizeof(struct mmsghdr));
}

/* socket, socketpair: all that matters is in the arguments. */
static void see_socket(const struct waiting *call)
{
	struct segments text = { 0 };
	struct seen_key key = {
		.executable = call->executable,
		.nr = (uint16_t)call->nr,
		.error = LOOK_UNSEEN,
		.flags = (uint32_t)(call->arguments[0] & 0xffff) | (uint32_t)(call->arguments[1] & 0xf) << 16,
		.mode = (uint32_t)call->arguments[2],
	};

	send_event(call, &key, &text);
}

static void see_listen(const struct waiting *call)
{
	struct segments text = { 0 };
	struct seen_key key = { .executable = call->executable, .nr = (uint16_t)call->nr, .error = LOOK_UNSEEN };

	if (describe(call, (int)call->arguments[0], &key))
		send_event(call, &key, &text);
}

void socket_see(const struct waiting *call, const struct call_row *row)
{
	switch (row->kind) {
	case CALL_SOCKET:
		see_socket(call);
		break;
	case CALL_ADDRESS:
		if (row->path < 6 && row->path2 < 6)
			see_address(call, call->arguments[row->path], call->arguments[row->path2]);
		break;
	case CALL_MESSAGE:
		see_message(call, call->arguments[1]);
		break;
	case CALL_MESSAGES:
		see_messages(call);
		break;
	case CALL_LISTEN:
		see_listen(call);
		break;
	default:
		break;
	}
}
