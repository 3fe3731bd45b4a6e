/* plan_fuzz FILE: decodes every mutation of one byte and every truncation of a good plan, and reads all that harden-exec
 * would read from those that are accepted. Built with AddressSanitizer and UndefinedBehaviorSanitizer; prints
 * "ACCEPTED REFUSED". */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long accepted, refused;
static volatile size_t sink;

static void read_op(const struct plan *plan, const struct op *op)
{
	for (unsigned i = 0; i < 4; i++)
		sink += strlen(plan_string(plan, op->s[i]));
	sink += strlen(plan_string(plan, op->sentence)) + strlen(plan_string(plan, op->hint));
	if (op->code == OP_SECCOMP || op->code == OP_LOCK_DOWN)
		for (uint64_t i = 0; i < op->n[1]; i++)
			sink += plan->blobs[op->n[0] + i];
	if (op->code == OP_EXEC) {
		const char *at = plan_string(plan, op->s[1]);

		for (uint64_t i = 0; i < op->n[1]; i++)
			at += strlen(at) + 1;
		at = plan_string(plan, op->s[2]);
		for (uint64_t i = 0; i < op->n[2]; i++)
			at += strlen(at) + 1;
	}
}

static void try(const unsigned char *bytes, size_t size)
{
	/* Of exactly its size, so that one byte too far is seen. */
	unsigned char *copy = malloc(size ? size : 1);
	struct plan plan;

	memcpy(copy, bytes, size);
	if (plan_decode(&plan, copy, size)) {
		refused++;
	} else {
		accepted++;
		for (uint32_t i = 0; i < plan.header.op_count; i++)
			read_op(&plan, &plan.ops[i]);
	}
	free(copy);
}

int main(int argc, char **argv)
{
	static const unsigned char VALUES[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	static unsigned char bytes[1 << 20];
	FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
	size_t size = file ? fread(bytes, 1, sizeof(bytes), file) : 0;

	if (size == 0)
		return 2;
	try(bytes, size);
	if (accepted != 1)
		return 3;
	for (size_t i = 0; i < size; i++) {
		unsigned char original = bytes[i];

		for (size_t v = 0; v < sizeof(VALUES); v++) {
			bytes[i] = VALUES[v];
			try(bytes, size);
			bytes[i] = original ^ (unsigned char)(1 << v);
			try(bytes, size);
		}
		bytes[i] = original;
	}
	for (size_t length = 0; length < size; length++) {
		uint32_t claimed = (uint32_t)length;

		try(bytes, length);
		if (length < 16)
			continue;
		memcpy(bytes + 12, &claimed, 4);
		try(bytes, length);
		claimed = (uint32_t)size;
		memcpy(bytes + 12, &claimed, 4);
	}
	printf("%lu %lu\n", accepted, refused);
	return 0;
}
