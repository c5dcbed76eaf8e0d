/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/coverage.h"

#include <string.h>

#include "cleanup.h"
#include "collectors/table.h"

#define NEEDS_MAX 8

/* A change of an inode passes one of the three, by file system and by what it was before. */
#define FILE_HOOKS "inode_set_ctime_to_ts", "ctime_ns_xchg", "ctime_xchg_skip"

/*
 * What reveals each attack here: a scan, by the name of its collector, and hooks, of which all must
 * be there. Where neither is named, why says why nothing does.
 */
static const struct row {
	const char *id;
	const char *scan;
	const char *hooks[NEEDS_MAX];
	const char *why;
} rows[] = {
	/* clang-format off */
	{ "M01", "code", { NULL }, NULL },
	{ "M02", "code", { NULL }, NULL },
	{ "M03", NULL, { "cap_capable" }, NULL },
	{ "M04", NULL, { "cap_capable" }, NULL },
	{ "M05", "code", { NULL }, NULL },
	{ "M06", "code", { NULL }, NULL },
	{ "M07", "code", { NULL }, NULL },
	{ "M09", NULL, { "perf_mmap2" }, NULL },
	{ "M10", "code", { NULL }, NULL },
	{ "M12", "code", { NULL }, NULL },
	{ "M14", "code", { NULL }, NULL },
	{ "M15", "code", { NULL }, NULL },
	{ "M16", "code", { NULL }, NULL },
	{ "M17", NULL, { "cap_capable" }, NULL },
	{ "M18", "code", { NULL }, NULL },
	{ "M20", "code", { NULL }, NULL },
	{ "M21", "code", { NULL }, NULL },
	{ "M24", NULL, { NULL }, "without new code and foreign access nothing shows" },
	{ "M25", "code", { NULL }, NULL },
	{ "M26", NULL, { NULL }, "function pointers in data are not compared" },
	{ "M28", "credentials", { "sched_process_exec" }, NULL },
	{ "L01", "code", { NULL }, NULL },
	{ "L02", "code", { NULL }, NULL },
	{ "L03", "code", { NULL }, NULL },
	{ "L04", NULL, { "writeback_dirty_folio", FILE_HOOKS }, NULL },
	{ "L05", "code", { FILE_HOOKS }, NULL },
	{ "L07", NULL, { NULL }, "overlayfs hides which inode was changed below it" },
	{ "L08", "code", { NULL }, NULL },
	{ "L10", "code", { NULL }, NULL },
	{ "L11", "code", { NULL }, NULL },
	{ "L12", NULL, { NULL }, "no event; content is read again in turns only" },
	{ "L13", NULL, { NULL }, "no event below the file system; content is read in turns only" },
	{ "L14", "static_files", { NULL }, NULL },
	{ "L16", NULL, { "writeback_dirty_folio" }, NULL },
	{ "L18", "code", { NULL }, NULL },
	{ "L19", NULL, { FILE_HOOKS }, NULL },
	{ "X01", NULL, { "sched_process_exec" }, NULL },
	{ "X02", NULL, { "sched_process_exec" }, NULL },
	{ "X03", NULL, { "sched_process_exec" }, NULL },
	{ "X04", NULL, { "sched_process_exec" }, NULL },
	{ "X05", NULL, { "sched_process_exec" }, NULL },
	{ "X06", NULL, { NULL }, "handlers of binfmt_misc are not listed" },
	{ "X08", "credentials", { NULL }, NULL },
	{ "X09", "credentials", { NULL }, NULL },
	{ "X10", "credentials", { NULL }, NULL },
	{ "X11", "credentials", { NULL }, NULL },
	{ "X13", NULL, { "task_newtask", "sched_process_exit" }, NULL },
	{ "X14", NULL, { "task_newtask" }, NULL },
	{ "X16", "environment", { "sched_process_exec" }, NULL },
	{ "A01", "static_files", { FILE_HOOKS }, NULL },
	{ "A03", NULL, { "cap_capable" }, NULL },
	{ "A04", NULL, { "cap_capable" }, NULL },
	{ "A06", "code", { "signal_generate" }, NULL },
	{ "A07", "environment", { NULL }, NULL },
	{ "A08", "code", { NULL }, NULL },
	{ "A09", NULL, { "sched_process_exec" }, NULL },
	{ "A11", "static_files", { FILE_HOOKS }, NULL },
	{ "A12", NULL, { NULL }, "data that a program takes for code is data" },
	{ "A13", NULL, { "cap_capable" }, NULL },
	{ "A15", "code", { NULL }, NULL },
	{ "T01", NULL, { "cap_capable" }, NULL },
	{ "T03", NULL, { "cap_capable" }, NULL },
	{ "T04", NULL, { "signal_generate" }, NULL },
	{ "T05", NULL, { "cap_capable" }, NULL },
	{ "T07", NULL, { "sys_exit_perf_event_open" }, NULL },
	{ "T08", "machine", { NULL }, NULL },
	{ "T09", "machine", { NULL }, NULL },
	{ "T11", NULL, { "cap_capable" }, NULL },
	{ "T12", "machine", { NULL }, NULL },
	{ "T13", "machine", { NULL }, NULL },
	{ "T15", NULL, { "sys_exit_openat", "sys_exit_openat2", "sys_exit_ptrace",
			 "sys_exit_process_vm_readv", "sys_exit_process_vm_writev",
			 "sys_exit_pidfd_getfd", "io_uring_complete" }, NULL },
	{ "N01", NULL, { "inet_sock_set_state" }, NULL },
	{ "N02", NULL, { "inet_sock_set_state" }, NULL },
	{ "N04", NULL, { "inet_sock_set_state" }, NULL },
	{ "N07", NULL, { NULL }, "rules of nftables and tc are not listed" },
	{ "N08", "static_files", { FILE_HOOKS }, NULL },
	{ "N09", "static_files", { FILE_HOOKS }, NULL },
	{ "N11", NULL, { NULL }, "data that was set back is data" },
	{ "K01", "machine", { NULL }, NULL },
	{ "K02", "machine", { NULL }, NULL },
	{ "K03", "machine", { NULL }, NULL },
	{ "K04", NULL, { NULL }, "hooks in the kernel's own text are not listed" },
	{ "K05", NULL, { NULL }, "the kernel's memory is not read" },
	{ "K06", "machine", { NULL }, NULL },
	{ "K08", NULL, { "sched_process_exec" }, NULL },
	{ "K09", NULL, { "sched_process_exec" }, NULL },
	{ "K11", NULL, { "cap_capable" }, NULL },
	{ "K13", "start_time", { NULL }, NULL },
	{ "K14", NULL, { "perf_mmap2" }, NULL },
	{ "K16", "static_files", { NULL }, NULL },
	/* clang-format on */
};

static bool scan_exists(const char *name)
{
	for (size_t i = 0; collector_table[i]; i++) {
		if (strcmp(collector_table[i]->name, name) == 0)
			return true;
	}
	return false;
}

static bool scan_failed(const struct mi *mi, const char *name)
{
	for (size_t i = 0; i < mi->msg->n_collectors; i++) {
		const Assay__CollectorStatus *s = mi->msg->collectors[i];

		if (strcmp(s->name, name) == 0)
			return s->state == ASSAY__COLLECTOR_STATUS__STATE__FAILED;
	}
	return false;
}

/* Where a kernel lacks the first, or it is not attached as the second is there, that sees the same. */
static const struct {
	const char *hook, *other;
} stand_ins[] = {
	{ "cap_capable", FOLLOW_ACCESS_CHECK },
	{ "inode_set_ctime_to_ts", "writeback_mark_inode_dirty" },
	{ "ctime_ns_xchg", "writeback_mark_inode_dirty" },
	{ "ctime_xchg_skip", "writeback_mark_inode_dirty" },
	{ "sys_exit_openat", FOLLOW_ACCESS_CHECK },
	{ "sys_exit_openat2", FOLLOW_ACCESS_CHECK },
	{ "sys_exit_ptrace", FOLLOW_ACCESS_CHECK },
	{ "sys_exit_process_vm_readv", FOLLOW_ACCESS_CHECK },
	{ "sys_exit_process_vm_writev", FOLLOW_ACCESS_CHECK },
	{ "sys_exit_pidfd_getfd", FOLLOW_ACCESS_CHECK },
	{ "io_uring_complete", FOLLOW_ACCESS_CHECK },
	{ "sys_exit_perf_event_open", FOLLOW_CALL("perf_event_open") },
};

const struct follow_hook *coverage_hook(const struct follow *f, const char *name)
{
	const struct follow_hook *h = follow_hook_named(f, name), *other;

	for (size_t i = 0; i < ARRAY_LEN(stand_ins) && (!h || !h->attached); i++) {
		other = follow_hook_named(f, stand_ins[i].other);
		if (strcmp(stand_ins[i].hook, name) == 0 && other && other->attached)
			return other;
	}
	return h;
}

/* NULL: the row is covered. */
static int why_not(const struct follow *f, struct mi *mi, const struct row *row, char **ret)
{
	*ret = NULL;
	if (row->why)
		return mi_text(mi, row->why, ret);
	if (row->scan && !scan_exists(row->scan))
		return mi_printf(mi, ret, "nothing scans: %s", row->scan);
	if (row->scan && scan_failed(mi, row->scan))
		return mi_printf(mi, ret, "the scan failed: %s", row->scan);
	for (size_t i = 0; i < NEEDS_MAX && row->hooks[i]; i++) {
		const struct follow_hook *h = f ? coverage_hook(f, row->hooks[i]) : NULL;

		if (!f)
			return mi_text(mi, "eBPF is not used", ret);
		if (!h)
			return mi_printf(mi, ret, "needs hooks: full (%s)", row->hooks[i]);
		if (!h->attached)
			return mi_printf(mi, ret, "%s: %s", h->name, h->why_not);
	}
	return 0;
}

static int add_covered(struct mi *mi, Assay__KernelEvents *out, const char *id)
{
	char *text;
	int r = mi_text(mi, id, &text);

	return r < 0 ? r : mi_push(mi, &out->n_covers, &out->covers, text);
}

static int add_not_covered(struct mi *mi, Assay__KernelEvents *out, const char *id, char *why)
{
	Assay__NotCovered *n = MI_MESSAGE(mi, Assay__NotCovered, assay__not_covered__init);
	int r;

	if (!n)
		return -ENOMEM;
	n->why = why;
	r = mi_text(mi, id, &n->id);
	return r < 0 ? r : mi_push(mi, &out->n_not_covered, &out->not_covered, n);
}

int coverage_write(const struct follow *f, struct mi *mi, Assay__KernelEvents *out)
{
	char *why;
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows) && r == 0; i++) {
		r = why_not(f, mi, &rows[i], &why);
		if (r == 0)
			r = why ? add_not_covered(mi, out, rows[i].id, why) :
				  add_covered(mi, out, rows[i].id);
	}
	return r;
}
