#include "plan_read.h"

#include <stdlib.h>
#include <string.h>

static volatile size_t sink;

static void read_strings(const char *at, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		at += strlen(at) + 1;
	sink += (size_t)at;
}

static void read_op(const struct plan *plan, const struct op *op)
{
	for (unsigned i = 0; i < 4; i++)
		sink += strlen(plan_string(plan, op->s[i]));
	sink += strlen(plan_string(plan, op->sentence)) + strlen(plan_string(plan, op->hint));
	if (op->code == OP_SECCOMP || op->code == OP_LOCK_DOWN || op->code == OP_DEVICES)
		for (uint64_t i = 0; i < op->n[1]; i++)
			sink += plan->blobs[op->n[0] + i];
	if (op->code == OP_EXEC) {
		read_strings(plan_string(plan, op->s[1]), op->n[1]);
		read_strings(plan_string(plan, op->s[2]), op->n[2]);
	}
}

bool plan_read(const uint8_t *bytes, size_t size)
{
	/* Of exactly its size, so that one byte too far is seen. */
	unsigned char *copy = malloc(size ? size : 1);
	struct plan plan;
	bool accepted;

	memcpy(copy, bytes, size);
	accepted = !plan_decode(&plan, copy, size);
	if (accepted) {
		sink += strlen(plan_string(&plan, plan.header.cgroup_leaf));
		sink += strlen(plan_string(&plan, plan.header.cgroup_top));
		for (uint32_t i = 0; i < plan.header.op_count; i++)
			read_op(&plan, &plan.ops[i]);
	}
	free(copy);
	return accepted;
}
