/* New file systems: fsopen(2), fsconfig(2), fsmount(2). */
#ifndef HARDEN_FILESYSTEM_H
#define HARDEN_FILESYSTEM_H

#include <stdbool.h>
#include <stdint.h>

int configure(int fd, const char *key, const char *value);
int configure_number(int fd, const char *key, uint64_t number, bool octal);
/* These record their failure themselves: each makes several calls. A descriptor, or -1. */
int open_context(const char *type);
int create_and_mount(int context, uint64_t attributes);
int make_tmpfs(uint64_t size, uint64_t mode, uint64_t attributes);

#endif
