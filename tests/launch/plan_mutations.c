/* plan_mutations FILE: every change of one byte and every truncation of a good plan, decoded and read. Built with
 * AddressSanitizer and UndefinedBehaviorSanitizer; prints "ACCEPTED REFUSED". */
#include "plan_read.h"

#include <stdio.h>
#include <string.h>

static unsigned long accepted, refused;

static void try(const unsigned char *bytes, size_t size)
{
	if (plan_read(bytes, size))
		accepted++;
	else
		refused++;
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
