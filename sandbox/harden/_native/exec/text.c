#include "text.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void add_bytes(struct text *text, const char *bytes, size_t length)
{
	size_t room = sizeof(text->bytes) - 1 - text->length;

	if (length > room) {
		text->overflow = true;
		length = room;
	}
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
}

void text_add(struct text *text, const char *string)
{
	add_bytes(text, string, strlen(string));
}

static void add_digits(struct text *text, uint64_t number, unsigned base, unsigned width)
{
	char digits[24];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number || sizeof(digits) - at < width);
	add_bytes(text, digits + at, sizeof(digits) - at);
}

void text_number(struct text *text, int64_t number)
{
	if (number < 0)
		text_add(text, "-");
	add_digits(text, number < 0 ? -(uint64_t)number : (uint64_t)number, 10, 1);
}

void text_hex(struct text *text, uint64_t number)
{
	add_digits(text, number, 16, 16);
}

/* Length of the UTF-8 sequence of a printable character at `at`, 0 if there is none: RFC 3629, without C1. */
static size_t printable(const unsigned char *at)
{
	size_t length = *at < 0x80 ? 1 : *at >= 0xc2 && *at < 0xe0 ? 2 : *at >= 0xe0 && *at < 0xf0 ? 3 : 4;
	uint32_t point;

	if (length == 1)
		return *at >= 0x20 && *at < 0x7f;
	if (*at < 0xc2 || *at > 0xf4)
		return 0;
	point = *at & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (at[i] & 0x3f);
	}
	if (point < 0xa0 || (length == 3 && point < 0x800) || (length == 4 && point < 0x10000) || point > 0x10ffff)
		return 0;
	return point >= 0xd800 && point < 0xe000 ? 0 : length;
}

/* With `escape` and `width` hexadecimal digits for what is not printable, or is one of `special`. */
static void add_escaped(struct text *text, const char *string, const char *special, const char *escape, unsigned width)
{
	for (const unsigned char *at = (const unsigned char *)string; *at;) {
		size_t length = strchr(special, *at) ? 0 : printable(at);

		if (length) {
			add_bytes(text, (const char *)at, length);
			at += length;
			continue;
		}
		text_add(text, escape);
		add_digits(text, *at++, 16, width);
	}
}

void text_json(struct text *text, const char *string)
{
	text_add(text, "\"");
	add_escaped(text, string, "\"\\", "\\u", 4);
	text_add(text, "\"");
}

void text_safe(struct text *text, const char *string)
{
	add_escaped(text, string, "", "\\x", 2);
}

void text_member(struct text *object, const char *name)
{
	text_add(object, object->length && object->bytes[object->length - 1] != '{' ? "," : "");
	text_json(object, name);
	text_add(object, ":");
}

void text_member_number(struct text *object, const char *name, int64_t number, bool known)
{
	text_member(object, name);
	if (known)
		text_number(object, number);
	else
		text_add(object, "null");
}

void text_seconds(struct text *text, int64_t microseconds)
{
	text_number(text, microseconds / 1000000);
	text_add(text, ".");
	for (int64_t unit = 100000, rest = microseconds % 1000000; unit; rest %= unit, unit /= 10)
		text_number(text, rest / unit);
}

const char *text_string(struct text *text)
{
	text->bytes[text->length] = 0;
	return text->bytes;
}

bool text_write(const struct text *text, int fd)
{
	size_t done = 0;

	while (done < text->length) {
		ssize_t written = write(fd, text->bytes + done, text->length - done);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		done += (size_t)written;
	}
	return true;
}
