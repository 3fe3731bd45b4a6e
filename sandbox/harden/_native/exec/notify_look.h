/* Reading a process whose call waits for an answer: its memory, and its links in /proc. */
#ifndef HARDEN_NOTIFY_LOOK_H
#define HARDEN_NOTIFY_LOOK_H

#include "notify_table.h"

#include <sys/stat.h>
#include <sys/types.h>

/* The call that waits. */
struct waiting {
	uint64_t id;
	pid_t tid;
	uint32_t process; /* as the sandbox numbers it; 0: not known */
	uint32_t executable;
	uint32_t nr;
	bool at_root; /* its root is the sandbox's */
	const uint64_t *arguments;
};

bool look_prepare(void);
/* Whether the call still waits: what was read before is then that program's. */
extern bool (*look_is_valid)(uint64_t id);

/* Bytes of its memory; false when they could not be read, which is counted if it was not the program's own fault. */
bool look_bytes(const struct waiting *call, uint64_t address, void *to, size_t length);
/* A string of its memory with its NUL, cut at PATH_MAX; its length without the NUL, or -1. */
ssize_t look_string(const struct waiting *call, uint64_t address, char *to);

/* Of /proc/TID/WHAT: the link's text with " (deleted)" taken off, or -1. */
ssize_t look_link(pid_t tid, const char *what, char *to);
ssize_t look_descriptor(pid_t tid, int fd, char *to);
bool look_status(pid_t tid, int fd, struct stat *status);
/* Whether what has this link's text has no path: a pipe, a socket, a memfd. */
bool look_is_pathless(const char *text, const struct stat *status);
bool look_stat(pid_t tid, const char *what, struct stat *status);
/* Its number in its own pid namespace, in `text`; NULL if that is not known. */
const char *look_own_number(pid_t tid, char *text, size_t size);
/* Where /proc/self leads it, or /proc/thread-self, in the proc(5) whose root is `proc`; the length, or -1. */
ssize_t look_self(pid_t tid, int proc, bool is_thread, char *to);
int look_open(pid_t tid, const char *what, int flags);
/* A file of /proc/TID; the number of bytes read, or -1. */
ssize_t look_file(pid_t tid, const char *what, void *to, size_t size);
/* Its process's number; `inside`, where not NULL, gets that as the sandbox has it, 0 where it is not known. */
pid_t look_group(pid_t tid, uint32_t *inside);
pid_t look_parent(pid_t tid);
/* How many threads its process has, those included that end; 0 if it is gone. */
uint32_t look_threads(pid_t tid);
bool look_is_alive(pid_t tid);
/* One of a signal that ends it, or already in the kernel's way out, runs no instruction of the program any more. */
enum life { LIFE_OVER, LIFE_ENDS, LIFE_RUNS };
enum life look_life(pid_t tid);
/* The file that is mapped at an address; its length, 0 for none, or -1. */
ssize_t look_mapping(pid_t tid, uint64_t address, char *to);

#endif
