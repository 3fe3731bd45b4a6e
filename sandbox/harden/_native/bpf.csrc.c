/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbpf for the recorder: one object, its maps and links behind one handle. Every function gives 0 or a negative
 * errno unless said otherwise; libbpf's own messages are kept in the handle and never printed.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HARDEN_BPF_LINKS 16
#define HARDEN_BPF_LOG 65536
#define HARDEN_BPF_BATCH 4096
#define HARDEN_BPF_RINGS 2

/* What was taken from one ring buffer map. */
struct harden_bpf_records {
	unsigned char *records; /* each: u32 size, then that many bytes */
	size_t used, room, limit, last;
	unsigned long long count;
	unsigned long long overflows;
};

struct harden_bpf {
	struct bpf_object *object;
	struct bpf_link *links[HARDEN_BPF_LINKS];
	int link_count;
	long long misses;
	struct ring_buffer *ring;
	struct harden_bpf_records taken[HARDEN_BPF_RINGS];
	int ring_count;
	size_t log_used;
	char log[HARDEN_BPF_LOG];
};

/* libbpf has one print callback per process: it writes to the handle that this thread is working with. */
static _Thread_local struct harden_bpf *harden_bpf_logging;

static int harden_bpf_print(enum libbpf_print_level level, const char *format, va_list arguments)
{
	struct harden_bpf *bpf = harden_bpf_logging;
	int length;

	if (!bpf || level == LIBBPF_DEBUG || bpf->log_used + 1 >= HARDEN_BPF_LOG)
		return 0;
	length = vsnprintf(bpf->log + bpf->log_used, HARDEN_BPF_LOG - bpf->log_used, format, arguments);
	if (length > 0) {
		size_t room = HARDEN_BPF_LOG - 1 - bpf->log_used;

		bpf->log_used += (size_t)length < room ? (size_t)length : room;
	}
	return 0;
}

static void harden_bpf_close(struct harden_bpf *bpf);

/* NULL with errno set, or a handle. */
static struct harden_bpf *harden_bpf_open(const void *object, size_t size)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "harden");
	struct harden_bpf *bpf = calloc(1, sizeof(*bpf));
	int error;

	if (!bpf)
		return NULL;
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	libbpf_set_print(harden_bpf_print);
	harden_bpf_logging = bpf;
	bpf->object = bpf_object__open_mem(object, size, &options);
	error = errno;
	harden_bpf_logging = NULL;
	if (!bpf->object) {
		harden_bpf_close(bpf);
		errno = error;
		return NULL;
	}
	return bpf;
}

static int harden_bpf_detach(struct harden_bpf *bpf)
{
	int error = 0;

	for (int i = 0; i < bpf->link_count; i++)
		error = bpf_link__destroy(bpf->links[i]) ?: error;
	bpf->link_count = 0;
	return error;
}

static void harden_bpf_close(struct harden_bpf *bpf)
{
	if (!bpf)
		return;
	harden_bpf_detach(bpf);
	ring_buffer__free(bpf->ring);
	bpf_object__close(bpf->object);
	for (int i = 0; i < HARDEN_BPF_RINGS; i++)
		free(bpf->taken[i].records);
	free(bpf);
}

static const char *harden_bpf_log(const struct harden_bpf *bpf)
{
	return bpf->log;
}

/* Give a read-only data section its content, before loading. */
static int harden_bpf_fill(struct harden_bpf *bpf, const char *name, const void *data, size_t size)
{
	struct bpf_map *map = bpf_object__find_map_by_name(bpf->object, name);

	return map ? bpf_map__set_initial_value(map, data, size) : -ENOENT;
}

static int harden_bpf_enable(struct harden_bpf *bpf, const char *name, bool enabled)
{
	struct bpf_program *program = bpf_object__find_program_by_name(bpf->object, name);

	return program ? bpf_program__set_autoload(program, enabled) : -ENOENT;
}

/* How many entries a map can hold, before loading. */
static int harden_bpf_resize(struct harden_bpf *bpf, const char *name, __u32 entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(bpf->object, name);

	return map ? bpf_map__set_max_entries(map, entries) : -ENOENT;
}

static int harden_bpf_load(struct harden_bpf *bpf)
{
	int error;

	harden_bpf_logging = bpf;
	error = bpf_object__load(bpf->object);
	harden_bpf_logging = NULL;
	return error;
}

static int harden_bpf_attach(struct harden_bpf *bpf, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(bpf->object, name);
	struct bpf_link *link;

	if (!program)
		return -ENOENT;
	if (bpf->link_count == HARDEN_BPF_LINKS)
		return -ENOSPC;
	harden_bpf_logging = bpf;
	link = bpf_program__attach(program);
	harden_bpf_logging = NULL;
	if (!link)
		return -errno;
	bpf->links[bpf->link_count++] = link;
	return 0;
}

/* Replace the content of a data section while the programs run. */
static int harden_bpf_write(struct harden_bpf *bpf, const char *name, const void *data)
{
	int fd = bpf_object__find_map_fd_by_name(bpf->object, name);
	__u32 first = 0;

	if (fd < 0)
		return fd;
	return bpf_map_update_elem(fd, &first, data, BPF_ANY) ? -errno : 0;
}

/* Run an iterator program over everything it iterates. */
static int harden_bpf_iterate(struct harden_bpf *bpf, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(bpf->object, name);
	struct bpf_link *link;
	char ignored[256];
	ssize_t length;
	int fd, error = 0;

	if (!program)
		return -ENOENT;
	link = bpf_program__attach_iter(program, NULL);
	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0) {
		error = -errno;
	} else {
		do
			length = read(fd, ignored, sizeof(ignored));
		while (length > 0 || (length < 0 && (errno == EINTR || errno == EAGAIN)));
		error = length < 0 ? -errno : 0;
		close(fd);
	}
	bpf_link__destroy(link);
	return error;
}

/* How often the kernel skipped one of our programs because it was already running on that processor; or -errno. */
static long long harden_bpf_misses(struct harden_bpf *bpf)
{
	struct bpf_program *program;
	long long misses = 0;

	bpf_object__for_each_program(program, bpf->object) {
		struct bpf_prog_info info = {0};
		__u32 size = sizeof(info);

		if (bpf_program__fd(program) < 0)
			continue;
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
			return -errno;
		misses += info.recursion_misses;
	}
	return misses;
}

static int harden_bpf_take(void *context, void *data, size_t size)
{
	struct harden_bpf_records *taken = context;
	size_t needed = taken->used + sizeof(__u32) + size;
	__u32 length = size;

	if (needed > taken->room) {
		size_t room = needed * 2;
		unsigned char *records = needed > taken->limit ? NULL : realloc(taken->records, room);

		if (!records) {
			taken->overflows++;
			return 0;
		}
		taken->records = records;
		taken->room = room;
	}
	taken->last = taken->used;
	taken->count++;
	memcpy(taken->records + taken->used, &length, sizeof(length));
	memcpy(taken->records + taken->used + sizeof(length), data, size);
	taken->used = needed;
	return 0;
}

/* Read records of one more ring buffer map; keep at most `limit` bytes of them. Its number, or -errno. */
static int harden_bpf_ring(struct harden_bpf *bpf, const char *name, size_t limit)
{
	int fd = bpf_object__find_map_fd_by_name(bpf->object, name);

	struct harden_bpf_records *taken = &bpf->taken[bpf->ring_count];
	int error;

	if (fd < 0)
		return fd;
	if (bpf->ring_count == HARDEN_BPF_RINGS)
		return -ENOSPC;
	taken->limit = limit;
	if (bpf->ring) {
		error = ring_buffer__add(bpf->ring, fd, harden_bpf_take, taken);
		if (error)
			return error;
	} else {
		bpf->ring = ring_buffer__new(fd, harden_bpf_take, taken, NULL);
		if (!bpf->ring)
			return -errno;
	}
	return bpf->ring_count++;
}

/* Wait for the kernel's wake-up or the time-out, then take everything there is: records do not each wake the reader. */
static int harden_bpf_drain(struct harden_bpf *bpf, int timeout_ms)
{
	int taken = ring_buffer__poll(bpf->ring, timeout_ms);

	if (taken < 0 && taken != -EINTR)
		return taken;
	return ring_buffer__consume(bpf->ring);
}

/* Records that did not fit in memory. */
static unsigned long long harden_bpf_overflows(const struct harden_bpf *bpf, int ring)
{
	return bpf->taken[ring].overflows;
}

/* How many records were taken from the first ring; the last one is at `record`. */
static unsigned long long harden_bpf_last(const struct harden_bpf *bpf, const unsigned char **record)
{
	*record = bpf->taken[0].records + bpf->taken[0].last;
	return bpf->taken[0].count;
}

static size_t harden_bpf_taken(const struct harden_bpf *bpf, int ring, const unsigned char **records)
{
	*records = bpf->taken[ring].records;
	return bpf->taken[ring].used;
}

static long harden_bpf_read_each(int fd, __u32 key_size, __u32 value_size, unsigned char **entries)
{
	size_t size = (size_t)key_size + value_size, room = 0;
	long count = 0;
	void *last = NULL;

	*entries = NULL;
	for (;;) {
		unsigned char *entry;

		if ((size_t)count == room) {
			unsigned char *grown = realloc(*entries, (room = room ? room * 2 : 256) * size);

			if (!grown)
				return -ENOMEM;
			*entries = grown;
			last = count ? grown + (count - 1) * size : NULL;
		}
		entry = *entries + count * size;
		if (bpf_map_get_next_key(fd, last, entry))
			return errno == ENOENT ? count : -errno;
		last = entry;
		if (!bpf_map_lookup_elem(fd, entry, entry + key_size))
			count++;
		else if (errno != ENOENT)
			return -errno;
	}
}

/*
 * All entries of a map, key then value, in memory that harden_bpf_free() gives back; returns how many. Nothing may
 * change the map meanwhile.
 */
static long harden_bpf_read(struct harden_bpf *bpf, const char *name, unsigned char **entries, size_t *entry_size)
{
	struct bpf_map *map = bpf_object__find_map_by_name(bpf->object, name);
	long count;

	if (!map)
		return -ENOENT;
	*entry_size = (size_t)bpf_map__key_size(map) + bpf_map__value_size(map);
	count = harden_bpf_read_each(bpf_map__fd(map), bpf_map__key_size(map), bpf_map__value_size(map), entries);
	if (count < 0) {
		free(*entries);
		*entries = NULL;
	}
	return count;
}

static void harden_bpf_free(unsigned char *entries)
{
	free(entries);
}

/*
 * Whether the kernel takes fentry and fexit programs at all: some refuse them before they look at the function, which
 * is told apart (EPERM) from the EINVAL that a made-up function id gives. 0 or -errno.
 */
static int harden_bpf_trampolines(void)
{
	struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attributes;
	long fd;

	memset(&attributes, 0, sizeof(attributes));
	attributes.prog_type = BPF_PROG_TYPE_TRACING;
	attributes.expected_attach_type = BPF_TRACE_FEXIT;
	attributes.attach_btf_id = 1;
	attributes.insns = (__u64)(unsigned long)program;
	attributes.insn_cnt = 2;
	attributes.license = (__u64)(unsigned long)"GPL";
	fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes));
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	return errno == EPERM || errno == EACCES ? -errno : 0;
}
