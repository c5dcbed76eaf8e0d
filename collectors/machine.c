/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>

#include "cleanup.h"
#include "collectors/proc_text.h"
#include "collectors/table.h"
#include "collectors/target_state.h"

/*
 * What of the machine weakens every measurement made on it: settings, swap, modules, others' BPF
 * programs, probes, processors, the clock. What cannot be read is said part by part.
 */

#define TEXT_MAX      (1024 * 1024) /* of one file */
#define SETTING_MAX   256	    /* bytes of a setting's value */
#define SWAPS_MAX     64
#define PROBES_MAX    256
#define MODULES_MAX   4096
#define PROGRAMS_MAX  512  /* BPF programs that are listed */
#define PROGRAMS_SEEN 8192 /* that are looked at */

/* Names as sysctl(8) has them; where they are is under /proc/sys, with slashes. */
static const char *const settings[] = {
	"fs.protected_fifos",
	"fs.protected_hardlinks",
	"fs.protected_regular",
	"fs.protected_symlinks",
	"fs.suid_dumpable",
	"kernel.core_pattern",
	"kernel.dmesg_restrict",
	"kernel.io_uring_disabled",
	"kernel.kexec_load_disabled",
	"kernel.kptr_restrict",
	"kernel.modules_disabled",
	"kernel.perf_event_paranoid",
	"kernel.randomize_va_space",
	"kernel.sysrq",
	"kernel.unprivileged_bpf_disabled",
	"kernel.yama.ptrace_scope",
	"net.core.bpf_jit_harden",
	"vm.mmap_min_addr",
	"vm.unprivileged_userfaultfd",
};

struct machine {
	struct collector base;
	struct target *target;
	int settings[ARRAY_LEN(settings)]; /* kept open: read anew from the start at each node */
	int security, tracing;		   /* file systems, maybe mounted nowhere; -1: none */
	struct bytes text;
	struct hasher *hasher;
	/* Programs of the node before, in order of id: an id is not used again, a program does not change. */
	struct program *programs;
	size_t n_programs;
};

/* A BPF program, as the kernel described it when it was first seen. */
struct program {
	uint32_t id, uid, type;
	bool ours;
	char name[BPF_OBJ_NAME_LEN];
	uint8_t tag[BPF_TAG_SIZE];
};

static void machine_close(struct collector *c);

static int open_setting(const char *name)
{
	char path[96] = "/proc/sys/";
	size_t at = strlen(path);

	for (; *name && at < sizeof(path) - 1; name++)
		path[at++] = *name == '.' ? '/' : *name;
	path[at] = '\0';
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* A file system of the kernel's own, attached nowhere, so that it is seen whatever is mounted. */
static int open_kernel_fs(const char *type)
{
	CLEANUP(cleanup_fd) int context = fsopen(type, FSOPEN_CLOEXEC);

	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
}

static int machine_open(struct target *t, struct collector **ret)
{
	struct machine *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	x->base.ops = &collector_machine;
	x->target = t;
	x->text = BYTES_INIT(TEXT_MAX);
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		x->settings[i] = open_setting(settings[i]);
	x->security = open_kernel_fs("securityfs");
	x->tracing = open_kernel_fs("tracefs");
	r = hasher_new(HASH_SHA256, &x->hasher);
	if (r < 0) {
		machine_close(&x->base);
		return r;
	}
	*ret = &x->base;
	return 0;
}

/* Says that a part of the item is not there. */
static int note_absent(struct mi *mi, const char *part, const char *why)
{
	char *text;
	int r = mi_printf(mi, &text, "%s: %s", part, why);

	return r < 0 ? r
		     : mi_push(mi, &mi->msg->machine->n_absent, &mi->msg->machine->absent, text);
}

static int read_settings(struct machine *x, struct mi *mi)
{
	Assay__Machine *out = mi->msg->machine;

	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		Assay__Setting *s = MI_MESSAGE(mi, Assay__Setting, assay__setting__init);
		char value[SETTING_MAX];
		ssize_t n = -1;
		int r;

		if (!s)
			return -ENOMEM;
		if (x->settings[i] < 0)
			x->settings[i] = open_setting(settings[i]);
		if (x->settings[i] >= 0)
			n = pread(x->settings[i], value, sizeof(value) - 1, 0);
		while (n > 0 && value[n - 1] == '\n')
			n--;
		value[n > 0 ? n : 0] = '\0';
		s->absent = n < 0;
		r = mi_text(mi, settings[i], &s->name);
		if (r == 0)
			r = mi_text(mi, value, &s->value);
		if (r == 0)
			r = mi_push(mi, &out->n_settings, &out->settings, s);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_file(struct machine *x, int dir, const char *path)
{
	CLEANUP(cleanup_fd) int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return neg_errno();
	bytes_reset(&x->text);
	return bytes_read_fd(&x->text, fd);
}

/* The first word of each line, but for the first `skip` lines. */
static int read_words(struct machine *x, struct mi *mi, size_t skip, size_t max, size_t *n,
		      char ***list)
{
	struct view rest = bytes_view(&x->text), line, word;
	char *text;
	int r;

	while (proc_piece(&rest, '\n', &line)) {
		if (skip > 0) {
			skip--;
			continue;
		}
		if (!proc_piece(&line, ' ', &word) || word.len == 0)
			continue;
		if (*n == max)
			return -E2BIG;
		r = mi_printf(mi, &text, "%.*s", (int)word.len, (const char *)word.data);
		if (r == 0)
			r = mi_push(mi, n, list, text);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_swaps(struct machine *x, struct mi *mi)
{
	Assay__Machine *out = mi->msg->machine;
	int r = read_file(x, AT_FDCWD, "/proc/swaps");

	if (r == 0) /* under a headline */
		r = read_words(x, mi, 1, SWAPS_MAX, &out->n_swaps, &out->swaps);
	/* A kernel that cannot swap has no such file. */
	if (r == -ENOENT || r == -ENOMEM)
		return r == -ENOMEM ? r : 0;
	return r < 0 ? note_absent(mi, "swaps", strerror(-r)) : 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int digest_names(struct machine *x, struct mi *mi, char **names, size_t n)
{
	struct digest d;
	int r;

	if (n > 1)
		qsort(names, n, sizeof(*names), by_text);
	r = hasher_begin(x->hasher);
	for (size_t i = 0; i < n && r == 0; i++) {
		r = hasher_add(x->hasher, names[i], strlen(names[i]));
		if (r == 0)
			r = hasher_add(x->hasher, "\n", 1);
	}
	if (r == 0)
		r = hasher_end(x->hasher, &d);
	return r < 0 ? r : mi_bytes(mi, digest_view(&d), &mi->msg->machine->modules_sha256);
}

static int read_modules(struct machine *x, struct mi *mi)
{
	char **names = NULL;
	size_t n = 0;
	int r = read_file(x, AT_FDCWD, "/proc/modules");

	if (r == -ENOENT) /* this kernel takes none */
		return 0;
	if (r == 0)
		r = read_words(x, mi, 0, MODULES_MAX, &n, &names);
	if (r == 0) {
		mi->msg->machine->modules = n;
		r = digest_names(x, mi, names, n);
	}
	return r < 0 && r != -ENOMEM ? note_absent(mi, "modules", strerror(-r)) : r;
}

static int read_taint(struct machine *x, struct mi *mi)
{
	uint64_t n = 0;
	int r = read_file(x, AT_FDCWD, "/proc/sys/kernel/tainted");

	if (r == 0)
		r = proc_parse_number(bytes_view(&x->text), UINT64_MAX, &n);
	mi->msg->machine->taint = n;
	return r < 0 && r != -ENOMEM ? note_absent(mi, "taint", strerror(-r)) : r;
}

/* "none [integrity] confidentiality": the one in brackets is in force. */
static int read_lockdown(struct machine *x, struct mi *mi)
{
	const char *open, *close;
	struct view v;
	int r;

	if (x->security < 0)
		return note_absent(mi, "lockdown", "securityfs could not be opened");
	r = read_file(x, x->security, "lockdown");
	if (r == -ENOENT) /* the kernel has none */
		return 0;
	if (r < 0)
		return r == -ENOMEM ? r : note_absent(mi, "lockdown", strerror(-r));
	v = bytes_view(&x->text);
	open = memchr(v.data, '[', v.len);
	close = open ? memchr(open, ']', v.len - (size_t)(open - (const char *)v.data)) : NULL;
	if (!close)
		return note_absent(mi, "lockdown", "it is written in a way that is not known");
	return mi_printf(mi, &mi->msg->machine->lockdown, "%.*s", (int)(close - open - 1),
			 open + 1);
}

static int read_probes(struct machine *x, struct mi *mi)
{
	static const char *const files[] = { "kprobe_events", "uprobe_events", "dynamic_events" };
	Assay__Machine *out = mi->msg->machine;
	bool any = false;
	int r;

	if (x->tracing < 0)
		return note_absent(mi, "probes", "tracefs could not be opened");
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		r = read_file(x, x->tracing, files[i]);
		if (r == -ENOENT) /* built without */
			continue;
		if (r == 0)
			r = read_words(x, mi, 0, PROBES_MAX, &out->n_probes, &out->probes);
		if (r < 0)
			return r == -ENOMEM ? r : note_absent(mi, "probes", strerror(-r));
		any = true;
	}
	return any ? 0 : note_absent(mi, "probes", "tracefs does not list any");
}

static int read_cpus(struct machine *x, struct mi *mi)
{
	int r = read_file(x, AT_FDCWD, "/sys/devices/system/cpu/online");
	struct view rest = bytes_view(&x->text), line;

	if (r < 0 || !proc_piece(&rest, '\n', &line))
		return r == -ENOMEM
			       ? r
			       : note_absent(mi, "cpus_online", r < 0 ? strerror(-r) : "empty");
	return mi_printf(mi, &mi->msg->machine->cpus_online, "%.*s", (int)line.len,
			 (const char *)line.data);
}

static int by_id(const void *a, const void *b)
{
	const struct program *left = a, *right = b;

	return left->id < right->id ? -1 : left->id > right->id;
}

/* What the kernel says of the program behind a descriptor; false: it is of none. */
static bool describe(int fd, struct program *ret)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return false;
	*ret = (struct program){ .id = info.id, .uid = info.created_by_uid, .type = info.type };
	memcpy(ret->name, info.name, sizeof(ret->name));
	memcpy(ret->tag, info.tag, sizeof(ret->tag));
	return true;
}

/* The program that an entry of /proc/self/fd is of; false: it is something else. */
static bool is_program(int dir, const char *entry, struct program *ret)
{
	char target[32];
	ssize_t n = readlinkat(dir, entry, target, sizeof(target) - 1);
	uint64_t fd;

	if (n <= 0)
		return false;
	target[n] = '\0';
	return strcmp(target, "anon_inode:bpf-prog") == 0 &&
	       proc_parse_number(view_text(entry), INT_MAX, &fd) == 0 &&
	       describe((int)fd, ret);
}

/* Marks those of the list, which is in order, that one of our own descriptors is of. */
static int mark_ours(struct program *list, size_t n)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *e;
	struct program one, *at;

	if (!dir)
		return neg_errno();
	while ((e = readdir(dir))) {
		if (!is_program(dirfd(dir), e->d_name, &one))
			continue;
		at = bsearch(&one, list, n, sizeof(*list), by_id);
		if (at)
			at->ours = true;
	}
	closedir(dir);
	return 0;
}

static int add_program(struct mi *mi, const struct program *p)
{
	Assay__Machine *out = mi->msg->machine;
	Assay__BpfProgram *to;
	const char *type = libbpf_bpf_prog_type_str((enum bpf_prog_type)p->type);
	int r;

	if (out->n_programs == PROGRAMS_MAX) {
		out->programs_uncounted++;
		return 0;
	}
	to = MI_MESSAGE(mi, Assay__BpfProgram, assay__bpf_program__init);
	if (!to)
		return -ENOMEM;
	to->id = p->id;
	to->uid = p->uid;
	r = mi_bytes(mi, view_of(p->tag, sizeof(p->tag)), &to->tag);
	if (r == 0)
		r = mi_printf(mi, &to->type, "%s", type ? type : "unknown");
	if (r == 0)
		r = mi_printf(mi, &to->name, "%.*s", (int)sizeof(p->name), p->name);
	return r < 0 ? r : mi_push(mi, &out->n_programs, &out->programs, to);
}

/* What is known of the program, asked where it is new. -ENOENT: it is gone by now. */
static int program_of(const struct machine *x, uint32_t id, struct program *ret, bool *ret_new)
{
	const struct program key = { .id = id };
	const struct program *known =
		x->n_programs ? bsearch(&key, x->programs, x->n_programs, sizeof(key), by_id)
			      : NULL;
	CLEANUP(cleanup_fd) int fd = -1;

	*ret_new = !known;
	if (known) {
		*ret = *known;
		return 0;
	}
	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		return neg_errno();
	return describe(fd, ret) ? 0 : neg_errno();
}

/* Every program there is, in order of id, as the kernel numbers them. */
static int list_programs(const struct machine *x, struct program *list, size_t *ret_n,
			 bool *ret_new)
{
	uint32_t id = 0;
	size_t n = 0;
	bool new;
	int r;

	*ret_new = false;
	while (bpf_prog_get_next_id(id, &id) == 0) {
		if (n == PROGRAMS_SEEN)
			return -E2BIG;
		r = program_of(x, id, &list[n], &new);
		if (r == -ENOENT)
			continue;
		if (r < 0)
			return r;
		*ret_new |= new;
		n++;
	}
	*ret_n = n;
	return errno == ENOENT ? 0 : neg_errno();
}

static int read_programs(struct machine *x, struct mi *mi)
{
	CLEANUP(cleanup_mem) struct program *list = calloc(PROGRAMS_SEEN, sizeof(*list));
	struct program *fits;
	size_t n = 0;
	bool new = false;
	int r;

	if (!list)
		return -ENOMEM;
	r = list_programs(x, list, &n, &new);
	/* Whose a program is does not change either. */
	if (r == 0 && new)
		r = mark_ours(list, n);
	if (r == -E2BIG)
		return note_absent(mi, "programs", "there are more than are looked at");
	if (r < 0)
		return note_absent(mi, "programs", strerror(-r));
	for (size_t i = 0; i < n; i++) {
		r = list[i].ours ? 0 : add_program(mi, &list[i]);
		if (r < 0)
			return r;
	}
	fits = realloc(list, (n + 1) * sizeof(*list));
	TAKE(list);
	free(x->programs);
	x->programs = fits;
	x->n_programs = n;
	return fits ? 0 : -ENOMEM;
}

static int machine_collect(struct collector *c, const struct collector_time *time, struct mi *mi)
{
	static int (*const parts[])(struct machine *x, struct mi *mi) = {
		read_settings, read_swaps,  read_modules, read_taint,
		read_lockdown, read_probes, read_cpus,	  read_programs,
	};
	struct machine *x = (struct machine *)c;
	int r = 0;

	mi->msg->machine = MI_MESSAGE(mi, Assay__Machine, assay__machine__init);
	if (!mi->msg->machine)
		return -ENOMEM;
	mi->msg->machine->clock_offset_ns = (int64_t)(time->realtime_ns - time->boottime_ns);
	for (size_t i = 0; i < ARRAY_LEN(parts) && r == 0; i++)
		r = parts[i](x, mi);
	/* Which part is missing, the item says itself: rules on the others can be judged. */
	return r < 0 ? r
		     : mi_status(mi, c->ops->name, ASSAY__COLLECTOR_STATUS__STATE__COMPLETE, NULL);
}

static void machine_close(struct collector *c)
{
	struct machine *x = (struct machine *)c;

	if (!x)
		return;
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		if (x->settings[i] >= 0)
			close(x->settings[i]);
	}
	if (x->security >= 0)
		close(x->security);
	if (x->tracing >= 0)
		close(x->tracing);
	bytes_done(&x->text);
	hasher_free(x->hasher);
	free(x->programs);
	free(x);
}

const struct collector_ops collector_machine = {
	.name = "machine",
	.item = 23,
	.open = machine_open,
	.collect = machine_collect,
	.close = machine_close,
};
