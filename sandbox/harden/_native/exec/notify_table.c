/* The table of the recorder: counters, hash tables with linear probing, and the events one after the other. */
#include "notify_table.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

struct notify_table *notify_table;

bool table_map(int fd)
{
	struct stat status;
	void *at;

	if (fstat(fd, &status) < 0 || status.st_size != sizeof(struct notify_table))
		return false;
	at = mmap(NULL, sizeof(struct notify_table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return false;
	notify_table = at;
	return notify_table->header.magic == NOTIFY_MAGIC;
}

uint64_t table_hash(uint64_t hash, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ at[i]) * 0x100000001b3ULL;
	return hash ^ hash >> 29;
}

static uint32_t slot_of(const void *key, size_t size, uint32_t slots)
{
	return (uint32_t)(table_hash(notify_table->config.seed, key, size) >> 16) % slots;
}

static void add_one(struct tally *tally, uint32_t process)
{
	struct timespec now;

	if (tally->count++)
		return;
	tally->first.process = process;
	if (clock_gettime(CLOCK_MONOTONIC, &now) == 0)
		tally->first.time = (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void count_odd(uint32_t executable, uint32_t abi, uint32_t nr, uint32_t process)
{
	struct count_key key = { .executable = executable, .abi = abi, .nr = nr };
	uint32_t slot = slot_of(&key, sizeof(key), NOTIFY_ODD);

	for (uint32_t i = 0; i < NOTIFY_ODD; i++, slot = (slot + 1) % NOTIFY_ODD) {
		struct odd_count *entry = &notify_table->odd[slot];

		if (!entry->tally.count)
			entry->key = key;
		if (memcmp(&entry->key, &key, sizeof(key)) == 0) {
			add_one(&entry->tally, process);
			return;
		}
	}
	notify_table->header.losses.map_full++;
}

void table_count(uint32_t executable, uint32_t abi, uint32_t nr, uint32_t process)
{
	if (nr < SYSCALLS)
		add_one(&notify_table->counts[executable][abi][nr], process);
	else
		count_odd(executable, abi, nr, process);
}

/* At most seven eighths are filled, so that a search ends soon. */
static bool has_room(uint32_t used, uint32_t slots)
{
	return used < slots / 8 * 7;
}

void table_arguments(uint32_t executable, uint32_t nr, const uint64_t *arguments, uint32_t process)
{
	const struct argument_row *row = &notify_table->config.arguments[nr];
	struct argument_key key = { .executable = executable, .nr = nr };
	uint32_t *distinct = &notify_table->distinct[executable][nr];
	static uint32_t used;
	uint32_t slot;

	for (unsigned i = 0; i < row->count && i < ARGUMENTS; i++)
		key.values[i] = row->index[i] < 6 ? arguments[row->index[i]] & row->mask[i] : 0;
	slot = slot_of(&key, sizeof(key), NOTIFY_ARGUMENTS);
	for (;; slot = (slot + 1) % NOTIFY_ARGUMENTS) {
		struct argument_count *entry = &notify_table->arguments[slot];

		if (!entry->tally.count) {
			/* Beyond the limit nothing is kept: a call's arguments are known or not. */
			if (*distinct > notify_table->config.combinations)
				return;
			if (!has_room(used, NOTIFY_ARGUMENTS)) {
				notify_table->header.losses.map_full++;
				return;
			}
			used++;
			++*distinct;
			entry->key = key;
		}
		if (memcmp(&entry->key, &key, sizeof(key)) == 0) {
			add_one(&entry->tally, process);
			return;
		}
	}
}

bool table_see(const struct seen_key *key, uint32_t process)
{
	uint32_t slot = slot_of(key, sizeof(*key), NOTIFY_SEEN);
	static uint32_t used;

	for (;; slot = (slot + 1) % NOTIFY_SEEN) {
		struct seen_count *entry = &notify_table->seen[slot];

		if (!entry->tally.count) {
			if (!has_room(used, NOTIFY_SEEN)) {
				notify_table->header.losses.map_full++;
				return false;
			}
			used++;
			entry->key = *key;
			add_one(&entry->tally, process);
			return true;
		}
		if (memcmp(&entry->key, key, sizeof(*key)) == 0) {
			add_one(&entry->tally, process);
			return false;
		}
	}
}

void table_event(const struct seen_key *key, uint32_t pid, uint16_t kind, uint16_t marks, const struct segments *text)
{
	struct event event = { .key = *key, .pid = pid, .kind = kind, .marks = marks };
	struct notify_header *header = &notify_table->header;
	uint32_t size = sizeof(event);
	uint8_t *at;

	for (unsigned i = 0; i < SEGMENTS; i++) {
		event.length[i] = (uint16_t)text->length[i];
		size += event.length[i];
	}
	if (sizeof(size) + size > NOTIFY_EVENT_BYTES - header->event_bytes) {
		header->losses.ring_full++;
		return;
	}
	at = notify_table->events + header->event_bytes;
	memcpy(at, &size, sizeof(size));
	at += sizeof(size);
	memcpy(at, &event, sizeof(event));
	at += sizeof(event);
	for (unsigned i = 0; i < SEGMENTS; i++) {
		if (event.length[i])
			memcpy(at, text->bytes[i], event.length[i]);
		at += event.length[i];
	}
	header->last_event = header->event_bytes;
	header->event_bytes += sizeof(size) + size;
	header->event_count++;
}
