/* Every action is harmless when it is allowed: it names things that do not exist, passes pointers that fault, repeats
 * a state that already holds, or changes only a child that ends at once. Comments say which check comes first in the
 * kernel where that decides the arguments. */
#include <linux/bpf.h>
#include <linux/fcntl.h>
#include <linux/in.h>
#include <linux/keyctl.h>
#include <linux/mman.h>
#include <linux/net.h>
#include <linux/perf_event.h>
#include <linux/personality.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/socket.h>
#include <linux/time.h>
#include <linux/uio.h>
#include <asm/ioctls.h>
#include <stddef.h>
#include <stdint.h>

#include "action.h"
#include "raw.h"

/* From <sys/socket.h>, which needs a C library. */
enum { INET = 2, NETLINK = 16, PACKET = 17, ALG = 38, VSOCK = 40 };
enum { STREAM = 1, RAW_SOCKET = 3, SEQPACKET = 5, NONBLOCK = 04000, CLOSE_ON_EXEC = 02000000 };
enum { CHILD_SIGNAL = 17, TMPFILE = __O_TMPFILE | O_DIRECTORY };

#define NOWHERE ((void *)8)

static long close_if_open(long fd)
{
	if (fd >= 0)
		RAW(__NR_close, fd);
	return fd;
}

static long open_path(const char *path, int flags)
{
	return close_if_open(RAW(__NR_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600));
}

static long open_socket(int family, int type)
{
	return close_if_open(RAW(__NR_socket, family, type | CLOSE_ON_EXEC, 0));
}

static long execute_shell(void)
{
	const char *const arguments[] = { "sh", "-c", ":", NULL };
	const char *const environment[] = { NULL };

	return RAW(__NR_execve, "/bin/sh", arguments, environment);
}

/* Never replaces the prober: reading the argument list faults. */
static long execute_shell_alone(void)
{
	return RAW(__NR_execve, "/bin/sh", NOWHERE, NOWHERE);
}

static long create_memory_file(void)
{
	return close_if_open(RAW(__NR_memfd_create, "harden", 1));
}

static long execute_memory(void)
{
	long answer, fd = RAW(__NR_memfd_create, "harden", 1);

	if (fd < 0)
		return fd;
	/* The file is empty: past every check its format is not recognised. */
	answer = RAW(__NR_execveat, fd, "", NULL, NULL, AT_EMPTY_PATH);
	close_if_open(fd);
	return answer;
}

static long write_passwd(void)
{
	return open_path("/etc/passwd", O_WRONLY);
}

static long read_shadow(void)
{
	return open_path("/etc/shadow", O_RDONLY);
}

static long list_root_home(void)
{
	return open_path("/root", O_RDONLY | O_DIRECTORY);
}

static long write_init_memory(void)
{
	return open_path("/proc/1/mem", O_RDWR);
}

static long write_core_pattern(void)
{
	return open_path("/proc/sys/kernel/core_pattern", O_WRONLY);
}

/* A file without a name: created in the folder's file system, gone when it is closed. */
static long create_in_usr_bin(void)
{
	return open_path("/usr/bin", O_WRONLY | TMPFILE);
}

static long connect_to(uint32_t address, uint16_t port)
{
	struct sockaddr_in target = {
		.sin_family = INET,
		.sin_port = __builtin_bswap16(port),
		.sin_addr.s_addr = __builtin_bswap32(address),
	};
	long answer, fd = RAW(__NR_socket, INET, STREAM | NONBLOCK | CLOSE_ON_EXEC, 0);

	if (fd < 0)
		return fd;
	answer = RAW(__NR_connect, fd, &target, sizeof(target));
	close_if_open(fd);
	return answer;
}

/* Port 9 (discard): nothing listens there, so a permitted attempt is refused by the peer. */
static long connect_loopback(void)
{
	return connect_to(0x7f000001, 9);
}

/* 192.0.2.1 is reserved for documentation (RFC 5737): a permitted attempt stays in progress and is dropped. */
static long connect_out(void)
{
	return connect_to(0xc0000201, 443);
}

static long socket_inet(void)
{
	return open_socket(INET, STREAM);
}

static long socket_netlink(void)
{
	return open_socket(NETLINK, RAW_SOCKET);
}

static long socket_packet(void)
{
	return open_socket(PACKET, RAW_SOCKET);
}

static long socket_alg(void)
{
	return open_socket(ALG, SEQPACKET);
}

static long socket_vsock(void)
{
	return open_socket(VSOCK, STREAM);
}

static long ptrace_traceme(void)
{
	return RAW(__NR_ptrace, PTRACE_TRACEME, 0, 0, 0);
}

/* PTRACE_SEIZE does not stop its target, and ends with the child. */
static long ptrace_init(void)
{
	return RAW(__NR_ptrace, PTRACE_SEIZE, 1, 0, 0);
}

/* No process has this id (PID_MAX_LIMIT is 2^22). */
static long ptrace_nobody(void)
{
	return RAW(__NR_ptrace, PTRACE_SEIZE, 1 << 30, 0, 0);
}

static long write_init_process(void)
{
	char byte = 0;
	struct iovec here = { &byte, 1 }, there = { NOWHERE, 1 };

	return RAW(__NR_process_vm_writev, 1, &here, 1, &there, 1, 0);
}

static long unshare_user(void)
{
	return RAW(__NR_unshare, CLONE_NEWUSER);
}

/* CLONE_PARENT is no flag of unshare(2): the kernel refuses the combination before it does anything. */
static long unshare_user_alone(void)
{
	return RAW(__NR_unshare, CLONE_NEWUSER | CLONE_PARENT);
}

static long clone3_user(void)
{
	struct clone_args arguments = { .flags = CLONE_NEWUSER, .exit_signal = CHILD_SIGNAL };
	long child = RAW(__NR_clone3, &arguments, sizeof(arguments));

	if (child == 0)
		raw_exit(0);
	if (child > 0)
		RAW(__NR_wait4, child, NULL, 0, NULL);
	return child;
}

static long io_uring(void)
{
	return RAW(__NR_io_uring_setup, 1, NOWHERE);
}

static long create_bpf_map(void)
{
	union bpf_attr attributes = { 0 };

	attributes.map_type = BPF_MAP_TYPE_ARRAY;
	attributes.key_size = 4;
	attributes.value_size = 8;
	attributes.max_entries = 1;
	return close_if_open(RAW(__NR_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes)));
}

static long find_session_keyring(void)
{
	return RAW(__NR_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
}

static long add_key(void)
{
	return RAW(__NR_add_key, NOWHERE, NOWHERE, NULL, 0, KEY_SPEC_PROCESS_KEYRING);
}

/* The privilege is checked before the file system type, which does not exist. */
static long mount_root(void)
{
	return RAW(__NR_mount, "none", "/", "harden-none", 0, NULL);
}

static long open_filesystem(void)
{
	return RAW(__NR_fsopen, "harden-none", 0);
}

/* /proc/self is no mount point. */
static long unmount(void)
{
	return RAW(__NR_umount2, "/proc/self", 0);
}

static long pivot_root(void)
{
	return RAW(__NR_pivot_root, "/proc/self", "/proc/self");
}

/* Into its own namespace: the privilege is asked for, and nothing changes. Without a process descriptor only the
 * filter is asked. */
static long enter_namespace(void)
{
	long answer, self = RAW(__NR_pidfd_open, RAW(__NR_getpid), 0);

	answer = RAW(__NR_setns, self < 0 ? -1 : self, CLONE_NEWUTS);
	close_if_open(self);
	return answer;
}

static long change_root(void)
{
	return RAW(__NR_chroot, "/");
}

/* The handle names no inode: past the privilege check the kernel finds it stale. */
static long open_by_handle(void)
{
	struct {
		uint32_t size, type;
		uint32_t inode[2];
	} handle = { 8, 1, { 0, 0 } };

	return close_if_open(RAW(__NR_open_by_handle_at, AT_FDCWD, &handle, O_RDONLY | O_CLOEXEC));
}

static long push_terminal_input(void)
{
	return RAW(__NR_ioctl, 0, TIOCSTI, NOWHERE);
}

/* The kernel looks at the low 32 bits of the request only; a filter that compares all 64 lets this one pass. */
static long push_terminal_input_high(void)
{
	return RAW(__NR_ioctl, 0, (uint64_t)TIOCSTI | (uint64_t)1 << 32, NOWHERE);
}

static long map_writable_code(void)
{
	long answer = RAW(__NR_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (answer > 0 || answer < -4095) {
		RAW(__NR_munmap, answer, 4096);
		return 0;
	}
	return answer;
}

static unsigned char page[65536] __attribute__((aligned(65536)));

static long make_data_writable_code(void)
{
	return RAW(__NR_mprotect, page, sizeof(page), PROT_READ | PROT_WRITE | PROT_EXEC);
}

static long make_data_code(void)
{
	return RAW(__NR_mprotect, page, sizeof(page), PROT_READ | PROT_EXEC);
}

static long stop_randomisation(void)
{
	return RAW(__NR_personality, ADDR_NO_RANDOMIZE);
}

static long open_perf_event(void)
{
	struct perf_event_attr attributes = { 0 };

	attributes.type = PERF_TYPE_SOFTWARE;
	attributes.size = sizeof(attributes);
	attributes.config = PERF_COUNT_SW_CPU_CLOCK;
	attributes.disabled = 1;
	attributes.exclude_kernel = 1;
	attributes.exclude_hv = 1;
	return close_if_open(RAW(__NR_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

/* 1 is UFFD_USER_MODE_ONLY. */
static long handle_page_faults(void)
{
	return close_if_open(RAW(__NR_userfaultfd, O_CLOEXEC | 1));
}

/* More segments than any kernel takes, and a flag that none knows. */
static long load_kernel(void)
{
	return RAW(__NR_kexec_load, 0, 1000, NOWHERE, 0x8000);
}

static long load_module(void)
{
	return RAW(__NR_init_module, NOWHERE, 16, "");
}

/* The magic numbers are wrong: the kernel refuses after its privilege check. */
static long reboot(void)
{
	return RAW(__NR_reboot, 0, 0, 0, NULL);
}

static long set_time(void)
{
	return RAW(__NR_settimeofday, NULL, NULL);
}

static long set_host_name(void)
{
	return RAW(__NR_sethostname, NOWHERE, 1);
}

static long read_kernel_log(void)
{
	char text[16];

	return RAW(__NR_syslog, 3, text, sizeof(text));
}

static long change_user(void)
{
	return RAW(__NR_setuid, 1);
}

/* No user has the id -1. */
static long change_user_alone(void)
{
	return RAW(__NR_setuid, -1);
}

#if defined(__x86_64__)
static long call_i386(void)
{
	const long getpid_i386 = 20;
	long answer;

	__asm__ volatile("int $0x80" : "=a"(answer) : "a"(getpid_i386) : "r8", "r9", "r10", "r11", "memory");
	return answer;
}

static long call_x32(void)
{
	return RAW(0x40000000 | __NR_getpid);
}
#endif

static long get_process_id(void)
{
	return RAW(__NR_getpid);
}

static long get_time(void)
{
	struct { int64_t seconds, nanoseconds; } now;

	return RAW(__NR_clock_gettime, 0, &now);
}

static long map_memory(void)
{
	long answer = RAW(__NR_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return answer > 0 || answer < -4095 ? 0 : answer;
}

static long get_working_folder(void)
{
	char path[4096];

	return RAW(__NR_getcwd, path, sizeof(path));
}

#define SAME(function) .in_child = function, .alone = function
#define CHILD_ONLY(function) .in_child = function, .alone = NULL
#define PASSED(...) .passed = { __VA_ARGS__ }, .passed_alone = { __VA_ARGS__ }

const struct action actions[] = {
	{ "exec-shell", "execve", "start a shell", .in_child = execute_shell, .alone = execute_shell_alone,
	  .passed_alone = { EFAULT } },
	{ "exec-memory", "execveat", "run a program that is in no file", SAME(execute_memory), PASSED(ENOEXEC),
	  .first_call = "memfd_create", .first = create_memory_file },
	{ "write-passwd", "openat", "add a user to /etc/passwd", SAME(write_passwd) },
	{ "read-shadow", "openat", "read password hashes from /etc/shadow", SAME(read_shadow) },
	{ "list-root-home", "openat", "look for keys below /root", SAME(list_root_home) },
	{ "create-usr-bin", "openat", "put a program into /usr/bin", SAME(create_in_usr_bin) },
	{ "write-init-memory", "openat", "write the memory of PID 1 through /proc", SAME(write_init_memory) },
	{ "write-core-pattern", "openat", "let the kernel run a program as root", SAME(write_core_pattern) },
	{ "open-by-handle", "open_by_handle_at", "open files past the mount table", SAME(open_by_handle),
	  PASSED(ESTALE, EOPNOTSUPP) },
	{ "connect-loopback", "connect", "reach a local service", SAME(connect_loopback), PASSED(ECONNREFUSED, EINPROGRESS),
	  .first_call = "socket", .first = socket_inet },
	{ "connect-out", "connect", "reach a host on the network", SAME(connect_out), PASSED(EINPROGRESS),
	  .first_call = "socket", .first = socket_inet },
	{ "socket-netlink", "socket", "talk to kernel subsystems over netlink", SAME(socket_netlink) },
	{ "socket-packet", "socket", "read and forge packets", SAME(socket_packet) },
	{ "socket-alg", "socket", "reach the kernel's crypto code", SAME(socket_alg) },
	{ "socket-vsock", "socket", "talk to the hypervisor's host", SAME(socket_vsock) },
	{ "ptrace-traceme", "ptrace", "be traced, to control a process", .in_child = ptrace_traceme,
	  .alone = ptrace_nobody, .passed_alone = { ESRCH } },
	{ "ptrace-init", "ptrace", "take over PID 1", .in_child = ptrace_init, .alone = ptrace_nobody,
	  .passed_alone = { ESRCH } },
	{ "write-init-process", "process_vm_writev", "write the memory of PID 1", SAME(write_init_process), PASSED(EFAULT) },
	{ "unshare-user", "unshare", "gain all capabilities in a new user namespace", .in_child = unshare_user,
	  .alone = unshare_user_alone, .passed_alone = { EINVAL } },
	{ "clone3-user", "clone3", "the same, past filters that look at flags", SAME(clone3_user) },
	{ "io-uring", "io_uring_setup", "make system calls that no filter sees", SAME(io_uring), PASSED(EFAULT) },
	{ "bpf-map", "bpf", "reach the BPF verifier", SAME(create_bpf_map) },
	{ "keyring-find", "keyctl", "read the session keyring", SAME(find_session_keyring), PASSED(ENOKEY) },
	{ "keyring-add", "add_key", "fill kernel memory with keys", SAME(add_key), PASSED(EFAULT) },
	{ "mount", "mount", "mount a file system", SAME(mount_root), PASSED(ENODEV) },
	{ "fsopen", "fsopen", "mount with the newer calls", SAME(open_filesystem), PASSED(ENODEV) },
	{ "umount", "umount2", "uncover what a mount hides", SAME(unmount), PASSED(EINVAL) },
	{ "pivot-root", "pivot_root", "leave the root file system", SAME(pivot_root), PASSED(EINVAL) },
	{ "setns", "setns", "enter another namespace", SAME(enter_namespace), PASSED(EBADF) },
	{ "chroot", "chroot", "escape with chroot", SAME(change_root) },
	{ "tiocsti", "ioctl", "type into the terminal", SAME(push_terminal_input), PASSED(EFAULT, ENOTTY, EBADF) },
	{ "tiocsti-high-bits", "ioctl", "the same, past filters that compare 64 bits", SAME(push_terminal_input_high),
	  PASSED(EFAULT, ENOTTY, EBADF) },
	{ "mmap-write-exec", "mmap", "map memory that is writable code", SAME(map_writable_code) },
	{ "mprotect-write-exec", "mprotect", "make data writable code", SAME(make_data_writable_code) },
	{ "mprotect-exec", "mprotect", "make written data code", SAME(make_data_code) },
	{ "personality", "personality", "switch address randomisation off", SAME(stop_randomisation) },
	{ "perf-event", "perf_event_open", "reach the perf subsystem", SAME(open_perf_event) },
	{ "userfaultfd", "userfaultfd", "stop the kernel in the middle of a copy", SAME(handle_page_faults) },
	{ "kexec", "kexec_load", "boot another kernel", SAME(load_kernel), PASSED(EINVAL) },
	{ "load-module", "init_module", "load code into the kernel", SAME(load_module), PASSED(ENOEXEC, EFAULT) },
	{ "reboot", "reboot", "stop the machine", SAME(reboot), PASSED(EINVAL) },
	{ "set-time", "settimeofday", "change the clock", SAME(set_time) },
	{ "set-hostname", "sethostname", "change the host's name", SAME(set_host_name), PASSED(EFAULT) },
	{ "kernel-log", "syslog", "read kernel addresses from the log", SAME(read_kernel_log) },
	{ "change-user", "setuid", "become another user", .in_child = change_user, .alone = change_user_alone,
	  .passed_alone = { EINVAL } },
#if defined(__x86_64__)
	{ "abi-i386", "int 0x80", "make 32-bit calls, past filters that know 64-bit ones", CHILD_ONLY(call_i386) },
	{ "abi-x32", "x32 getpid", "make x32 calls, past filters that know plain numbers", CHILD_ONLY(call_x32) },
#endif
	{ "twin-getpid", "getpid", "ask for the own process id", SAME(get_process_id) },
	{ "twin-time", "clock_gettime", "read the clock", SAME(get_time) },
	{ "twin-memory", "mmap", "map ordinary memory", SAME(map_memory) },
	{ "twin-cwd", "getcwd", "ask for the working folder", SAME(get_working_folder) },
};
const unsigned int action_count = sizeof(actions) / sizeof(actions[0]);
