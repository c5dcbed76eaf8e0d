/* SPDX-License-Identifier: Apache-2.0 */
/* Watching a process with the kernel's own means: probes, breakpoints, sampling, BPF, packets. */
#include "attacker.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/hw_breakpoint.h>
#include <linux/if_ether.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int perf_open(struct perf_event_attr *attr, pid_t pid)
{
	int fd;

	attr->size = sizeof(*attr);
	fd = (int)syscall(SYS_perf_event_open, attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* M16: at the code that runs as it ends, so that it is never hit. Held until the attacker ends. */
static int uprobe(const struct victim_process *v, bool decisive)
{
	static const char type_path[] = "/sys/bus/event_source/devices/uprobe/type";
	struct perf_event_attr attr = { .config1 = (uint64_t)(uintptr_t)v->executable,
					.config2 = v->fini_offset };
	FILE *f = fopen(type_path, "re");
	int r;

	r = f && fscanf(f, "%u", &attr.type) == 1 ? 0 : -ENOSYS;
	if (f)
		fclose(f);
	if (r < 0 || !decisive)
		return r;
	r = perf_open(&attr, v->pid);
	return r < 0 ? r : 0;
}

/* M17 */
static int breakpoint(const struct victim_process *v, bool decisive)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_BREAKPOINT,
					.bp_type = HW_BREAKPOINT_X,
					.bp_addr = v->fini,
					.bp_len = sizeof(long) };
	int r = decisive ? perf_open(&attr, v->pid) : 0;

	return r < 0 ? r : 0;
}

/* T07: its registers and its stack, as they are at each tick of its clock. */
static int sampling(const struct victim_process *v, bool decisive)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.config = PERF_COUNT_SW_TASK_CLOCK,
					.sample_period = 1000000,
					.sample_type =
						PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER,
					.sample_regs_user = 0xff,
					.sample_stack_user = 4096 };
	int r = decisive ? perf_open(&attr, v->pid) : 0;

	return r < 0 ? r : 0;
}

/* T08: a program of another on a hook that sees each system call, reading user memory. */
static int bpf_program(const struct victim_process *v, bool decisive)
{
	const struct bpf_insn code[] = {
		/* probe_read_user(fp - 8, 8, 0): a read of user memory, of nothing in particular.
		 */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 1, .imm = -8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = 0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_read_user },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int program = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "sniff", "GPL", code,
				    sizeof(code) / sizeof(code[0]), NULL);

	if (program < 0)
		return program;
	if (!decisive) {
		close(program);
		return 0;
	}
	/* sched_process_exit: seldom, so that nobody else on the machine is slowed down. */
	return bpf_raw_tracepoint_open("sched_process_exit", program) < 0 ? -errno : 0;
}

/* K03: the same, where already the loading of a program counts: the control loads none. */
static int bpf_given(const struct victim_process *v, bool decisive)
{
	return decisive ? bpf_program(v, true) : 0;
}

/* T12: every packet of the machine, loopback included. */
static int packets(const struct victim_process *v, bool decisive)
{
	if (!decisive)
		return socket(AF_INET, SOCK_DGRAM, 0) < 0 ? -errno : 0;
	return socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)) < 0 ? -errno : 0;
}

/* T04: a signal that ends it with a core dump. */
static int abort_it(const struct victim_process *v, bool decisive)
{
	return kill(v->pid, decisive ? SIGABRT : 0) < 0 ? -errno : 0;
}

/*
 * Calls on each number in the lines that begin with the field, of all the process's descriptors:
 * what of BPF it has open. The numbers are public to root; no descriptor of it is taken over.
 */
static int each_object(pid_t pid, const char *field, int (*on)(uint32_t id, void *arg), void *arg)
{
	char path[64], line[256];
	const struct dirent *e;
	DIR *d;
	int r = 0;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	d = opendir(path);
	if (!d)
		return -errno;
	while (r == 0 && (e = readdir(d))) {
		int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC);
		FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

		while (f && r == 0 && fgets(line, sizeof(line), f))
			if (strncmp(line, field, strlen(field)) == 0)
				r = on((uint32_t)strtoul(line + strlen(field), NULL, 10), arg);
		if (f)
			fclose(f);
	}
	closedir(d);
	return r;
}

static int detach_link(uint32_t id, void *arg)
{
	int fd = bpf_link_get_fd_by_id(id), *detached = arg;

	if (fd < 0)
		return 0;
	if (bpf_link_detach(fd) == 0)
		++*detached;
	close(fd);
	return 0;
}

/* K08: what can be detached of the process's hooks is; those on tracepoints cannot. */
static int detach_hooks(const struct victim_process *v, bool decisive)
{
	int detached = 0;
	int r = decisive ? each_object(v->pid, "link_id:", detach_link, &detached) : 0;

	return r == 0 && decisive && detached == 0 ? -EOPNOTSUPP : r;
}

struct setting_back {
	const char *map;
	int written, refused;
};

/* Writes zeros over the first counters of a map that counts what was seen. */
static int set_back_in(uint32_t id, void *arg)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info), first = 0;
	struct setting_back *s = arg;
	static const char zeros[65536];
	int fd = bpf_map_get_fd_by_id(id);

	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.value_size <= sizeof(zeros) &&
	    strcmp(info.name, s->map) == 0) {
		if (bpf_map_update_elem(fd, &first, zeros, BPF_ANY) == 0)
			s->written++;
		else
			s->refused++;
	}
	close(fd);
	return 0;
}

/* K09: what the process's map has counted is to be forgotten; -EPERM: it is frozen. */
static int set_back(pid_t pid, const char *map, bool decisive)
{
	struct setting_back s = { .map = map };
	int r = decisive ? each_object(pid, "map_id:", set_back_in, &s) : 0;

	if (r < 0 || !decisive)
		return r;
	if (s.written == 0 && s.refused == 0)
		return -ENOENT;
	return s.written == 0 ? -EPERM : 0;
}

static int set_back_counts(const struct victim_process *v, bool decisive)
{
	return set_back(v->pid, "counts", decisive);
}

static int set_back_ledger(const struct victim_process *v, bool decisive)
{
	return set_back(v->pid, "ledger", decisive);
}

const struct attack kernel_attacks[] = {
	{ "uprobe", uprobe },
	{ "breakpoint", breakpoint },
	{ "sampling", sampling },
	{ "bpf-program", bpf_program },
	{ "bpf-given", bpf_given },
	{ "packets", packets },
	{ "abort", abort_it },
	{ "detach", detach_hooks },
	{ "set-back-counts", set_back_counts },
	{ "set-back-ledger", set_back_ledger },
	{ NULL, NULL },
};
