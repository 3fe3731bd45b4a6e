/* SPDX-License-Identifier: Apache-2.0 */
/* What the recorder's programs and user space exchange; harden.trace.layout reads the same structures. */
#ifndef HARDEN_LAYOUT_H
#define HARDEN_LAYOUT_H

#include <linux/types.h>

#define SYSCALLS 512
#define ARGUMENTS 3
#define SEGMENTS 8
#define TEXT_MAX 4096
#define TEXT_MASK 16383

enum call_kind {
	CALL_NONE,
	CALL_OPEN,
	CALL_FD,
	CALL_PATH,
	CALL_PATHS,
	CALL_SOCKET,
	CALL_ADDRESS,
	CALL_MESSAGE,
	CALL_MESSAGES,
	CALL_LISTEN,
	CALL_PROTECT,
	CALL_CHDIR,
	CALL_CHROOT,
};

/* When a call is worth an event. */
enum call_condition {
	WHEN_ALWAYS,
	WHEN_FAILED,
	WHEN_LOCKING,
	WHEN_DEVICE,
	WHEN_EXECUTABLE,
	WHEN_NAMED,
	WHEN_LISTENING,
};

/* Argument positions that are none. */
#define NO_ARGUMENT 0xff
#define OPEN_HOW 0xfe
#define CREAT_FLAGS 0xfd

/* What is kept of a call besides what its kind says. */
enum call_also {
	ALSO_NOTHING,
	ALSO_TYPE,	 /* the name of a file system at `also_at`, and the flags at `also_flags` */
	ALSO_ARGUMENTS,	 /* the arguments that lie in memory, where they could not be read at its start */
	ALSO_ANSWER,	 /* what a name server sent into the buffer at `also_at`, from the address at `also_flags` */
	ALSO_ANSWER_MESSAGE, /* the same in a struct user_msghdr at `also_at` */
};

struct call_row {
	__u8 kind;
	__u8 path, dirfd, flags;
	__u8 path2, dirfd2;
	__u8 condition;
	__u8 also;
	__u32 flag_mask;
	__u8 also_at, also_flags;
	__u16 unused;
};

struct argument_row {
	__u64 mask[ARGUMENTS];
	__u8 index[ARGUMENTS];
	__u8 count;
	__u8 pointed; /* the first value is 64 bits at the address that the argument is */
	__u8 unused[3];
};

#define TRAIT_ARGUMENTS 1
#define TRAIT_EXIT 2
#define TRAIT_WAIT 4 /* waits for requests; call_row.path is then the position of the number of descriptors */
#define TRAIT_DESCRIPTOR 8 /* returns a descriptor */
#define TRAIT_DESCRIPTORS 16 /* may make descriptors without returning them */
#define TRAIT_SET_LIMIT 32 /* setrlimit */
#define TRAIT_CHANGE_LIMIT 64 /* prlimit64 */
#define TRAIT_STACK 128 /* its stack is not to be had where something new is seen in it */
#define TRAITS_AT_EXIT                                                                                                 \
	(TRAIT_EXIT | TRAIT_DESCRIPTOR | TRAIT_DESCRIPTORS | TRAIT_SET_LIMIT | TRAIT_CHANGE_LIMIT)

struct recorder_config {
	__u64 cgroup;
	__u64 seed;
	__u32 combinations;
	__u32 is_ready_told; /* `serving` begins when user space says so, and not where a thread first waits */
	__u32 refusals; /* also tell what a seccomp filter refused; costs every call a store */
	__u32 stacks; /* also tell the user stack of what is new */
	struct call_row calls[SYSCALLS];
	struct argument_row arguments[SYSCALLS];
	__u8 traits[SYSCALLS];
};

/* Which table a call's number belongs to. */
enum call_abi { ABI_NATIVE, ABI_X32, ABI_COMPAT };

/* In a key's executable number: the thread was in the phase `serving`, not `init`. */
#define SERVING (1u << 31)

/* When something was first seen, by CLOCK_MONOTONIC in nanoseconds, and the process that did it; 0: not known. */
struct first {
	__u64 time;
	__u32 process; /* its number as the payload sees it */
	__u32 unused;
};

/* How often something was seen: the value of all maps but `combinations` and `refusals`. */
struct tally {
	__u64 count;
	struct first first;
};

struct count_key {
	__u32 executable;
	__u32 abi;
	__u32 nr;
	__s32 error; /* 0: calls made; otherwise calls that ended with this errno */
};

struct argument_key {
	__u32 executable;
	__u32 nr;
	__u64 values[ARGUMENTS];
};

struct combination_key {
	__u32 executable;
	__u32 nr;
};

/* A call that a seccomp filter refused, with the arguments of its row. `error`: an errno, or negative: a signal. */
struct refusal_key {
	__u32 executable;
	__u32 nr;
	__u32 abi;
	__s32 error;
	__u64 values[ARGUMENTS];
};

struct executable_key {
	__u64 anchor;
	__u64 hash;
	__u64 script;
};

/* One distinct thing done to a path or socket. `hash` and `anchor` stand for the path. */
struct seen_key {
	__u64 hash;
	__u64 anchor;
	__u32 executable;
	__u16 nr;
	__s16 error;
	__u32 flags; /* the call's flags; of a socket its family and, above, its type */
	__u32 mode;  /* the inode's mode and MODE_*; of a socket its protocol */
};

#define MODE_CREATED (1u << 16)

/* In a file's flags: the name that led to an object which is seen for itself. No call's masked flags have this bit. */
#define FLAG_NAMED (1u << 31)

/* A key with this number counts execs: `executable` is who called (0: the launcher), `hash` the number of what ran. */
#define EXEC_NR 0xffff

/* A key with this number is a process that was killed after the program had ended; `hash` is its id. */
#define KILLED_NR 0xfffe

#define CAPABILITY_NOAUDIT 1
#define CAPABILITY_OVERRIDDEN 2
#define CAPABILITY_HOST 4
#define CAPABILITY_GRANTED 8
#define CAPABILITY_COMPAT 16
#define CAPABILITY_NESTED 32 /* over a user namespace below the sandbox's */

struct capability_key {
	__u32 executable;
	__s32 nr; /* -1 outside any call */
	__s32 stack;
	__u16 capability;
	__u16 marks;
};

/* Where a signal that a task sent went to. */
enum signal_target { TARGET_SELF, TARGET_CHILD, TARGET_PARENT, TARGET_OTHER, TARGET_OUTSIDE };

struct signal_key {
	__u32 executable;
	__s32 nr; /* of the call that sent it */
	__u16 signal;
	__u8 target;
	__u8 abi;
};

/* An operation that was submitted to an io_uring ring. */
struct ring_key {
	__u32 executable;
	__s32 nr; /* -1: no call; the thread that the kernel keeps for the ring took it from there */
	__u16 opcode;
	__u16 abi;
};

enum event_kind { EVENT_EXECUTABLE, EVENT_FILE, EVENT_SOCKET, EVENT_STACK, EVENT_STACK_OWNER, EVENT_MAPPING };

/*
 * The last three come by the ring `user_stacks`. A stack: `hash` is its number, `anchor` its address space's, `mode`
 * is 1 if it is copied up to where the first thread began; the strings are its registers and what it holds. Its
 * owner: `hash` is the stack's number, `nr` an enum stack_owner, the string a key. A mapping: `hash` is the number of
 * the address space, the string a mapping_text, the base its file.
 */
enum stack_owner { OWNER_CALL, OWNER_ARGUMENTS, OWNER_SEEN, OWNER_CAPABILITY, OWNER_SIGNAL, OWNER_RING };

#define STACK_MAX 8192

struct user_registers {
	__u64 instruction, stack;
	__u64 frame, base; /* on x86 bp and bx: frames are found by no others */
};

struct mapping_text {
	__u64 start, end;
	__u64 offset; /* in pages */
	__u64 inode, size, device; /* without a file: inode is 1 for the vDSO */
};

/* Kinds of the ring `events` besides: `string` is a DNS message, or the name of a file system's type. */
#define EVENT_ANSWER 16
#define EVENT_TYPE 17

#define MARK_OBJECT 1   /* SEGMENT_BASE is the object itself, not the folder of a name */
#define MARK_TRUNCATED 2
#define MARK_DETACHED 4 /* the path ends at a mount that is in no namespace */
#define MARK_INTERNAL 8 /* pipe, socket, memfd: has no path; sent only for a program, whose name is SEGMENT_BASE */
#define MARK_DESCRIPTOR 32 /* of a script: SEGMENT_BASE2 is what the descriptor is that its name begins with */
#define MARK_REFUSED 16 /* a filter refused the call, so that nobody has touched its memory yet */

/*
 * Segments, in this order in `text`: folders and objects are their names, leaf first, each with its NUL;
 * strings are as the program gave them.
 */
enum segment {
	SEGMENT_STRING,
	SEGMENT_STRING2,
	SEGMENT_BASE,
	SEGMENT_BASE2,
	SEGMENT_LOADER,
	SEGMENT_ARGV0,
};

struct event {
	struct seen_key key;
	__u32 pid;
	__u16 kind;
	__u16 marks;
	__u16 length[SEGMENTS]; /* six are used; a power of two lets the verifier see the bound */
};

struct losses {
	__u64 ring_full;      /* events that found no room in the ring buffer */
	__u64 map_full;       /* distinct things beyond a map's size */
	__u64 no_memory;      /* map updates that failed otherwise */
	__u64 tasks;          /* tasks that could not be followed */
	__u64 unreadable;     /* strings in user memory that could not be read */
	__u64 truncated;      /* paths longer than PATH_MAX */
	__u64 detached;       /* paths that end at a mount in no namespace */
	__u64 mappings;       /* mappings that could not be looked up */
};

struct stack_losses {
	__u64 ring_full;
	__u64 limit;      /* enough of this executable and call were taken */
	__u64 mappings;   /* the address space was being changed */
	__u64 unreadable; /* the stack was not in memory */
};

struct recorder_state {
	struct losses losses;
	__u64 namespace;   /* the payload's user namespace, as its first execve left it; only ever compared */
	__u32 executables; /* numbers given out */
	__u32 payload;     /* process id of the first recorded task; 0 before it starts */
	__u32 is_over;     /* that process has ended */
	__u32 is_listening; /* a socket listens */
	__u32 tasks;       /* recorded processes and threads that live */
	__u32 tasks_peak;
	__u32 descriptors_peak; /* the highest number that a process had, plus 1 */
	__u32 descriptors_asked; /* the highest soft RLIMIT_NOFILE below the hard one that a process set itself */
	__u64 descriptors_hard; /* the hard RLIMIT_NOFILE that the payload started with */
	struct stack_losses stack_losses;
	__u64 stacks; /* numbers given out */
	__u64 unflushed; /* calls that sum_task found in tasks, not yet in the map of counts */
};

/* What user space tells the programs while they run. */
struct recorder_control {
	__u32 is_serving; /* every thread serves from its next call on */
};

#endif
