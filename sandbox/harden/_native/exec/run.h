/* What the processes of one run share. */
#ifndef HARDEN_RUN_H
#define HARDEN_RUN_H

#include "plan.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/types.h>

/* First byte of what is sent to the supervisor. */
enum packet { PACKET_TERMINAL = 'T', PACKET_BORN = 'B', PACKET_READY = 'R' };

enum { EXIT_HARDEN = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127, EXIT_TIMEOUT = 124 };

/* What was seen of Landlock by trying what it has to refuse, before and after. */
enum landlock_effect { LANDLOCK_UNTRIED = 0, LANDLOCK_REFUSES, LANDLOCK_ALLOWS, LANDLOCK_UNSEEN };

/* What the recorder of calls (notify.h) does with them. */
enum recording { RECORDING_WAITS = 0, RECORDING_ON, RECORDING_OVER };

/* One shared anonymous mapping made before the clone. It is how init and the payload report: writing to it needs no
 * system call, so it works under any filter; and execve takes it away from the program. */
struct shared {
	atomic_uint failed; /* 1: the error fields are being written, 2: they are complete */
	uint32_t error_op;
	int32_t error_number;
	char error_call[48];
	char error_detail[128];
	atomic_uint at_gate; /* the payload has nothing left to do but to lose its rights and execute */
	atomic_uint payload_ended;
	int32_t payload_status; /* as of wait4(2) */
	atomic_uint payload_stopped; /* by which signal; 0: it was told */
	atomic_uint foreground_changed;
	atomic_uint recording; /* enum recording */
	struct rusage payload_usage;
	uint32_t landlock_abi;
	uint32_t landlock_rules;
	uint32_t landlock_links; /* rules whose path holds a symbolic link: they grant nothing */
	uint32_t landlock_effect;
	int32_t slots[PLAN_MAX_SLOTS]; /* descriptor + 1, 0: empty */
};

/* Private to each process after the clones; filled before them. */
struct run {
	struct plan plan;
	struct shared *shared;
	int control[2];  /* supervisor's end, sandbox's end: sequenced packets */
	int to_payload[2]; /* init → payload */
	int notify[2];   /* recorder of calls, payload */
	pid_t parent;    /* of harden, when it began; 0: outside this pid namespace */
	pid_t init_pid;
	int init_pidfd;
	int user_namespace_fd; /* init's, for idmapped mounts; -1 until needed */
	int staging_fd;
	int root_fd;
	int proc_fd;
	int landlock_fd;
	pid_t payload_pid; /* in init: its number inside */
	uint64_t root_mount_id;
	uint32_t op; /* index of the operation under way */
	char **argv;
	char **environment;
	sigset_t original_mask;
	struct rlimit original_files;
	unsigned terminals; /* bit n: descriptor n is a terminal of the caller, and the sandbox gets one of its own */
	bool own_session;   /* the supervisor leads a session, and the payload stays in it */
	bool attended;      /* the payload starts as the foreground job of its terminal */
	int slave_fd;       /* that terminal, in init and the payload */
	int stops_fd;       /* an eventfd by which init tells that the payload has stopped */
};

extern struct run run;

/* Records the first failure of the whole run: the call and errno of the operation under way. Returns -1. */
int fail(const char *call);
int fail_detail(const char *call, int number, const char *detail);
/* Records it and ends this process. */
_Noreturn void die(const char *call);
/* What follows is about the gate. */
void begin_gate(void);

typedef int operation(const struct op *op);

/* Carries out one stage; returns -1 when an operation failed (it is recorded). */
int run_stage(enum stage stage);

/* The number of the mount that `fd` lies on; 0 where the kernel does not say. */
uint64_t mount_id(int fd);
uint64_t mount_id_of(const char *folder);

int slot_take(uint32_t slot);
int slot_get(uint32_t slot);
int slot_put(uint32_t slot, int fd);

operation op_clone_init, op_map_ids, op_staging, op_clone_tree, op_set_attributes, op_overlay, op_tmpfs, op_proc,
	op_clone_payload, op_join_network, op_sysfs, op_devpts, op_root, op_attach, op_folder, op_symlink, op_mask,
	op_read_only, op_pivot, op_lock_down, op_hostname, op_loopback, op_keyring, op_wait_for_root, op_copy_mounts,
	op_rlimit, op_landlock, op_landlock_path, op_landlock_port, op_session, op_bounding, op_ids, op_capabilities,
	op_apparmor, op_cwd, op_no_new_privs, op_landlock_restrict, op_gate, op_close_fds, op_seccomp, op_exec, op_join,
	op_notify,
	op_limit, op_devices, op_map_ranges, op_groups, op_pass_fd, op_device_node;

_Noreturn void init_main(void);
_Noreturn void payload_main(void);
int write_id_maps(int process_fd, const char *uid_map, const char *gid_map, bool deny_setgroups);

_Noreturn void supervise(void);
_Noreturn void enter(void);
int probe_main(int argc, char **argv);

#endif
