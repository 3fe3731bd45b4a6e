/* The interpreter of the plan: one table from operation to function, and the record of the first failure. */
#include "run.h"
#include "sys.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct run run;

static operation *const OPERATIONS[OP_CODE_COUNT] = {
	[OP_CLONE_INIT] = op_clone_init,
	[OP_MAP_IDS] = op_map_ids,
	[OP_STAGING] = op_staging,
	[OP_CLONE_TREE] = op_clone_tree,
	[OP_SET_ATTRIBUTES] = op_set_attributes,
	[OP_OVERLAY] = op_overlay,
	[OP_TMPFS] = op_tmpfs,
	[OP_PROC] = op_proc,
	[OP_CLONE_PAYLOAD] = op_clone_payload,
	[OP_JOIN_NETWORK] = op_join_network,
	[OP_SYSFS] = op_sysfs,
	[OP_DEVPTS] = op_devpts,
	[OP_ROOT] = op_root,
	[OP_ATTACH] = op_attach,
	[OP_FOLDER] = op_folder,
	[OP_SYMLINK] = op_symlink,
	[OP_MASK] = op_mask,
	[OP_READ_ONLY] = op_read_only,
	[OP_PIVOT] = op_pivot,
	[OP_LOCK_DOWN] = op_lock_down,
	[OP_HOSTNAME] = op_hostname,
	[OP_LOOPBACK] = op_loopback,
	[OP_KEYRING] = op_keyring,
	[OP_WAIT_FOR_ROOT] = op_wait_for_root,
	[OP_COPY_MOUNTS] = op_copy_mounts,
	[OP_RLIMIT] = op_rlimit,
	[OP_LANDLOCK] = op_landlock,
	[OP_LANDLOCK_PATH] = op_landlock_path,
	[OP_LANDLOCK_PORT] = op_landlock_port,
	[OP_SESSION] = op_session,
	[OP_BOUNDING] = op_bounding,
	[OP_IDS] = op_ids,
	[OP_CAPABILITIES] = op_capabilities,
	[OP_APPARMOR] = op_apparmor,
	[OP_CWD] = op_cwd,
	[OP_NO_NEW_PRIVS] = op_no_new_privs,
	[OP_LANDLOCK_RESTRICT] = op_landlock_restrict,
	[OP_GATE] = op_gate,
	[OP_CLOSE_FDS] = op_close_fds,
	[OP_SECCOMP] = op_seccomp,
	[OP_EXEC] = op_exec,
	[OP_JOIN] = op_join,
	[OP_NOTIFY] = op_notify,
	[OP_LIMIT] = op_limit,
	[OP_DEVICES] = op_devices,
	[OP_MAP_RANGES] = op_map_ranges,
	[OP_GROUPS] = op_groups,
	[OP_PASS_FD] = op_pass_fd,
	[OP_DEVICE_NODE] = op_device_node,
};

/* memcpy of a bounded string, cut if need be. */
static void copy_cut(char *to, size_t size, const char *from)
{
	size_t length = strnlen(from, size - 1);

	memcpy(to, from, length);
	to[length] = 0;
}

int fail_detail(const char *call, int number, const char *detail)
{
	struct shared *shared = run.shared;
	unsigned none = 0;

	if (!atomic_compare_exchange_strong(&shared->failed, &none, 1))
		return -1;
	shared->error_op = run.op;
	shared->error_number = number;
	copy_cut(shared->error_call, sizeof(shared->error_call), call);
	copy_cut(shared->error_detail, sizeof(shared->error_detail), detail);
	atomic_store(&shared->failed, 2);
	return -1;
}

int fail(const char *call)
{
	if (errno == E_NOT_DONE)
		return fail_detail(call, 0, "it says that it was done, and it was not: a filter around harden answers for the kernel");
	return fail_detail(call, errno, "");
}

void begin_gate(void)
{
	for (uint32_t i = run.plan.first[STAGE_PAYLOAD]; i < run.plan.first[STAGE_CHECK]; i++)
		if (run.plan.ops[i].code == OP_GATE)
			run.op = i;
}

_Noreturn void die(const char *call)
{
	fail(call);
	_exit(EXIT_HARDEN);
}

int run_stage(enum stage stage)
{
	for (uint32_t i = run.plan.first[stage]; i < run.plan.first[stage + 1]; i++) {
		const struct op *op = &run.plan.ops[i];

		run.op = i;
		if (OPERATIONS[op->code](op) < 0)
			return -1;
	}
	return 0;
}

int slot_get(uint32_t slot)
{
	int fd = run.shared->slots[slot] - 1;

	if (fd < 0)
		errno = EBADF;
	return fd;
}

int slot_take(uint32_t slot)
{
	int fd = slot_get(slot);

	run.shared->slots[slot] = 0;
	return fd;
}

int slot_put(uint32_t slot, int fd)
{
	if (fd >= 0)
		run.shared->slots[slot] = fd + 1;
	return fd;
}
