/* Bytes that grow. Without memory the program ends: nothing was started yet. */
#ifndef HARDEN_BYTES_H
#define HARDEN_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	char *at;
	size_t length, room;
};

void bytes_add(struct bytes *bytes, const void *more, size_t length);
/* `before`, then the number in digits of this base. */
void bytes_number(struct bytes *bytes, const char *before, uint64_t number, unsigned base);
/* The most that is read of one file, as harden.launch.fact.MAX_BYTES. */
enum { MAX_BYTES = 256 << 20 };

/* All that `fd` still gives; false, with errno, when it fails or gives more than MAX_BYTES (EFBIG). A NUL that is not
 * counted follows. */
bool bytes_read(struct bytes *bytes, int fd);
/* An array of `count` elements, all zero. */
void *new_array(size_t count, size_t size);

#endif
