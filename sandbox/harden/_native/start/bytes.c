#include "bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void need(struct bytes *bytes, size_t length)
{
	if (bytes->room - bytes->length > length)
		return;
	bytes->room = 2 * bytes->length + length + 65536;
	bytes->at = realloc(bytes->at, bytes->room);
	if (!bytes->at)
		abort();
}

void bytes_add(struct bytes *bytes, const void *more, size_t length)
{
	need(bytes, length);
	memcpy(bytes->at + bytes->length, more, length);
	bytes->length += length;
	bytes->at[bytes->length] = 0;
}

void bytes_number(struct bytes *bytes, const char *before, uint64_t number, unsigned base)
{
	char digits[24];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + number % base);
	while (number /= base);
	bytes_add(bytes, before, strlen(before));
	bytes_add(bytes, digits + at, sizeof(digits) - at);
}

bool bytes_read(struct bytes *bytes, int fd)
{
	size_t before = bytes->length;
	ssize_t got;

	do {
		need(bytes, 8192);
		got = read(fd, bytes->at + bytes->length, 8192);
		bytes->length += got > 0 ? (size_t)got : 0;
	} while (got > 0 && bytes->length - before <= MAX_BYTES);
	bytes->at[bytes->length] = 0;
	if (got > 0)
		errno = EFBIG;
	return got == 0;
}

void *new_array(size_t count, size_t size)
{
	void *made = calloc(count ? count : 1, size);

	if (!made)
		abort();
	return made;
}
