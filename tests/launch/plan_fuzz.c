/* The plan decoder as a libFuzzer target (https://llvm.org/docs/LibFuzzer.html): decodes, and reads all that harden-exec
 * would read from what is accepted. Built with AddressSanitizer and UndefinedBehaviorSanitizer. */
#include "plan_read.h"

#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	plan_read(data, size);
	return 0;
}

/* Makes the parts add up to the size again: a random change alone hardly ever comes past the header. */
static void repair(uint8_t *data, size_t size)
{
	struct plan_header header;
	uint64_t records, used;

	memcpy(&header, data, sizeof(header));
	header.magic = PLAN_MAGIC;
	header.version = PLAN_VERSION;
	header.bytes = (uint32_t)size;
	records = (size - sizeof(header)) / sizeof(struct op);
	if (header.op_count > records)
		header.op_count = (uint32_t)records;
	used = sizeof(header) + header.op_count * sizeof(struct op);
	if (header.string_bytes > size - used)
		header.string_bytes = (uint32_t)(size - used);
	used = (used + header.string_bytes + 7) / 8 * 8;
	header.blob_bytes = used <= size ? (uint32_t)(size - used) : 0;
	memcpy(data, &header, sizeof(header));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, max_size);
	if (seed % 4 && size >= sizeof(struct plan_header))
		repair(data, size);
	return size;
}
