#include "bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void need(struct bytes *bytes, size_t length)
{
	if (bytes->room - bytes->length > length)
		return;
	bytes->room = bytes->length + length + 8192;
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

void bytes_print(struct bytes *bytes, const char *format, ...)
{
	char line[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	bytes_add(bytes, line, strlen(line));
}

bool bytes_read(struct bytes *bytes, int fd)
{
	ssize_t got;

	do {
		need(bytes, 8192);
		got = read(fd, bytes->at + bytes->length, 8192);
		bytes->length += got > 0 ? (size_t)got : 0;
	} while (got > 0);
	bytes->at[bytes->length] = 0;
	return got == 0;
}

void *new_array(size_t count, size_t size)
{
	void *made = calloc(count ? count : 1, size);

	if (!made)
		abort();
	return made;
}
