/* A bounded text buffer: harden-exec formats its messages, its JSON and its /proc paths with it and nothing else. */
#ifndef HARDEN_TEXT_H
#define HARDEN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	size_t length;
	bool overflow; /* what did not fit is cut, never written past the end */
	char bytes[16384];
};

/* Nothing is in it. The bytes stay as they are: what is not touched, a new process has no page of. */
static inline void text_begin(struct text *text)
{
	text->length = 0;
	text->overflow = false;
}

void text_add(struct text *text, const char *string);
void text_number(struct text *text, int64_t number);
void text_hex(struct text *text, uint64_t number);
/* As a JSON string, quotes included. Bytes that are no printable UTF-8 become \u00XX. */
void text_json(struct text *text, const char *string);
/* The name of a member of a JSON object, and what comes before it. */
void text_member(struct text *object, const char *name);
/* Such a member whose value is a number, or null where it is not known. */
void text_member_number(struct text *object, const char *name, int64_t number, bool known);
/* Microseconds, as seconds. */
void text_seconds(struct text *text, int64_t microseconds);
/* For people and their terminals: what is no printable ASCII and no UTF-8 from U+00A0 on becomes \xHH. */
void text_safe(struct text *text, const char *string);
/* NUL-terminated. */
const char *text_string(struct text *text);
/* Writes all of it; false when the descriptor refuses. */
bool text_write(const struct text *text, int fd);

const char *errno_name(int number);
const char *errno_sentence(int number);

#endif
