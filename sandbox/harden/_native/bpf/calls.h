/* SPDX-License-Identifier: Apache-2.0 */
/* What calls did to files and sockets, read when they end. Which call is read how is in config.calls. */
#ifndef HARDEN_CALLS_H
#define HARDEN_CALLS_H

#include "registers.h"
#include "text.h"

#define O_CREAT_WRONLY_TRUNC 01101
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFCHR 0020000
#define S_IFBLK 0060000
#define FMODE_CREATED 0x100000
#define PROT_EXEC 4
#define MAP_ANONYMOUS 0x20
#define F_SETLK 6
#define F_SETLKW 7
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define NAME_SERVER_PORT bpf_htons(53)
#define ADDRESS_MAX 128
/* sendmmsg takes at most UIO_MAXIOV messages; struct mmsghdr has 64 bytes on 64-bit machines. */
#define MESSAGES 1024
#define MESSAGE_SIZE 64
/* struct open_how: flags, mode, resolve. */
#define RESOLVE_OFFSET 16
#define RESOLVE_IN_ROOT 0x10

struct call {
	long result;
	__u32 nr;
	__u32 executable;
	__u64 arguments[6];
	__u64 refused; /* by a filter: what it names may be unreadable without anything being lost */
};

static __always_inline __u64 pick(struct call *call, __u8 index)
{
	return index < 6 ? call->arguments[index] : 0;
}

/* Begin an event in the scratch and return it; NULL never happens, but the verifier wants it looked at. */
static __always_inline struct scratch *start_event(struct call *call, __u16 kind, __u32 flags)
{
	struct scratch *scratch = scratch_of(CALL_SLOT);
	struct event *event = &scratch->event;

	if (!scratch)
		return NULL;
	clear_event(scratch);
	event->kind = kind;
	event->key.executable = call->executable;
	event->key.nr = call->nr;
	event->key.error = call->result < 0 ? -call->result : 0;
	event->key.flags = flags;
	event->marks = call->refused ? MARK_REFUSED : 0;
	return scratch;
}

static __always_inline __u32 mode_of(struct file *file)
{
	return BPF_CORE_READ(file, f_inode, i_mode);
}

/* An operation on an object that the kernel gave. */
__noinline int see_object(struct call *call, struct place *place, __u32 flags, __u32 mode)
{
	__u32 marks = MARK_OBJECT, length;
	struct scratch *scratch;
	__u64 hash;

	if (!call || !place)
		return 0;
	hash = place_hash(place, config.seed, &marks);
	if (marks & MARK_INTERNAL)
		return 0;
	scratch = start_event(call, EVENT_FILE, flags);
	if (!scratch)
		return 0;
	scratch->event.key.hash = hash;
	scratch->event.key.anchor = (__u64)place->dentry;
	scratch->event.key.mode = mode;
	if (!is_new(CALL_SLOT))
		return 0;
	if (marks & MARK_DETACHED)
		lose(&global.losses.detached);
	scratch->event.marks = marks;
	length = copy_place(place, CALL_SLOT, 0, SEGMENT_BASE);
	send(CALL_SLOT, length);
	return 0;
}

/* An operation on an open file. */
static __always_inline int see_file(struct call *call, struct file *file, __u32 flags, __u32 extra)
{
	struct place place;

	place_of_file(file, &place);
	return see_object(call, &place, flags, mode_of(file) | extra);
}

/*
 * Put a name at `offset`, and what it is relative to behind it. Returns the offset behind both, 0 for an empty or
 * unreadable name; `hash` takes both in.
 */
__noinline __u32 take_name(__u64 address, int dirfd, __u32 offset, __u32 second, __u64 *hash)
{
	struct scratch *scratch = scratch_of(CALL_SLOT);
	struct place base = {};
	__u32 marks = 0;
	long length;

	if (!scratch || !hash || !address)
		return 0;
	length = copy_user_string(address, CALL_SLOT, offset, second ? SEGMENT_STRING2 : SEGMENT_STRING);
	if (length < 0 && scratch->event.key.error != EFAULT && !(scratch->event.marks & MARK_REFUSED))
		lose(&global.losses.unreadable);
	if (length <= 0 || offset > TEXT_MASK)
		return 0;
	if (!place_of_base(dirfd, scratch->text[bounded(offset)] == '/', &base))
		return 0;
	*hash = place_hash(&base, *hash, &marks);
	if (marks & MARK_INTERNAL)
		return 0;
	*hash = text_hash(CALL_SLOT, offset, length, mix(*hash, (__u64)base.dentry));
	return offset + length;
}

static __always_inline __u32 append_base(__u64 dirfd, bool absolute, __u32 offset, __u32 segment)
{
	struct place base = {};

	if (!place_of_base(dirfd, absolute, &base))
		return offset;
	return copy_place(&base, CALL_SLOT, offset, segment);
}

static __always_inline int folder_of(struct call *call, __u8 index)
{
	return index == NO_ARGUMENT ? AT_FDCWD : (int)pick(call, index);
}

/* An operation on a name: segments are laid out as strings first, then the folders they are relative to. */
__noinline int see_name(struct call *call, __u32 flags)
{
	const volatile struct call_row *row;
	struct scratch *scratch;
	__u64 name, hash = config.seed;
	struct file *file;
	int dirfd;
	__u32 end;

	if (!call)
		return 0;
	row = &config.calls[row_of(call->nr)];
	name = pick(call, row->path);
	dirfd = folder_of(call, row->dirfd);
	scratch = start_event(call, EVENT_FILE, flags);
	if (!scratch)
		return 0;
	end = name ? take_name(name, dirfd, 0, 0, &hash) : 0;
	if (!end) {
		/* No name: AT_EMPTY_PATH, or utimensat(fd, NULL). */
		if (row->condition == WHEN_NAMED || row->dirfd == NO_ARGUMENT || call->result < 0)
			return 0;
		file = file_of(dirfd);
		return file ? see_file(call, file, flags, 0) : 0;
	}
	scratch->event.key.hash = hash;
	if (!is_new(CALL_SLOT))
		return 0;
	end = append_base(dirfd, scratch->text[0] == '/', end, SEGMENT_BASE);
	send(CALL_SLOT, end);
	return 0;
}

/* rename and link: two names. A first name that is empty is linkat's AT_EMPTY_PATH: its object is not followed. */
__noinline int see_names(struct call *call, __u32 flags)
{
	const volatile struct call_row *row;
	struct scratch *scratch;
	__u64 hash = config.seed;
	__u32 first, end;
	int dirfd, dirfd2;
	bool absolute2;

	if (!call)
		return 0;
	row = &config.calls[row_of(call->nr)];
	dirfd = folder_of(call, row->dirfd);
	dirfd2 = folder_of(call, row->dirfd2);
	scratch = start_event(call, EVENT_FILE, flags);
	if (!scratch)
		return 0;
	first = take_name(pick(call, row->path), dirfd, 0, 0, &hash);
	end = take_name(pick(call, row->path2), dirfd2, first, 1, &hash);
	if (!end || first > TEXT_MASK)
		return 0;
	scratch->event.key.hash = hash;
	if (!is_new(CALL_SLOT))
		return 0;
	absolute2 = scratch->text[bounded(first)] == '/';
	if (first)
		end = append_base(dirfd, scratch->text[0] == '/', end, SEGMENT_BASE);
	end = append_base(dirfd2, absolute2, end, SEGMENT_BASE2);
	send(CALL_SLOT, end);
	return 0;
}

static __always_inline __u32 flags_of(struct call *call, const volatile struct call_row *row)
{
	__u64 flags = 0;

	if (row->flags == CREAT_FLAGS)
		flags = O_CREAT_WRONLY_TRUNC;
	else if (row->flags == OPEN_HOW)
		bpf_probe_read_user(&flags, sizeof(flags), (void *)call->arguments[2]);
	else
		flags = pick(call, row->flags);
	return flags & row->flag_mask;
}

/* Whether an absolute name of openat2 is looked up from its folder and not from the root. */
static __always_inline bool is_rooted(struct call *call, const volatile struct call_row *row)
{
	__u64 resolve = 0;

	if (row->flags != OPEN_HOW)
		return 0;
	bpf_probe_read_user(&resolve, sizeof(resolve), (void *)(call->arguments[2] + RESOLVE_OFFSET));
	return resolve & RESOLVE_IN_ROOT;
}

static __always_inline int see_open(struct call *call, const volatile struct call_row *row)
{
	__u32 flags = flags_of(call, row);
	struct file *file;

	if (call->result < 0)
		return row->path == NO_ARGUMENT ? 0 : see_name(call, flags);
	file = file_of(call->result);
	if (!file)
		return 0;
	see_file(call, file, flags, BPF_CORE_READ(file, f_mode) & FMODE_CREATED ? MODE_CREATED : 0);
	/* The object has no memory of the symbolic links that led to it; the name has. */
	return row->path == NO_ARGUMENT || is_rooted(call, row) ? 0 : see_name(call, FLAG_NAMED);
}

/* chdir, chroot: once they worked, a name can no longer be joined to the folder it was relative to. */
static __always_inline int see_moved(struct call *call, bool is_root)
{
	struct place place = {};
	struct dentry *dentry;
	__u8 first = 0;

	if (call->result < 0)
		return see_name(call, 0);
	place_of_base(AT_FDCWD, is_root, &place);
	dentry = place.dentry;
	see_object(call, &place, 0, BPF_CORE_READ(dentry, d_inode, i_mode));
	bpf_probe_read_user(&first, sizeof(first), (void *)call->arguments[0]);
	return !is_root && first == '/' ? see_name(call, FLAG_NAMED) : 0;
}

static __always_inline bool is_wanted(struct call *call, const volatile struct call_row *row, struct file *file)
{
	__u32 type = mode_of(file) & S_IFMT;
	__u32 command = call->arguments[1];

	switch (row->condition) {
	case WHEN_LOCKING:
		return command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW;
	case WHEN_DEVICE:
		return type == S_IFCHR || type == S_IFBLK;
	case WHEN_EXECUTABLE:
		return call->arguments[2] & PROT_EXEC && !(call->arguments[3] & MAP_ANONYMOUS);
	default:
		return 1;
	}
}

static __always_inline int see_descriptor(struct call *call, const volatile struct call_row *row)
{
	struct file *file = file_of(pick(call, row->path));

	if (!file || !is_wanted(call, row, file))
		return 0;
	return see_file(call, file, flags_of(call, row), 0);
}

struct mapping {
	struct file *file;
};

static long take_mapping(struct task_struct *task, struct vm_area_struct *area, struct mapping *found)
{
	found->file = BPF_CORE_READ(area, vm_file);
	return 0;
}

/* mprotect to executable: what the first page of the range maps. */
static __always_inline int see_protect(struct call *call)
{
	struct mapping found = {};
	struct place place;
	struct file *file;
	long error;

	if (!(call->arguments[2] & PROT_EXEC))
		return 0;
	error = bpf_find_vma(bpf_get_current_task_btf(), call->arguments[0], take_mapping, &found, 0);
	if (error == -EBUSY)
		lose(&global.losses.mappings);
	file = found.file;
	if (!file)
		return 0;
	place_of_mapping(file, &place);
	return see_object(call, &place, 0, mode_of(file));
}

/* Family, type and protocol of the socket behind a descriptor, into the event's key. */
static __always_inline bool describe_socket(struct scratch *scratch, int fd)
{
	struct file *file = file_of(fd);
	struct socket *socket;
	struct sock *sock;
	__u32 family, type;

	if (!file || (mode_of(file) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sock = BPF_CORE_READ(socket, sk);
	family = BPF_CORE_READ(sock, __sk_common.skc_family);
	type = (__u16)BPF_CORE_READ(socket, type);
	scratch->event.key.flags = family | type << 16;
	scratch->event.key.mode = BPF_CORE_READ(sock, sk_protocol);
	return 1;
}

/* bind, connect, sendto: a socket and an address in user memory (`address` 0: none). */
__noinline int see_address(struct call *call, __u64 address, __u64 size)
{
	__u32 length = size > ADDRESS_MAX ? ADDRESS_MAX : size;
	__u64 hash = config.seed;
	__u32 marks = 0, end = 0;
	struct place base = {};
	struct scratch *scratch;
	bool is_path;
	__u8 *text;

	if (!call)
		return 0;
	scratch = start_event(call, EVENT_SOCKET, 0);
	if (!scratch || !describe_socket(scratch, call->arguments[0]))
		return 0;
	text = scratch->text;
	__builtin_memset(text, 0, ADDRESS_MAX + 8);
	if (address && length) {
		if (bpf_probe_read_user(text, length, (void *)address)) {
			if (call->result != -EFAULT && !call->refused)
				lose(&global.losses.unreadable);
			return 0;
		}
		end = length;
	}
	if (end > 4 && (*(__u16 *)text == AF_INET || *(__u16 *)text == AF_INET6) && *(__u16 *)(text + 2) == NAME_SERVER_PORT)
		resolves = 1;
	is_path = end > 2 && *(__u16 *)text == AF_UNIX && text[2];
	if (is_path && place_of_base(AT_FDCWD, text[2] == '/', &base))
		hash = place_hash(&base, hash, &marks);
	scratch->event.key.hash = text_hash(CALL_SLOT, 0, end, hash);
	if (!is_new(CALL_SLOT))
		return 0;
	scratch->event.length[SEGMENT_STRING] = end;
	if (is_path)
		end = copy_place(&base, CALL_SLOT, end, SEGMENT_BASE);
	send(CALL_SLOT, end);
	return 0;
}

/* The start of struct user_msghdr. */
struct message {
	__u64 name;
	__u32 name_length;
	__u32 padding;
};

__noinline int see_message(struct call *call, __u64 header)
{
	struct message message = {};

	if (!call)
		return 0;
	if (bpf_probe_read_user(&message, sizeof(message), (void *)header)) {
		if (call->result != -EFAULT && !call->refused)
			lose(&global.losses.unreadable);
		return 0;
	}
	return message.name ? see_address(call, message.name, message.name_length) : 0;
}

static long see_one_message(__u32 index, struct call *call)
{
	if (index >= call->result)
		return 1;
	see_message(call, call->arguments[1] + index * MESSAGE_SIZE);
	return 0;
}

static __always_inline int see_messages(struct call *call)
{
	bpf_loop(MESSAGES, see_one_message, call, 0);
	return 0;
}

/* socket, socketpair: all that matters is in the arguments. */
static __always_inline int see_socket(struct call *call)
{
	__u32 flags = (__u16)call->arguments[0] | (call->arguments[1] & 0xf) << 16;
	struct scratch *scratch = start_event(call, EVENT_SOCKET, flags);

	if (!scratch)
		return 0;
	scratch->event.key.mode = call->arguments[2];
	if (is_new(CALL_SLOT))
		send(CALL_SLOT, 0);
	return 0;
}

static __always_inline int see_listen(struct call *call)
{
	struct scratch *scratch = start_event(call, EVENT_SOCKET, 0);

	if (call->result >= 0)
		global.is_listening = 1;
	if (scratch && describe_socket(scratch, call->arguments[0]) && is_new(CALL_SLOT))
		send(CALL_SLOT, 0);
	return 0;
}

/* mount, fsopen: which kind of file system. mount(2) may be given none. */
__noinline int see_type(struct call *call, __u8 at, __u8 flags)
{
	struct scratch *scratch;
	__u64 name;
	long length;

	if (!call)
		return 0;
	name = pick(call, at);
	scratch = start_event(call, EVENT_TYPE, pick(call, flags));
	if (!scratch || !name)
		return 0;
	length = copy_user_string(name, CALL_SLOT, 0, SEGMENT_STRING);
	if (length < 0 && call->result != -EFAULT && !call->refused)
		lose(&global.losses.unreadable);
	if (length <= 0 || length > TEXT_MAX)
		return 0;
	scratch->event.key.hash = text_hash(CALL_SLOT, 0, length, config.seed);
	if (is_new(CALL_SLOT))
		send(CALL_SLOT, length);
	return 0;
}

static __always_inline int see_call(struct call *call, const volatile struct call_row *row)
{
	if (row->also == ALSO_TYPE)
		see_type(call, row->also_at, row->also_flags);
	if (row->condition == WHEN_FAILED && call->result >= 0)
		return 0;
	switch (row->kind) {
	case CALL_OPEN:
		return see_open(call, row);
	case CALL_FD:
		return see_descriptor(call, row);
	case CALL_PATH:
		return see_name(call, flags_of(call, row));
	case CALL_PATHS:
		return see_names(call, flags_of(call, row));
	case CALL_SOCKET:
		return see_socket(call);
	case CALL_ADDRESS:
		return see_address(call, pick(call, row->path), pick(call, row->path2));
	case CALL_MESSAGE:
		return see_message(call, call->arguments[1]);
	case CALL_MESSAGES:
		return see_messages(call);
	case CALL_LISTEN:
		return see_listen(call);
	case CALL_PROTECT:
		return see_protect(call);
	case CALL_CHDIR:
		return see_moved(call, 0);
	case CALL_CHROOT:
		return see_moved(call, 1);
	default:
		return 0;
	}
}

#endif
