/* The limits of the sandbox's cgroup: read back, and what became of them. */
#ifndef HARDEN_LIMIT_H
#define HARDEN_LIMIT_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>

/* `expected`: lines of a file name and the words that one line of the file has to hold. */
bool check_limits(const char *expected, struct text *value);
/* A file of the cgroup that holds the limits, cut at `size`; false, with errno. */
bool read_limited(const char *name, char *out, size_t size);
/* Says on stderr that the kernel killed processes for want of memory, or refused to make some. */
void limits_report(void);
/* `expected`: lines of a limit's name, its soft and its hard value; `actual`: /proc/PID/limits. */
bool check_rlimits(const char *expected, const char *actual, struct text *value);
/* Whether the program that OP_DEVICES attached is there. */
bool check_devices(size_t rules, struct text *value);
/* Loads a program for `cgroup`, attaches it below in a cgroup of its own and removes that again; errno says why not. */
bool devices_try(int cgroup);

/* The next line of `*lines`, and its length without the line's end; NULL at the end of the text. */
const char *next_line(const char **lines, size_t *length);
/* Whether two lines have the same words, whatever the white space between them. */
bool same_line(const char *left, size_t left_length, const char *right, size_t right_length);

#endif
