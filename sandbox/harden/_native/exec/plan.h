/* The plan: what harden.launch.encode writes into a sealed memfd and harden-exec carries out.
 *
 * header | op[op_count] | string pool (NUL-terminated strings, offset 0 is "") | blobs (filters)
 *
 * All integers are in the machine's own byte order: the plan never leaves the machine. Every field of every record is
 * checked by plan_decode() before the first system call that changes anything; a field that an operation does not use
 * must be zero.
 */
#ifndef HARDEN_PLAN_H
#define HARDEN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_MAGIC 0x314e4c504e445248ULL /* "HRDNPLN1" */
#define PLAN_VERSION 1U
#define PLAN_MAX_BYTES (16U << 20)
#define PLAN_MAX_OPS 16384U
#define PLAN_MAX_SLOTS 1000U
#define PLAN_MAX_FILTER_BYTES (4096U * 8U)

enum plan_mode { MODE_RUN = 1, MODE_ENTER = 2 };

struct plan_header {
	uint64_t magic;
	uint32_t version;
	uint32_t bytes;
	uint32_t mode;
	uint32_t op_count;
	uint32_t string_bytes;
	uint32_t blob_bytes;
	int32_t status_fd;      /* JSON lines for a Python parent, or -1 */
	int32_t gate_fd;        /* a byte opens the gate, end of file aborts, or -1 */
	int32_t lifeline_fd;    /* end of file kills the sandbox, or -1 */
	int32_t enforced_fd;    /* receives the Enforced document, or -1 */
	int32_t cgroup_fd;      /* directory the payload is born in, or -1 */
	int32_t cgroup_base_fd; /* directory that cgroup_leaf and cgroup_top are relative to, or -1: do not remove */
	int32_t target_fd;      /* MODE_ENTER: pidfd of a process of the sandbox */
	uint32_t flags;
	uint32_t cgroup_leaf;
	uint32_t cgroup_top;
	uint64_t timeout_ms; /* 0: none */
	int32_t notify_fd;   /* memfd of the table of calls (notify_table.h), or -1 */
	uint32_t notify_flags;
	int32_t report_fd;       /* folder in which the report is put at the end, or -1 */
	uint32_t report_name;    /* its name there */
	uint32_t report_unknown; /* lines: "cgroup" or a controller that is not there, and why */
	uint32_t reserved;       /* 0 */
};

enum notify_plan_flag { NOTIFY_PLAN_ONE_CPU = 1, NOTIFY_PLAN_FLAGS = 1 };

enum plan_flag {
	PLAN_QUIET = 1 << 0,           /* errors go to status_fd, not to stderr */
	PLAN_DIE_WITH_PARENT = 1 << 1, /* of harden-exec itself */
	PLAN_FLAGS = 3,
};

enum stage { STAGE_OUTSIDE = 0, STAGE_INIT = 1, STAGE_PAYLOAD = 2, STAGE_CHECK = 3, STAGE_COUNT = 4 };

enum op_code {
	OP_CLONE_INIT = 1,
	OP_MAP_IDS,
	OP_STAGING,
	OP_CLONE_TREE,
	OP_SET_ATTRIBUTES,
	OP_OVERLAY,
	OP_TMPFS,
	OP_PROC,
	OP_CLONE_PAYLOAD,
	OP_JOIN_NETWORK,
	OP_SYSFS,
	OP_DEVPTS,
	OP_ROOT,
	OP_ATTACH,
	OP_FOLDER,
	OP_SYMLINK,
	OP_MASK,
	OP_READ_ONLY,
	OP_PIVOT,
	OP_LOCK_DOWN,
	OP_HOSTNAME,
	OP_LOOPBACK,
	OP_KEYRING,
	OP_WAIT_FOR_ROOT,
	OP_COPY_MOUNTS,
	OP_RLIMIT,
	OP_LANDLOCK,
	OP_LANDLOCK_PATH,
	OP_LANDLOCK_PORT,
	OP_SESSION,
	OP_BOUNDING,
	OP_IDS,
	OP_CAPABILITIES,
	OP_APPARMOR,
	OP_CWD,
	OP_NO_NEW_PRIVS,
	OP_LANDLOCK_RESTRICT,
	OP_GATE,
	OP_CLOSE_FDS,
	OP_SECCOMP,
	OP_EXEC,
	OP_CHECK,
	OP_JOIN,
	OP_NOTIFY,
	OP_LIMIT,
	OP_DEVICES,
	OP_MAP_RANGES,
	OP_GROUPS,
	OP_PASS_FD,
	OP_DEVICE_NODE,
	OP_CODE_COUNT,
};

enum op_flag {
	OPF_RECURSIVE = 1 << 0,    /* CLONE_TREE, SET_ATTRIBUTES: with the mounts below */
	OPF_IDMAP = 1 << 1,        /* SET_ATTRIBUTES: through the id map of init's user namespace */
	OPF_MISSING_OK = 1 << 2,   /* a path that does not exist is no error */
	OPF_MAKE_FOLDER = 1 << 3,  /* ATTACH: make the mount point and its parents */
	OPF_MAKE_FILE = 1 << 4,    /* ATTACH: make an empty file as mount point, and its parents */
	OPF_DENY_SETGROUPS = 1 << 5,
	OPF_USER_XATTR = 1 << 6,   /* OVERLAY: made inside a user namespace */
	OPF_OWN_NAMESPACE = 1 << 7, /* STAGING: in a new mount namespace */
	OPF_COOKIE = 1 << 8,       /* EXEC: the cookie goes into the sixth argument register */
	OPF_SET_GROUPS = 1 << 9,   /* IDS: drop the supplementary groups */
	OPF_FOLLOW = 1 << 10,      /* CLONE_TREE: the path may hold symbolic links */
	OPF_ALWAYS = 1 << 11,      /* SESSION: without a terminal, even where the caller has one */
};

enum check_kind {
	CHECK_NOTHING = 0, /* decided by the plan alone */
	CHECK_NAMESPACE = 1,
	CHECK_NO_NEW_PRIVS = 2,
	CHECK_SECCOMP = 3,
	CHECK_CAPABILITIES = 4,
	CHECK_ID_MAP = 5,
	CHECK_ROOT = 6,
	CHECK_LANDLOCK = 7,
	CHECK_APPARMOR = 8,
	CHECK_RLIMITS = 9,
	CHECK_LIMITS = 10,
	CHECK_DEVICES = 11,
	CHECK_PROCESS = 12, /* ids, filters and descriptors of the payload, and init: of every run, no control */
	CHECK_KIND_COUNT,
};

enum enforcement { NOT_ENFORCED = 0, PARTIALLY_ENFORCED = 1, FULLY_ENFORCED = 2 };

/* `s` are offsets into the string pool, `f` slots for descriptors, `n` numbers; what they mean is said once, in the
 * table of plan.c. */
struct op {
	uint16_t code;
	uint16_t stage;
	uint32_t flags;
	uint32_t s[4];
	uint32_t f[2];
	uint64_t n[3];
	uint32_t sentence; /* what failed when it fails, without the errno */
	uint32_t hint;
};

_Static_assert(sizeof(struct plan_header) == 104, "harden.launch.encode writes this layout");
_Static_assert(sizeof(struct op) == 64, "harden.launch.encode writes this layout");

struct plan {
	struct plan_header header;
	const struct op *ops;
	const char *strings;
	const uint8_t *blobs;
	uint32_t first[STAGE_COUNT + 1]; /* ops of stage i: first[i] .. first[i + 1] - 1 */
};

/* Checks everything; on refusal returns NULL's opposite: a sentence that says what is wrong. NULL means it is good. */
const char *plan_decode(struct plan *plan, const uint8_t *bytes, size_t size);

static inline const char *plan_string(const struct plan *plan, uint32_t offset)
{
	return plan->strings + offset;
}

#endif
