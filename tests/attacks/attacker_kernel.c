/* SPDX-License-Identifier: Apache-2.0 */
/* Watching a process with the kernel's own means: probes, breakpoints, sampling, BPF, packets. */
#include "attacker.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/hw_breakpoint.h>
#include <linux/if_ether.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
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
					.sample_type = PERF_SAMPLE_REGS_USER |
						       PERF_SAMPLE_STACK_USER,
					.sample_regs_user = 0xff,
					.sample_stack_user = 4096 };
	int r = decisive ? perf_open(&attr, v->pid) : 0;

	return r < 0 ? r : 0;
}

/* T08, K03: a program of another on a hook that sees each system call, reading user memory. */
static int bpf_program(const struct victim_process *v, bool decisive)
{
	const struct bpf_insn code[] = {
		/* probe_read_user(fp - 8, 8, 0): a read of user memory, of nothing in particular. */
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

/* K09: the value of each key of each array map that it can get hold of, written: 0 worked. */
static int overwrite_maps(const struct victim_process *v, bool decisive)
{
	uint32_t id = 0, written = 0, refused = 0;

	while (bpf_map_get_next_id(id, &id) == 0) {
		struct bpf_map_info info = { 0 };
		uint32_t size = sizeof(info), key = 0;
		static char value[65536];
		int fd = bpf_map_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
		    info.type == BPF_MAP_TYPE_ARRAY && info.value_size <= sizeof(value) &&
		    bpf_map_lookup_elem(fd, &key, value) == 0 && decisive) {
			if (bpf_map_update_elem(fd, &key, value, BPF_EXIST) == 0)
				written++;
			else
				refused++;
		}
		close(fd);
	}
	printf("arrays written with what they held: %u, refused: %u\n", written, refused);
	return 0;
}

const struct attack kernel_attacks[] = {
	{ "uprobe", uprobe },
	{ "breakpoint", breakpoint },
	{ "sampling", sampling },
	{ "bpf-program", bpf_program },
	{ "packets", packets },
	{ "abort", abort_it },
	{ "overwrite-maps", overwrite_maps },
	{ NULL, NULL },
};
