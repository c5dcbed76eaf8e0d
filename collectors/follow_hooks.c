/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "collectors/follow_state.h"

#define CGROUP_LATER "attached when an application has its cgroup"

#define TRACE(hook, name)    { hook, name, FOLLOW_PLACE_TRACE, false, NULL }
#define CGROUP(hook, name)   { hook, name, FOLLOW_PLACE_CGROUP, false, NULL }
#define FUNCTION(hook, name) { hook, name, FOLLOW_PLACE_FUNCTION, true, NULL }
#define SYSCALL(call, name, only_without)                                                          \
	{ "sys_exit_" call, name, FOLLOW_PLACE_SYSCALL, true, only_without }
/*
 * Calls that reach into a process, that change credentials, and rare ones: each only where no program
 * is let into the function that sees the same.
 */
#define REACH(call, name)  SYSCALL(call, name, FOLLOW_ACCESS_CHECK)
#define CHANGE(call)	   SYSCALL(call, "on_rare_exit", FOLLOW_CREDENTIALS_COMMITTED)
#define RARE(call)	   SYSCALL(call, "on_rare_exit", FOLLOW_CALL(call))

const struct follow_program follow_programs[FOLLOW_HOOKS] = {
	TRACE("task_newtask", "on_newtask"),
	TRACE("cgroup_attach_task", "on_attach_task"),
	TRACE("sched_process_exec", "on_exec"),
	TRACE("sched_process_exit", "on_exit"),
	TRACE("inet_sock_set_state", "on_sock_state"),
	TRACE("signal_generate", "on_signal"),
	TRACE("cap_capable", "on_capable"),
	TRACE("io_uring_create", "on_io_uring"),
	TRACE("writeback_dirty_folio", "on_dirty_folio"),
	TRACE("inode_set_ctime_to_ts", "on_ctime_set"),
	TRACE("ctime_ns_xchg", "on_ctime_change"),
	TRACE("ctime_xchg_skip", "on_ctime_same"),
	{ "writeback_mark_inode_dirty", "on_inode_dirty", FOLLOW_PLACE_TRACE, false,
	  "ctime_ns_xchg" },
	{ FOLLOW_ACCESS_CHECK, "on_access_check", FOLLOW_PLACE_FUNCTION, false, "cap_capable" },
	{ "perf_mmap2", NULL, FOLLOW_PLACE_PERF, false, NULL },
	CGROUP("cgroup_skb/egress", "on_egress"),
	CGROUP("cgroup_skb/ingress", "on_ingress"),
	CGROUP("cgroup/dev", "on_device"),
	FUNCTION(FOLLOW_CREDENTIALS_COMMITTED, "on_commit_creds"),
	FUNCTION(FOLLOW_CALL("perf_event_open"), "on_perf_event_open_function"),
	FUNCTION(FOLLOW_CALL("userfaultfd"), "on_userfaultfd_function"),
	FUNCTION(FOLLOW_CALL("bpf"), "on_bpf_function"),
	FUNCTION(FOLLOW_CALL("mremap"), "on_mremap_function"),
	{ "io_uring_complete", "on_io_uring_complete", FOLLOW_PLACE_TRACE, true,
	  FOLLOW_ACCESS_CHECK },
#if defined(__x86_64__)
	REACH("open", "on_open_exit"),
#endif
	REACH("openat", "on_open_exit"),
	REACH("openat2", "on_open_exit"),
	REACH("ptrace", "on_rare_exit"),
	REACH("process_vm_readv", "on_rare_exit"),
	REACH("process_vm_writev", "on_rare_exit"),
	REACH("pidfd_getfd", "on_rare_exit"),
	REACH("process_madvise", "on_rare_exit"),
	RARE("perf_event_open"),
	RARE("userfaultfd"),
	RARE("bpf"),
	RARE("mremap"),
	CHANGE("setuid"),
	CHANGE("setgid"),
	CHANGE("setreuid"),
	CHANGE("setregid"),
	CHANGE("setresuid"),
	CHANGE("setresgid"),
	CHANGE("setgroups"),
	CHANGE("capset"),
};

struct bpf_program *follow_program_of(const struct follow_bpf *skel, size_t i)
{
	if (!follow_programs[i].name)
		return NULL;
	return bpf_object__find_program_by_name(skel->obj, follow_programs[i].name);
}

/* Where a program is shared, its first hook speaks for it. */
static size_t first_row(size_t i)
{
	for (size_t j = 0; j < i && follow_programs[i].name; j++) {
		if (follow_programs[j].name &&
		    strcmp(follow_programs[j].name, follow_programs[i].name) == 0)
			return j;
	}
	return i;
}

static bool first_of_program(size_t i)
{
	return follow_programs[i].name && first_row(i) == i;
}

/*
 * Kernel functions by which an access check is told to be more than looking at
 * state, as ps does. Compiler suffixes (.constprop.0) are accepted.
 */
static const struct {
	const char *function;
	enum follow_access access;
} access_functions[] = {
	{ "mem_open", FOLLOW_ACCESS_MEM },
	{ "environ_open", FOLLOW_ACCESS_ENVIRON },
	{ "pid_maps_open", FOLLOW_ACCESS_MAPS },
	{ "pid_smaps_open", FOLLOW_ACCESS_MAPS },
	{ "smaps_rollup_open", FOLLOW_ACCESS_MAPS },
	{ "pid_numa_maps_open", FOLLOW_ACCESS_MAPS },
	{ "pagemap_open", FOLLOW_ACCESS_MAPS },
	{ "map_files_get_link", FOLLOW_ACCESS_MAPS },
	{ "ptrace_attach", FOLLOW_ACCESS_PTRACE },
	{ "process_vm_rw_core", FOLLOW_ACCESS_PROCESS_VM },
	{ "process_vm_rw", FOLLOW_ACCESS_PROCESS_VM },
	{ "pidfd_getfd", FOLLOW_ACCESS_PIDFD_GETFD },
	{ "__x64_sys_pidfd_getfd", FOLLOW_ACCESS_PIDFD_GETFD },
	{ "__ia32_sys_pidfd_getfd", FOLLOW_ACCESS_PIDFD_GETFD },
	{ "__arm64_sys_pidfd_getfd", FOLLOW_ACCESS_PIDFD_GETFD },
	{ "__do_sys_process_madvise", FOLLOW_ACCESS_MADVISE },
	{ "__do_sys_perf_event_open", FOLLOW_ACCESS_PERF },
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
		if (strlen(line) < 20 || (line[17] | 0x20) != 't' || !strchr("_mesp", line[19]))
			continue;
		for (size_t i = 0; i < ARRAY_LEN(access_functions); i++) {
			if (!same_function(line + 19, access_functions[i].function) ||
			    sscanf(line, "%llx %c %n", &address, &type, &at) != 2 || address == 0)
				continue;
			ret[n++] = (struct follow_range){ .start = address,
							  .end = address + 1,
							  .access = access_functions[i].access };
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

void follow_hook_note(struct follow_hook *h, const struct bpf_program *program,
		      const struct bpf_link *link, int error)
{
	struct bpf_prog_info info = { 0 };
	struct bpf_link_info link_info = { 0 };
	uint32_t size = sizeof(info), link_size = sizeof(link_info);

	if (error < 0) {
		hook_why_not(h, error);
		return;
	}
	h->attached = true;
	h->why_not[0] = '\0';
	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0) {
		memcpy(h->tag, info.tag, sizeof(h->tag));
		h->program_id = info.id;
		h->loaded_boottime_ns = info.load_time;
	}
	if (link && bpf_obj_get_info_by_fd(bpf_link__fd(link), &link_info, &link_size) == 0)
		h->link_id = link_info.id;
}

/* Opens an object in which only the programs are to be loaded that wanted allows. */
static int open_with(const struct follow *f, size_t ring_bytes, uint64_t wanted,
		     struct follow_bpf **ret)
{
	struct follow_bpf *skel = follow_bpf__open();
	int r = 0;

	if (!skel)
		return neg_errno();
	skel->rodata->self_tgid = (uint32_t)getpid();
	for (size_t i = 0; i < FOLLOW_HOOKS && r == 0; i++) {
		if (first_of_program(i))
			r = bpf_program__set_autoload(follow_program_of(skel, i),
						      wanted & 1ULL << i);
	}
	if (r == 0 && ring_bytes)
		r = bpf_map__set_max_entries(skel->maps.records, (uint32_t)ring_bytes);
	if (r < 0) {
		follow_bpf__destroy(skel);
		return r;
	}
	*ret = skel;
	return 0;
}

static int load_with(struct follow *f, size_t ring_bytes, uint64_t wanted,
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

static bool is_configured(const struct follow *f, const struct follow_program *p)
{
	return p->hook && (!p->full || f->full);
}

/*
 * The hook that makes this one needless; NULL: none. With hooks: full the access check is wanted beside
 * the capability's, as it comes where none is asked for.
 */
static const char *better_than(const struct follow *f, const struct follow_program *p)
{
	return f->full && f->functions && p->place == FOLLOW_PLACE_FUNCTION ? NULL : p->only_without;
}

static size_t row_of(const char *hook)
{
	size_t i = 0;

	while (strcmp(follow_programs[i].hook, hook) != 0)
		i++;
	return i;
}

/* Whether this kernel lets programs into its functions, which its types do not tell: a try. */
static bool functions_work(const struct btf *kernel)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K }, /* r0 = 0 */
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_FEXIT);
	int function = btf__find_by_name_kind(kernel, FOLLOW_CREDENTIALS_COMMITTED, BTF_KIND_FUNC);
	int fd;

	if (function <= 0)
		return false;
	options.attach_btf_id = (uint32_t)function;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "assay_try", "Dual BSD/GPL", nothing,
			   ARRAY_LEN(nothing), &options);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Whether the kernel's types know the hook. What cannot be known from them is to be tried. */
static bool is_known(const struct follow *f, const struct btf *kernel,
		     const struct follow_program *p)
{
	char name[64];

	if (!kernel || (p->place != FOLLOW_PLACE_TRACE && p->place != FOLLOW_PLACE_FUNCTION))
		return true;
	if (p->place == FOLLOW_PLACE_FUNCTION)
		return f->functions && btf__find_by_name_kind(kernel, p->hook, BTF_KIND_FUNC) > 0;
	snprintf(name, sizeof(name), "btf_trace_%s", p->hook);
	return btf__find_by_name_kind(kernel, name, BTF_KIND_TYPEDEF) > 0;
}

/*
 * Rows as they are before anything is tried. Returns the hooks whose programs are to be loaded: to
 * load all at once fails for one that the kernel does not have, and that takes long to sort out.
 */
static uint64_t begin_rows(struct follow *f)
{
	struct btf *kernel = btf__load_vmlinux_btf();
	uint64_t wanted = 0;

	f->functions = kernel && functions_work(kernel);
	for (size_t i = 0; i < FOLLOW_HOOKS; i++) {
		const struct follow_program *p = &follow_programs[i];
		const char *better = better_than(f, p);
		struct follow_hook *h = &f->hooks[i];

		h->name = p->hook;
		h->wanted = is_configured(f, p) &&
			    (!better || !is_known(f, kernel, &follow_programs[row_of(better)]));
		snprintf(h->why_not, sizeof(h->why_not), "%s",
			 p->place == FOLLOW_PLACE_CGROUP ? CGROUP_LATER :
			 !is_configured(f, p)		 ? "hooks: full is not configured" :
							   "another hook sees the same");
		if (h->wanted && !is_known(f, kernel, p)) {
			hook_why_not(h, -ENOENT);
			/* The tracepoints of the calls see the same. */
			h->wanted = !(p->full && p->place == FOLLOW_PLACE_FUNCTION);
		} else if (h->wanted && p->name) {
			wanted |= 1ULL << first_row(i);
		}
	}
	btf__free(kernel);
	return wanted;
}

/* Each program alone, which asks the kernel itself rather than its version what it can do. */
static uint64_t try_each(struct follow *f, size_t ring_bytes, uint64_t wanted,
			 const struct follow_range *ranges, size_t n)
{
	uint64_t works = 0;
	struct follow_bpf *alone;
	int r;

	for (size_t i = 0; i < FOLLOW_HOOKS; i++) {
		const char *better = better_than(f, &follow_programs[i]);
		uint64_t program = 1ULL << first_row(i);

		if (better && is_configured(f, &follow_programs[i]) &&
		    !(works & 1ULL << row_of(better))) {
			f->hooks[i].wanted = true;
			wanted |= program;
		}
		if (!f->hooks[i].wanted || !(wanted & program) || works & program)
			continue;
		r = load_with(f, ring_bytes, program, ranges, n, &alone);
		if (r < 0) {
			hook_why_not(&f->hooks[i], r);
			continue;
		}
		works |= program;
		follow_bpf__destroy(alone);
	}
	return works;
}

/* Everything at once where the kernel takes it all. */
int follow_hooks_load(struct follow *f, size_t ring_bytes, char *ret_why, size_t size)
{
	struct follow_range ranges[FOLLOW_RANGES];
	size_t n = find_ranges(ranges, ARRAY_LEN(ranges));
	uint64_t wanted = begin_rows(f), works;
	struct follow_bpf *alone;
	int r;

	libbpf_set_print(NULL); /* what went wrong is told through hooks, not on standard error */
	r = load_with(f, ring_bytes, wanted, ranges, n, &f->skel);
	if (r == 0)
		return 0;
	/* Without the maps nothing works at all. */
	r = load_with(f, ring_bytes, 0, ranges, n, &alone);
	if (r < 0) {
		say_why(r, ret_why, size);
		return r;
	}
	follow_bpf__destroy(alone);
	works = try_each(f, ring_bytes, wanted, ranges, n);
	r = works ? load_with(f, ring_bytes, works, ranges, n, &f->skel) : -EOPNOTSUPP;
	if (r < 0)
		say_why(r, ret_why, size);
	return r;
}

static uint32_t types_of(const struct bpf_program *program)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0 ? info.btf_id :
										      0;
}

static void attach_one(struct follow *f, size_t i)
{
	const struct follow_program *p = &follow_programs[i];
	struct bpf_program *program = follow_program_of(f->skel, i);
	int r = 0;

	/* Missed runs are the program's: asked for once. */
	f->programs[i] = first_of_program(i) ? bpf_program__fd(program) : -1;
	if (p->place == FOLLOW_PLACE_CGROUP || !f->hooks[i].wanted || bpf_program__fd(program) < 0)
		return;
	if (p->place == FOLLOW_PLACE_SYSCALL) {
		r = follow_syscall_attach(f, program, p->hook, &f->links[i]);
	} else {
		f->links[i] = bpf_program__attach(program);
		r = f->links[i] ? 0 : neg_errno();
	}
	follow_hook_note(&f->hooks[i], program, f->links[i], r);
	if (f->btf_id == 0)
		f->btf_id = types_of(program);
}

int follow_hooks_attach(struct follow *f)
{
	for (size_t i = 0; i < FOLLOW_HOOKS; i++) {
		f->programs[i] = -1;
		if (follow_programs[i].name)
			attach_one(f, i);
	}
	return 0;
}

const struct follow_hook *follow_hook_named(const struct follow *f, const char *name)
{
	for (size_t i = 0; i < FOLLOW_HOOKS; i++) {
		if (f->hooks[i].wanted && strcmp(f->hooks[i].name, name) == 0)
			return &f->hooks[i];
	}
	return NULL;
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
