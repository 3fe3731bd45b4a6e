/* The devices that the sandbox may use, by a BPF program on its cgroup: bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE. */
#include "limit.h"
#include "run.h"
#include "sys.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_PROGRAMS = 64 };

static uint32_t attached_id;

static int sys_bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int load(const void *instructions, size_t bytes)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)instructions;
	attr.insn_cnt = (uint32_t)(bytes / 8);
	attr.license = (uint64_t)(uintptr_t) "Apache-2.0";
	memcpy(attr.prog_name, "harden_devices", sizeof("harden_devices"));
	return made(sys_bpf(BPF_PROG_LOAD, &attr));
}

static int attach(int program, int cgroup)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	/* A device is usable if this program and those of the cgroups above all say so. */
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	return sys_bpf(BPF_PROG_ATTACH, &attr);
}

static uint32_t id_of(int program)
{
	struct bpf_prog_info info;
	union bpf_attr attr;

	memset(&info, 0, sizeof(info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)program;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	return sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) < 0 ? 0 : info.id;
}

int op_devices(const struct op *op)
{
	int program = load(run.plan.blobs + op->n[0], op->n[1]);

	if (program < 0)
		return fail("bpf(BPF_PROG_LOAD)");
	attached_id = id_of(program);
	if (!attached_id)
		fail("bpf(BPF_OBJ_GET_INFO_BY_FD)");
	else if (attach(program, run.plan.header.cgroup_fd) < 0) {
		attached_id = 0;
		fail("bpf(BPF_PROG_ATTACH)");
	}
	close(program);
	return attached_id ? 0 : -1;
}

bool check_devices(size_t rules, struct text *value)
{
	uint32_t ids[MOST_PROGRAMS] = { 0 };
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)run.plan.header.cgroup_fd;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = MOST_PROGRAMS;
	text_add(value, "BPF program ");
	text_number(value, attached_id);
	text_add(value, " allows ");
	text_number(value, (int64_t)rules);
	text_add(value, " kinds of device");
	if (!attached_id || sys_bpf(BPF_PROG_QUERY, &attr) < 0)
		return false;
	for (uint32_t i = 0; i < attr.query.prog_cnt && i < MOST_PROGRAMS; i++)
		if (ids[i] == attached_id)
			return true;
	return false;
}

/* A node of its own: the host's belongs to nobody inside. Who may do what with it is the program's above to say. */
int op_device_node(const struct op *op)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, .attr_clr = MOUNT_ATTR_NODEV };
	const char *path = plan_string(&run.plan, op->s[0]);
	struct text name;
	struct stat status;
	int fd;

	text_begin(&name);
	if (stat(path, &status) < 0)
		return fail("stat");
	if (!(S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) || status.st_rdev != op->n[0])
		return fail_detail("stat", 0, "it is another device by now");
	text_add(&name, "device");
	text_number(&name, op->f[0]);
	if (mknodat(run.staging_fd, text_string(&name), (status.st_mode & S_IFMT) | 0600, status.st_rdev) < 0)
		return fail("mknodat");
	if (fchownat(run.staging_fd, text_string(&name), (uid_t)op->n[1], (gid_t)op->n[2], AT_SYMLINK_NOFOLLOW) < 0)
		return fail("fchownat");
	if (fchmodat(run.staging_fd, text_string(&name), 0660, 0) < 0)
		return fail("fchmodat");
	fd = sys_open_tree(run.staging_fd, text_string(&name), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0)
		return fail("open_tree");
	if (sys_mount_setattr(fd, 0, &attr) < 0)
		return fail("mount_setattr");
	return slot_put(op->f[0], fd);
}

bool devices_try(int cgroup)
{
	/* return 1 */
	static const struct bpf_insn ALLOW[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct text name;
	int program = load(ALLOW, sizeof(ALLOW)), folder = -1, number;
	bool works = false;

	text_begin(&name);
	if (program < 0)
		return false;
	text_add(&name, "harden-probe-");
	text_number(&name, getpid());
	if (mkdirat(cgroup, text_string(&name), 0700) == 0) {
		folder = openat(cgroup, text_string(&name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		works = folder >= 0 && attach(program, folder) == 0;
		number = errno;
		close(folder);
		unlinkat(cgroup, text_string(&name), AT_REMOVEDIR);
		errno = number;
	}
	number = errno;
	close(program);
	errno = number;
	return works;
}
