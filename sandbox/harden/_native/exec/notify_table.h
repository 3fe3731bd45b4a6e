/* What the recorder of a user leaves for harden.trace.notify_table: one memfd of a fixed layout.
 *
 * Keys, events, losses and the rows that say how a call is read are those of the BPF recorder (../bpf/layout.h), so that
 * both are decoded by the same code. Executables, counters and tables have a fixed size: what does not fit is counted. */
#ifndef HARDEN_NOTIFY_TABLE_H
#define HARDEN_NOTIFY_TABLE_H

#include "../bpf/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOTIFY_MAGIC 0x31464954544f4e48ULL /* "HNOTTIF1" */
#define NOTIFY_EXECUTABLES 1024U
#define NOTIFY_ABIS 3U
#define NOTIFY_ODD 4096U
#define NOTIFY_ARGUMENTS 65536U
#define NOTIFY_SEEN 131072U
#define NOTIFY_EVENT_BYTES (64U << 20)
#define NOTIFY_PATH 8192U /* a folder and a name below it, PATH_MAX each */

/* What a recorder that sees no results has in seen_key.error: what it found when it looked, before the call. */
enum look {
	LOOK_UNSEEN = -1, /* it could not look */
	LOOK_THERE = -2,
	LOOK_FREE = -3,   /* the name is not there, its folder is */
	LOOK_ABSENT = -4, /* nor is its folder, or it cannot be reached */
	LOOK_TAKEN = -5,  /* there, and the call makes only what is not, or follows no link, or not that many */
};

enum notify_state { NOTIFY_UNUSED, NOTIFY_RECORDING, NOTIFY_FINISHED };
enum notify_feature { NOTIFY_KILLABLE = 1, NOTIFY_SYNC_WAKE_UP = 2, NOTIFY_ONE_CPU = 4 };

struct notify_header {
	uint64_t magic;
	uint32_t state;
	uint32_t features;
	uint32_t executables; /* numbers given out: 1 up to this one */
	uint32_t killed;      /* processes that outlived the program */
	uint64_t event_bytes;
	uint64_t event_count;
	uint64_t last_event; /* where it begins */
	uint64_t listeners; /* the program asked for a listener of its own and could not get one */
	uint64_t sockets;   /* sockets that could not be asked what they are */
	uint64_t unfollowed; /* names of what was opened or executed that the recorder could not follow */
	struct losses losses;
	uint64_t start; /* when the gate was opened, by CLOCK_MONOTONIC in nanoseconds; written by Python */
};

struct argument_count {
	struct argument_key key;
	struct tally tally;
};
struct odd_count {
	struct count_key key;
	struct tally tally;
};
struct seen_count {
	struct seen_key key;
	struct tally tally;
};

#define NOTIFY_PAGE __attribute__((aligned(4096)))

struct notify_table {
	NOTIFY_PAGE struct notify_header header;
	NOTIFY_PAGE struct recorder_config config; /* written by Python */
	NOTIFY_PAGE struct tally counts[NOTIFY_EXECUTABLES][NOTIFY_ABIS][SYSCALLS];
	NOTIFY_PAGE uint32_t distinct[NOTIFY_EXECUTABLES][SYSCALLS]; /* combinations of arguments */
	NOTIFY_PAGE struct odd_count odd[NOTIFY_ODD]; /* numbers beyond SYSCALLS */
	NOTIFY_PAGE struct argument_count arguments[NOTIFY_ARGUMENTS];
	NOTIFY_PAGE struct seen_count seen[NOTIFY_SEEN];
	NOTIFY_PAGE uint8_t events[NOTIFY_EVENT_BYTES]; /* each behind its 32-bit size */
};

/* harden.trace.notify_table has the same numbers. */
_Static_assert(sizeof(struct notify_header) == 144, "layout");
_Static_assert(sizeof(struct recorder_config) <= 28672, "layout");
_Static_assert(offsetof(struct notify_table, config) == 4096, "layout");
_Static_assert(offsetof(struct notify_table, counts) == 32768, "layout");
_Static_assert(sizeof(struct notify_table) == 118161408, "layout");

/* What stands in an event besides its key. */
struct segments {
	const char *bytes[SEGMENTS];
	size_t length[SEGMENTS];
};

extern struct notify_table *notify_table;

bool table_map(int fd);

/* FNV-1a with the recorder's secret: the program must not be able to make two paths collide. */
uint64_t table_hash(uint64_t hash, const void *bytes, size_t length);

/* They count; what is new says that it came now, and by which process (0: not known). */
void table_count(uint32_t executable, uint32_t abi, uint32_t nr, uint32_t process);
void table_arguments(uint32_t executable, uint32_t nr, const uint64_t *arguments, uint32_t process);
/* Whether it is new and has room. */
bool table_see(const struct seen_key *key, uint32_t process);
void table_event(const struct seen_key *key, uint32_t pid, uint16_t kind, uint16_t marks, const struct segments *text);

#endif
