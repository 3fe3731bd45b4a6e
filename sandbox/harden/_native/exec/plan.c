/* Decodes the plan: pure, allocates nothing, touches no kernel state. Fuzzed by tests/launch. */
#include "plan.h"

#include <linux/sched.h>
#include <string.h>

/* What each operation uses. `paths`: which of s[] must be absolute; `rest` of the fields must be zero. */
struct op_rule {
	uint8_t stages; /* bit per stage */
	uint8_t strings;
	uint8_t paths; /* bit per s[] */
	uint8_t slots;
	uint8_t numbers;
	uint16_t flags;
};

#define NAMESPACES                                                                                                        \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP |     \
	 CLONE_NEWTIME)

#define OUT (1 << STAGE_OUTSIDE)
#define INI (1 << STAGE_INIT)
#define PAY (1 << STAGE_PAYLOAD)
#define CHK (1 << STAGE_CHECK)

static const struct op_rule RULES[OP_CODE_COUNT] = {
	/* n0 namespace flags */
	[OP_CLONE_INIT] = { OUT, 0, 0, 0, 1, 0 },
	/* s0 uid_map, s1 gid_map; of init (outside) or of the payload (init) */
	[OP_MAP_IDS] = { OUT | INI, 2, 0, 0, 0, OPF_DENY_SETGROUPS },
	/* n0 size in bytes */
	[OP_STAGING] = { OUT | INI, 0, 0, 0, 1, OPF_OWN_NAMESPACE },
	/* s0 path, f0 slot filled, n0 number of the character device that it has to be, or 0 */
	[OP_CLONE_TREE] = { OUT | INI, 1, 1, 1, 1, OPF_RECURSIVE | OPF_FOLLOW },
	/* f0 slot, n0 attributes set, n1 cleared */
	[OP_SET_ATTRIBUTES] = { OUT | INI, 0, 0, 1, 2, OPF_RECURSIVE | OPF_IDMAP },
	/* s0 name of the layers, f0 lower slot, f1 slot filled, n0 mount attributes */
	[OP_OVERLAY] = { OUT | INI, 1, 0, 2, 1, OPF_USER_XATTR },
	/* f0 slot filled, n0 size, n1 mode of its root, n2 mount attributes */
	[OP_TMPFS] = { INI, 0, 0, 1, 3, 0 },
	/* f0 slot filled */
	[OP_PROC] = { INI, 0, 0, 1, 1, 0 },
	/* n0 namespace flags */
	[OP_CLONE_PAYLOAD] = { INI, 0, 0, 0, 1, 0 },
	[OP_JOIN_NETWORK] = { INI, 0, 0, 0, 0, 0 },
	[OP_SYSFS] = { INI, 0, 0, 1, 1, 0 },
	/* f0 slot filled, n0 mount attributes, n1 gid of the terminals + 1, or 0 */
	[OP_DEVPTS] = { INI, 0, 0, 1, 2, 0 },
	/* f0 slot */
	[OP_ROOT] = { INI, 0, 0, 1, 0, 0 },
	/* s0 target, f0 slot, which is emptied */
	[OP_ATTACH] = { INI, 1, 1, 1, 0, OPF_MAKE_FOLDER | OPF_MAKE_FILE | OPF_MISSING_OK },
	/* s0 path, n0 mode, n1 uid, n2 gid */
	[OP_FOLDER] = { INI, 1, 1, 0, 3, 0 },
	/* s0 where to, s1 path */
	[OP_SYMLINK] = { INI, 2, 2, 0, 0, 0 },
	/* s0 path, f0 slot of an empty read-only file system, f1 slot of /dev/null; both stay filled */
	[OP_MASK] = { INI, 1, 1, 2, 0, OPF_MISSING_OK },
	/* s0 path */
	[OP_READ_ONLY] = { INI, 1, 1, 0, 0, OPF_MISSING_OK },
	[OP_PIVOT] = { INI, 0, 0, 0, 0, 0 },
	/* n0 offset, n1 length of a filter */
	[OP_LOCK_DOWN] = { INI, 0, 0, 0, 2, 0 },
	/* s0 name */
	[OP_HOSTNAME] = { PAY, 1, 0, 0, 0, 0 },
	[OP_LOOPBACK] = { PAY, 0, 0, 0, 0, 0 },
	[OP_KEYRING] = { PAY, 0, 0, 0, 0, 0 },
	[OP_WAIT_FOR_ROOT] = { PAY, 0, 0, 0, 0, 0 },
	[OP_COPY_MOUNTS] = { PAY, 0, 0, 0, 0, 0 },
	/* n0 resource, n1 soft, n2 hard */
	[OP_RLIMIT] = { PAY, 0, 0, 0, 3, 0 },
	/* n0 handled files, n1 handled network, n2 scoped */
	[OP_LANDLOCK] = { PAY, 0, 0, 0, 3, 0 },
	/* s0 path, n0 access */
	[OP_LANDLOCK_PATH] = { PAY, 1, 1, 0, 1, 0 },
	/* n0 access, n1 port */
	[OP_LANDLOCK_PORT] = { PAY, 0, 0, 0, 2, 0 },
	/* n0 owner of the sandbox's terminal */
	[OP_SESSION] = { PAY, 0, 0, 0, 1, OPF_ALWAYS },
	/* n0 set kept */
	[OP_BOUNDING] = { PAY, 0, 0, 0, 1, 0 },
	/* n0 uid, n1 gid */
	[OP_IDS] = { PAY, 0, 0, 0, 2, OPF_SET_GROUPS },
	/* n0 set */
	[OP_CAPABILITIES] = { PAY, 0, 0, 0, 1, 0 },
	/* s0 name of the profile */
	[OP_APPARMOR] = { PAY, 1, 0, 0, 0, 0 },
	/* s0 path */
	[OP_CWD] = { PAY, 1, 1, 0, 0, 0 },
	[OP_NO_NEW_PRIVS] = { PAY, 0, 0, 0, 0, 0 },
	[OP_LANDLOCK_RESTRICT] = { PAY, 0, 0, 0, 0, 0 },
	[OP_GATE] = { PAY, 0, 0, 0, 0, 0 },
	[OP_CLOSE_FDS] = { PAY, 0, 0, 0, 0, 0 },
	/* n0 offset, n1 length of a filter */
	[OP_SECCOMP] = { PAY, 0, 0, 0, 2, 0 },
	/* s0 path, s1 first argument, s2 first environment string, n0 cookie, n1 argument count, n2 environment count */
	[OP_EXEC] = { PAY, 3, 1, 0, 3, OPF_COOKIE },
	/* s0 control, s1 what is expected, s2 reason, s3 value if nothing is checked, f0 kind, f1 enforcement,
	 * n0 what is expected */
	[OP_CHECK] = { CHK, 4, 0, 2, 1, 0 },
	/* MODE_ENTER: n0 flags of the namespaces to join */
	[OP_JOIN] = { OUT, 0, 0, 0, 1, 0 },
	/* n0 offset, n1 length of a filter, n2 cookie of the call that hands its listener over */
	[OP_NOTIFY] = { PAY, 0, 0, 0, 3, 0 },
	/* s0 file of the cgroup, s1 what is written into it */
	[OP_LIMIT] = { OUT, 2, 0, 0, 0, 0 },
	/* n0 offset, n1 length of a BPF program */
	[OP_DEVICES] = { OUT, 0, 0, 0, 2, 0 },
	/* s0 newuidmap, s1 its ranges, s2 newgidmap, s3 its ranges */
	[OP_MAP_RANGES] = { OUT, 4, 5, 0, 0, 0 },
	/* s0 group ids with a blank between them */
	[OP_GROUPS] = { PAY, 1, 0, 0, 0, 0 },
	/* n0 descriptor; in ascending order */
	[OP_PASS_FD] = { PAY, 0, 0, 0, 1, 0 },
	/* s0 device on the host, f0 slot filled, n0 its number, n1 and n2 owner and group outside */
	[OP_DEVICE_NODE] = { OUT, 1, 1, 1, 3, 0 },
};

static bool zero_after(const uint32_t *fields, size_t used, size_t count)
{
	for (size_t i = used; i < count; i++)
		if (fields[i])
			return false;
	return true;
}

static const char *check_strings(const struct plan_header *header, const struct op *op, const struct op_rule *rule,
				 const char *strings)
{
	for (unsigned i = 0; i < rule->strings; i++) {
		if (op->s[i] >= header->string_bytes)
			return "a string offset lies outside the string pool";
		if ((rule->paths >> i & 1) && strings[op->s[i]] != '/')
			return "a path is not absolute";
	}
	if (!zero_after(op->s, rule->strings, 4))
		return "an operation has a string that it does not use";
	if (op->sentence >= header->string_bytes || op->hint >= header->string_bytes)
		return "a message offset lies outside the string pool";
	return NULL;
}

static const char *check_slots(const struct op *op, const struct op_rule *rule)
{
	uint32_t limit = op->code == OP_CHECK ? 256 : PLAN_MAX_SLOTS;

	for (unsigned i = 0; i < rule->slots; i++)
		if (op->f[i] >= limit)
			return "a slot number is too large";
	return zero_after(op->f, rule->slots, 2) ? NULL : "an operation has a slot that it does not use";
}

static const char *check_filter(const struct plan_header *header, const struct op *op)
{
	uint64_t offset = op->n[0], length = op->n[1];

	if (length == 0 || length % 8 || offset % 8 || length > PLAN_MAX_FILTER_BYTES)
		return "a filter has an impossible length";
	if (offset > header->blob_bytes || length > header->blob_bytes - offset)
		return "a filter lies outside the blobs";
	return NULL;
}

/* `count` strings follow each other from `offset` on, all inside the pool. The pool ends with NUL. */
static bool strings_follow(const struct plan_header *header, const char *strings, uint32_t offset, uint64_t count)
{
	const char *end = strings + header->string_bytes;
	const char *at = strings + offset;

	if (count > header->string_bytes)
		return false;
	for (uint64_t i = 0; i < count; i++) {
		if (at >= end)
			return false;
		at += strlen(at) + 1;
	}
	return true;
}

static const char *check_meaning(const struct plan_header *header, const struct op *op, const char *strings)
{
	switch (op->code) {
	case OP_LOCK_DOWN:
	case OP_SECCOMP:
	case OP_NOTIFY:
		return check_filter(header, op);
	case OP_CLONE_INIT:
	case OP_CLONE_PAYLOAD:
		if (op->n[0] & ~(uint64_t)NAMESPACES)
			return "a clone has a flag that is no namespace";
		return op->code == OP_CLONE_INIT && !(op->n[0] & CLONE_NEWNS)
			       ? "init has no mount namespace of its own"
			       : NULL;
	case OP_STAGING:
		return op->stage == STAGE_OUTSIDE && !(op->flags & OPF_OWN_NAMESPACE)
			       ? "the staging area would be made in the host's mount namespace"
			       : NULL;
	case OP_EXEC:
		if (op->n[1] == 0 || !strings_follow(header, strings, op->s[1], op->n[1]) ||
		    !strings_follow(header, strings, op->s[2], op->n[2]))
			return "the arguments or the environment lie outside the string pool";
		return NULL;
	case OP_CHECK:
		if (op->f[0] >= CHECK_KIND_COUNT || op->f[1] > FULLY_ENFORCED)
			return "a check is of an unknown kind";
		return NULL;
	case OP_OVERLAY:
		if (strchr(strings + op->s[0], '/') || strlen(strings + op->s[0]) > 32 || !strings[op->s[0]])
			return "the name of an overlay is not a plain name";
		return NULL;
	case OP_SESSION:
		return op->n[0] > UINT32_MAX - 1 ? "an id is too large" : NULL;
	case OP_LIMIT:
		if (strchr(strings + op->s[0], '/') || !strings[op->s[0]])
			return "a file of the cgroup is not a plain name";
		return header->cgroup_fd < 0 ? "it limits a cgroup and has none" : NULL;
	case OP_DEVICES:
		return header->cgroup_fd < 0 ? "it limits a cgroup and has none" : check_filter(header, op);
	case OP_PASS_FD:
		return op->n[0] < 3 || op->n[0] >= 1 << 20 ? "a descriptor to pass is impossible" : NULL;
	case OP_IDS:
		return op->n[0] > UINT32_MAX - 1 || op->n[1] > UINT32_MAX - 1 ? "an id is too large" : NULL;
	case OP_TMPFS:
	case OP_FOLDER:
		return (op->code == OP_TMPFS ? op->n[1] : op->n[0]) > 07777 ? "a mode is too large" : NULL;
	default:
		return NULL;
	}
}

static const char *check_op(const struct plan_header *header, const struct op *op, const char *strings)
{
	const struct op_rule *rule;
	const char *problem;

	if (op->code == 0 || op->code >= OP_CODE_COUNT)
		return "an operation is unknown";
	rule = &RULES[op->code];
	if (op->stage >= STAGE_COUNT || !(rule->stages >> op->stage & 1))
		return "an operation stands in a stage where it cannot";
	if (op->flags & ~(uint32_t)rule->flags)
		return "an operation has a flag that it does not know";
	for (unsigned i = rule->numbers; i < 3; i++)
		if (op->n[i])
			return "an operation has a number that it does not use";
	if ((problem = check_strings(header, op, rule, strings)))
		return problem;
	if ((problem = check_slots(op, rule)))
		return problem;
	return check_meaning(header, op, strings);
}

/* A name in a folder, short enough for another one of the same folder to be made from it. */
static bool is_plain_name(const char *name)
{
	return *name && strlen(name) <= 200 && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static const char *check_report(const struct plan_header *header, const char *strings)
{
	if (header->report_name >= header->string_bytes || header->report_unknown >= header->string_bytes)
		return "its report lies outside the string pool";
	if (header->report_fd < 0)
		return header->report_name || header->report_unknown ? "it names a report and has no place for it" : NULL;
	if (!is_plain_name(strings + header->report_name))
		return "the name of its report is not a plain name";
	return header->mode == MODE_RUN ? NULL : "it enters a sandbox and reports its end";
}

static const char *check_header(const struct plan_header *header, size_t size)
{
	uint64_t wanted;

	if (header->magic != PLAN_MAGIC || header->version != PLAN_VERSION)
		return "it was written by another version of harden";
	if (header->bytes != size || size > PLAN_MAX_BYTES || header->op_count > PLAN_MAX_OPS)
		return "its size is wrong";
	wanted = sizeof(*header) + (uint64_t)header->op_count * sizeof(struct op) + header->string_bytes;
	wanted = (wanted + 7) / 8 * 8 + header->blob_bytes;
	if (wanted != size || header->string_bytes == 0)
		return "its parts do not add up to its size";
	if (header->mode != MODE_RUN && header->mode != MODE_ENTER)
		return "its mode is unknown";
	if (header->flags & ~(uint32_t)PLAN_FLAGS)
		return "it has an unknown flag";
	if (header->cgroup_leaf >= header->string_bytes || header->cgroup_top >= header->string_bytes)
		return "the name of the cgroup lies outside the string pool";
	if (header->notify_flags & ~(uint32_t)NOTIFY_PLAN_FLAGS || header->reserved)
		return "it has an unknown flag";
	if (header->timeout_ms > UINT64_C(1) << 40)
		return "the timeout is too long";
	return NULL;
}

static bool good_fd(int32_t fd)
{
	return fd == -1 || (fd > 2 && fd < (1 << 20));
}

static bool good_fds(const struct plan_header *header)
{
	return good_fd(header->status_fd) && good_fd(header->gate_fd) && good_fd(header->lifeline_fd) &&
	       good_fd(header->enforced_fd) && good_fd(header->cgroup_fd) && good_fd(header->cgroup_base_fd) &&
	       good_fd(header->target_fd) && good_fd(header->notify_fd) && good_fd(header->report_fd);
}

/* Limits come before the clone: nothing runs without them. */
static const char *check_beginning(const struct plan *plan)
{
	uint32_t at = 0;

	while (at < plan->first[STAGE_INIT] && (plan->ops[at].code == OP_LIMIT || plan->ops[at].code == OP_DEVICES))
		at++;
	if (at == plan->first[STAGE_INIT] || plan->ops[at].code != OP_CLONE_INIT)
		return "it does not begin with one clone";
	for (; at < plan->first[STAGE_INIT]; at++)
		if (plan->ops[at].code == OP_LIMIT || plan->ops[at].code == OP_DEVICES)
			return "it limits what runs already";
	return NULL;
}

/* Descriptors to pass: the gaps between them are closed from the first to the last. */
static bool passed_in_order(const struct plan *plan)
{
	uint64_t last = 0;

	for (uint32_t i = plan->first[STAGE_PAYLOAD]; i < plan->first[STAGE_CHECK]; i++) {
		if (plan->ops[i].code != OP_PASS_FD)
			continue;
		if (plan->ops[i].n[0] <= last)
			return false;
		last = plan->ops[i].n[0];
	}
	return true;
}

static unsigned count_checks(const struct plan *plan, uint32_t kind)
{
	unsigned count = 0;

	for (uint32_t i = plan->first[STAGE_CHECK]; i < plan->header.op_count; i++)
		count += plan->ops[i].f[0] == kind;
	return count;
}

/* The skeleton that the supervisor relies on; the order in between is the plan's. */
static const char *check_order(const struct plan *plan)
{
	uint32_t count[OP_CODE_COUNT] = { 0 };
	bool enter = plan->header.mode == MODE_ENTER;

	for (uint32_t i = 0; i < plan->header.op_count; i++)
		count[plan->ops[i].code]++;
	if (count[OP_EXEC] != 1 || plan->ops[plan->first[STAGE_CHECK] - 1].code != OP_EXEC)
		return "the payload does not end with one exec";
	if (enter)
		return plan->first[STAGE_PAYLOAD] != 1 || plan->ops[0].code != OP_JOIN || plan->header.target_fd < 0 ||
				       count[OP_GATE] || count[OP_CHECK] || count[OP_WAIT_FOR_ROOT] || count[OP_NOTIFY]
			       ? "it enters a sandbox and does more than that"
		       : count[OP_SESSION] != 1 || count[OP_BOUNDING] != 1 || count[OP_IDS] != 1 ||
				       count[OP_CAPABILITIES] != 1 || count[OP_NO_NEW_PRIVS] != 1 ||
				       count[OP_CLOSE_FDS] != 1 || count[OP_SECCOMP] == 0
			       ? "it enters a sandbox with more rights than the sandbox has"
			       : NULL;
	if (count[OP_CLONE_INIT] != 1)
		return "it does not begin with one clone";
	if (!passed_in_order(plan))
		return "the descriptors to pass are out of order";
	if (count[OP_CLONE_PAYLOAD] != 1 || count[OP_GATE] != 1 || count[OP_WAIT_FOR_ROOT] != 1 ||
	    count[OP_PIVOT] != 1 || count[OP_LOCK_DOWN] != 1 || count[OP_CLOSE_FDS] != 1 ||
	    count[OP_JOIN])
		return "a step that every sandbox has is missing or doubled";
	if (count_checks(plan, CHECK_PROCESS) != 1)
		return "the program's process is not verified once";
	if (count[OP_NOTIFY] != (plan->header.notify_fd >= 0))
		return "it records calls without a table, or has a table for none";
	if (plan->header.target_fd != -1)
		return "it runs a sandbox and names another one";
	return check_beginning(plan);
}

static const char *find_stages(struct plan *plan)
{
	uint32_t at = 0;

	for (unsigned stage = 0; stage < STAGE_COUNT; stage++) {
		plan->first[stage] = at;
		while (at < plan->header.op_count && plan->ops[at].stage == stage)
			at++;
	}
	plan->first[STAGE_COUNT] = at;
	if (at != plan->header.op_count)
		return "its stages are out of order";
	return plan->first[STAGE_PAYLOAD] == plan->first[STAGE_CHECK] ? "it has no payload" : NULL;
}

const char *plan_decode(struct plan *plan, const uint8_t *bytes, size_t size)
{
	const char *problem;

	if (size < sizeof(plan->header))
		return "it is too short";
	memcpy(&plan->header, bytes, sizeof(plan->header));
	if ((problem = check_header(&plan->header, size)))
		return problem;
	if (!good_fds(&plan->header))
		return "a descriptor number is impossible";
	plan->ops = (const struct op *)(const void *)(bytes + sizeof(plan->header));
	plan->strings = (const char *)(plan->ops + plan->header.op_count);
	plan->blobs = bytes + (size - plan->header.blob_bytes);
	if (plan->strings[0] || plan->strings[plan->header.string_bytes - 1])
		return "its string pool is not terminated";
	if ((problem = check_report(&plan->header, plan->strings)))
		return problem;
	for (uint32_t i = 0; i < plan->header.op_count; i++)
		if ((problem = check_op(&plan->header, &plan->ops[i], plan->strings)))
			return problem;
	if ((problem = find_stages(plan)))
		return problem;
	return check_order(plan);
}
