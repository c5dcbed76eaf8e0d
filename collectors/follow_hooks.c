/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "collectors/follow_state.h"

const struct follow_program follow_programs[FOLLOW_HOOKS] = {
	{ "task_newtask", "on_newtask", false },
	{ "cgroup_attach_task", "on_attach_task", false },
	{ "sched_process_exec", "on_exec", false },
	{ "sched_process_exit", "on_exit", false },
	{ "inet_sock_set_state", "on_sock_state", false },
	{ "signal_generate", "on_signal", false },
	{ "cap_capable", "on_capable", false },
	{ "cgroup_skb/egress", "on_egress", true },
	{ "cgroup_skb/ingress", "on_ingress", true },
	{ "cgroup/dev", "on_device", true },
};

struct bpf_program *follow_program_of(const struct follow_bpf *skel, size_t i)
{
	return bpf_object__find_program_by_name(skel->obj, follow_programs[i].name);
}

/*
 * Kernel functions by which an access check is told to be more than looking at
 * state, as ps does. Compiler suffixes (.constprop.0) are accepted. /proc/PID/mem is opened
 * through mem_open; maps and environ, which only show, are not.
 */
static const char *const attach_functions[] = {
	"ptrace_attach",
	"process_vm_rw_core",
	"process_vm_rw",
	"mem_open",
	"pidfd_getfd",
	"__x64_sys_pidfd_getfd",
	"__arm64_sys_pidfd_getfd",
	"__do_sys_process_madvise",
	"__do_sys_perf_event_open",
};

static bool same_function(const char *symbol, const char *name)
{
	size_t len = strlen(name);

	return strncmp(symbol, name, len) == 0 && (symbol[len] == '\0' || symbol[len] == '.');
}

/*
 * Where those functions are. The list is ordered by address, so each ends where the next
 * symbol begins. Addresses that the kernel hides read as 0: then accesses stay unclassified.
 */
static size_t find_ranges(struct follow_range *ret, size_t max)
{
	CLEANUP(cleanup_file) FILE *f = fopen("/proc/kallsyms", "re");
	unsigned long long address;
	bool open = false;
	char line[512], type;
	size_t n = 0;
	int at;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\t\n")] = '\0';
		at = 0;
		if (open) {
			address = strtoull(line, NULL, 16);
			if (address <= ret[n - 1].start)
				continue;
			ret[n - 1].end = address;
			open = false;
		}
		if (n == max)
			break;
		/* Cheap first: the names are long to compare and the list is 100,000 lines. */
		if (strlen(line) < 20 || (line[17] | 0x20) != 't' || !strchr("_mp", line[19]))
			continue;
		for (size_t i = 0; i < ARRAY_LEN(attach_functions); i++) {
			if (!same_function(line + 19, attach_functions[i]) ||
			    sscanf(line, "%llx %c %n", &address, &type, &at) != 2 || address == 0)
				continue;
			ret[n++] = (struct follow_range){ .start = address,
							  .end = address + 1,
							  .access = FOLLOW_ACCESS_ATTACH };
			open = true;
			break;
		}
	}
	return n;
}

static void say_why(int error, char *ret_why, size_t size)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		snprintf(ret_why, size,
			 "this kernel has no type information (CONFIG_DEBUG_INFO_BTF), which eBPF "
			 "programs need");
	else if (error == -EPERM)
		snprintf(ret_why, size,
			 "the kernel refuses eBPF to this process: it lacks CAP_BPF, CAP_PERFMON "
			 "or CAP_NET_ADMIN, or the kernel is locked down for confidentiality");
	else if (error == -ENOSYS)
		snprintf(ret_why, size, "this kernel was built without eBPF (CONFIG_BPF_SYSCALL)");
	else
		snprintf(ret_why, size, "eBPF programs cannot be loaded: %s", strerror(-error));
}

static void hook_why_not(struct follow_hook *h, int error)
{
	h->attached = false;
	if (error == -ESRCH || error == -ENOENT)
		snprintf(h->why_not, sizeof(h->why_not), "this kernel has no such hook");
	else
		snprintf(h->why_not, sizeof(h->why_not), "the kernel refused the program: %s",
			 strerror(-error));
}

void follow_hook_note(struct follow_hook *h, const struct bpf_program *program, int error)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	if (error < 0) {
		hook_why_not(h, error);
		return;
	}
	h->attached = true;
	h->why_not[0] = '\0';
	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0)
		memcpy(h->tag, info.tag, sizeof(h->tag));
}

/* Opens an object in which only the programs are to be loaded that wanted allows. */
static int open_with(const struct follow *f, size_t ring_bytes, uint32_t wanted,
		     struct follow_bpf **ret)
{
	struct follow_bpf *skel = follow_bpf__open();
	int r = 0;

	if (!skel)
		return neg_errno();
	skel->rodata->self_tgid = (uint32_t)getpid();
	for (size_t i = 0; i < FOLLOW_HOOKS && r == 0; i++)
		r = bpf_program__set_autoload(follow_program_of(skel, i), wanted & 1U << i);
	if (r == 0 && ring_bytes)
		r = bpf_map__set_max_entries(skel->maps.records, (uint32_t)ring_bytes);
	if (r < 0) {
		follow_bpf__destroy(skel);
		return r;
	}
	*ret = skel;
	return 0;
}

static int load_with(struct follow *f, size_t ring_bytes, uint32_t wanted,
		     const struct follow_range *ranges, size_t n, struct follow_bpf **ret)
{
	struct follow_bpf *skel = NULL;
	int r;

	r = open_with(f, ring_bytes, wanted, &skel);
	if (r < 0)
		return r;
	memcpy((void *)skel->rodata->ranges, ranges, n * sizeof(*ranges));
	skel->rodata->range_count = (uint32_t)n;
	r = follow_bpf__load(skel);
	if (r < 0) {
		follow_bpf__destroy(skel);
		return r;
	}
	*ret = skel;
	return 0;
}

/*
 * Everything at once where the kernel takes it all. Otherwise each program is tried alone,
 * which asks the kernel itself rather than its version what it can do.
 */
int follow_hooks_load(struct follow *f, size_t ring_bytes, char *ret_why, size_t size)
{
	struct follow_range ranges[FOLLOW_RANGES];
	size_t n = find_ranges(ranges, ARRAY_LEN(ranges));
	uint32_t all = (1U << FOLLOW_HOOKS) - 1, works = 0;
	struct follow_bpf *alone;
	int r;

	libbpf_set_print(NULL); /* what went wrong is told through hooks, not on standard error */
	for (size_t i = 0; i < FOLLOW_HOOKS; i++) {
		f->hooks[i].name = follow_programs[i].hook;
		snprintf(f->hooks[i].why_not, sizeof(f->hooks[i].why_not),
			 "attached when an application has its cgroup");
	}
	r = load_with(f, ring_bytes, all, ranges, n, &f->skel);
	if (r == 0)
		return 0;
	/* Without the maps nothing works at all. */
	r = load_with(f, ring_bytes, 0, ranges, n, &alone);
	if (r < 0) {
		say_why(r, ret_why, size);
		return r;
	}
	follow_bpf__destroy(alone);
	for (size_t i = 0; i < FOLLOW_HOOKS; i++) {
		r = load_with(f, ring_bytes, 1U << i, ranges, n, &alone);
		if (r < 0) {
			hook_why_not(&f->hooks[i], r);
			continue;
		}
		works |= 1U << i;
		follow_bpf__destroy(alone);
	}
	r = works ? load_with(f, ring_bytes, works, ranges, n, &f->skel) : -EOPNOTSUPP;
	if (r < 0)
		say_why(r, ret_why, size);
	return r;
}

int follow_hooks_attach(struct follow *f)
{
	for (size_t i = 0; i < FOLLOW_HOOKS; i++) {
		const struct follow_program *p = &follow_programs[i];
		struct bpf_program *program = follow_program_of(f->skel, i);

		f->programs[i] = bpf_program__fd(program);
		if (p->of_cgroup || f->programs[i] < 0)
			continue;
		f->links[i] = bpf_program__attach(program);
		if (!f->links[i])
			hook_why_not(&f->hooks[i], neg_errno());
		else
			follow_hook_note(&f->hooks[i], program, 0);
	}
	return 0;
}

uint64_t follow_hooks_missed(struct follow *f)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < FOLLOW_HOOKS; i++) {
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);

		if (f->programs[i] >= 0 &&
		    bpf_obj_get_info_by_fd(f->programs[i], &info, &size) == 0)
			f->hooks[i].recursion_misses = info.recursion_misses;
		sum += f->hooks[i].recursion_misses;
	}
	return sum;
}
