/* Bytes that grow. Without memory the program ends: nothing was started yet. */
#ifndef HARDEN_BYTES_H
#define HARDEN_BYTES_H

#include <stdbool.h>
#include <stddef.h>

struct bytes {
	char *at;
	size_t length, room;
};

void bytes_add(struct bytes *bytes, const void *more, size_t length);
void bytes_print(struct bytes *bytes, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* All that `fd` still gives; false, with errno, when it fails. A NUL that is not counted follows. */
bool bytes_read(struct bytes *bytes, int fd);
/* An array of `count` elements, all zero. */
void *new_array(size_t count, size_t size);

#endif
