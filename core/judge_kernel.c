/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

static const Assay__EventCounter *counter_of(const Assay__KernelEvents *item, const char *kind)
{
	for (size_t i = 0; item && i < item->n_counters; i++) {
		if (strcmp(judge_text(item->counters[i]->kind), kind) == 0)
			return item->counters[i];
	}
	return NULL;
}

/*
 * Events of the kind since the measurement that was judged before this one: evidence
 * between the two may have been dropped, and its window with it.
 */
static uint64_t since_previous(const struct judging *j, const Assay__EventCounter *now,
			       const char *kind)
{
	const Assay__EventCounter *before =
		j->previous ? counter_of(j->previous->kernel, kind) : NULL;

	if (!before || before->total > now->total || now->total - before->total < now->window)
		return now->window;
	return now->total - before->total;
}

/* By all causes; an assayd that does not sum up has its dropped records. */
static uint64_t all_lost(const Assay__Loss *loss)
{
	return loss->lost > loss->dropped ? loss->lost : loss->dropped;
}

/* The same for what was lost, as long as it is one daemon that counts. */
static uint64_t lost_since_previous(const struct judging *j, const Assay__Loss *now)
{
	const Assay__Loss *before =
		j->previous && j->previous->kernel ? j->previous->kernel->loss : NULL;
	uint64_t lost = all_lost(now), window = now->window_lost;

	if (window < now->window_dropped)
		window = now->window_dropped;
	if (!before || before->daemon_epoch != now->daemon_epoch || all_lost(before) > lost ||
	    lost - all_lost(before) < window)
		return window;
	return lost - all_lost(before);
}

/* ": ring_full 3, perf_lost 1", since the hooks were attached. */
static const char *causes_text(const Assay__Loss *loss, char *to, size_t size)
{
	size_t n = 0;

	to[0] = '\0';
	for (size_t i = 0; i < loss->n_causes; i++) {
		const char *cause = judge_text(loss->causes[i]->cause);

		if (loss->causes[i]->count == 0 || strcmp(cause, "hook_absent") == 0)
			continue;
		n += (size_t)snprintf(to + n, size - n, "%s %s %llu", n ? "," : ":", cause,
				      (unsigned long long)loss->causes[i]->count);
		if (n >= size)
			break;
	}
	return to;
}

static void judge_lost(const struct judging *j, const struct policy_limit *limit)
{
	const Assay__KernelEvents *item = j->mi->kernel;
	char expected[JUDGE_TEXT_MAX], causes[JUDGE_TEXT_MAX];
	struct judge_check c;
	uint64_t lost;

	snprintf(expected, sizeof(expected), "at most %llu events lost",
		 (unsigned long long)limit->value);
	/* A loss makes the item partial; how much of it is bearable is what this rule says. */
	if (!judge_begin(&c, j, &limit->rule, JUDGE_VALUE, "dynamic.kernel.lost", expected, item))
		return;
	lost = item->loss ? lost_since_previous(j, item->loss) : 0;
	if (!item->loss)
		judge_unchecked(&c, "there is no account of loss");
	else if (lost > limit->value)
		judge_fail(&c, "%llu lost%s", (unsigned long long)lost,
			   causes_text(item->loss, causes, sizeof(causes)));
	else if (!item->loss->complete && lost == 0 && limit->rule.partial != PARTIAL_ACCEPT)
		judge_unchecked(&c, "the account of loss is not complete");
	judge_end(&c);
}

/* Of a foreign access: its harmless form, which only reads state. */
static bool is_read(const Assay__KernelEvent *e)
{
	static const char reads[] = "read";

	return strncmp(judge_text(e->detail), reads, strlen(reads)) == 0;
}

static const Assay__KernelEvent *last_attach(const Assay__KernelEvents *item, const char *kind)
{
	for (size_t i = item->n_events; i > 0; i--) {
		const Assay__KernelEvent *e = item->events[i - 1];

		if (strcmp(judge_text(e->kind), kind) == 0 && !is_read(e))
			return e;
	}
	return NULL;
}

static void judge_foreign(const struct judging *j, const struct policy_kernel *k)
{
	static const char kind[] = "foreign_access", checks[] = "foreign_access_checks";
	struct policy_rule rule = judge_setting(k->foreign_access, &k->rule);
	const Assay__KernelEvents *item = j->mi->kernel;
	const Assay__EventCounter *counter = counter_of(item, kind);
	const Assay__EventCounter *unknown = counter_of(item, checks);
	const Assay__KernelEvent *e;
	struct judge_check c;
	uint64_t n;

	if (!judge_begin(&c, j, &rule, JUDGE_ABSENCE, "dynamic.kernel.foreign_access",
			 "no access by other processes", item))
		return;
	/* The counter decides; events, of which the ring may have lost some, only explain. */
	n = counter ? since_previous(j, counter, kind) : 0;
	e = last_attach(item, kind);
	if (!counter)
		judge_unchecked(&c, "it is not counted");
	else if (n > 0 && e)
		judge_fail(&c, "%llu, the last known by process %u at process %u: %s",
			   (unsigned long long)n, e->actor, e->pid, judge_text(e->detail));
	else if (n > 0)
		judge_fail(&c, "%llu, without detail", (unsigned long long)n);
	/* Through a path, as /proc/PID/mem: the kernel's check does not say whose memory it was. */
	n = unknown ? since_previous(j, unknown, checks) : 0;
	if (n > 0)
		judge_missing(&c, "%llu on this machine at a process that is not known",
			      (unsigned long long)n);
	judge_end(&c);
}

static bool may_exec(const struct policy_paths *rule, const char *path)
{
	for (size_t i = 0; i < rule->n_allow; i++) {
		if (fnmatch(rule->allow[i], path, FNM_PATHNAME) == 0)
			return true;
	}
	return false;
}

static void judge_exec(const struct judging *j, const struct policy_paths *rule)
{
	static const char kind[] = "exec";
	const Assay__KernelEvents *item = j->mi->kernel;
	const Assay__EventCounter *counter = counter_of(item, kind);
	uint64_t listed = 0, n;
	struct judge_check c;

	if (!judge_begin(&c, j, &rule->rule, JUDGE_ABSENCE, "dynamic.kernel.exec",
			 "only the listed programs executed", item))
		return;
	for (size_t i = 0; i < item->n_events; i++) {
		const Assay__KernelEvent *e = item->events[i];

		if (strcmp(judge_text(e->kind), kind) != 0)
			continue;
		listed++;
		if (!may_exec(rule, judge_text(e->detail)))
			judge_fail(&c, "process %u executed %s", e->pid, judge_text(e->detail));
	}
	n = counter ? since_previous(j, counter, kind) : 0;
	if (!counter)
		judge_unchecked(&c, "it is not counted");
	else if (n > listed)
		judge_missing(&c, "%llu programs are not in the list",
			      (unsigned long long)(n - listed));
	judge_end(&c);
}

/* The reason that the matrix gives. */
static const char *why_not_covered(const Assay__KernelEvents *item, const char *id, char *to,
				   size_t size)
{
	to[0] = '\0';
	for (size_t i = 0; i < item->n_not_covered; i++) {
		if (strcmp(judge_text(item->not_covered[i]->id), id) == 0)
			snprintf(to, size, ": %s", judge_text(item->not_covered[i]->why));
	}
	return to;
}

static void judge_require(const struct judging *j, const struct policy_kernel *k)
{
	const Assay__KernelEvents *item = j->mi->kernel;
	char why[JUDGE_TEXT_MAX];
	struct judge_check c;

	if (!judge_begin(&c, j, &k->rule, JUDGE_VALUE, "dynamic.kernel.require",
			 "hooks and scans for what is required", item))
		return;
	for (size_t i = 0; i < k->n_require; i++) {
		bool covered = false;

		for (size_t n = 0; n < item->n_covers && !covered; n++)
			covered = strcmp(judge_text(item->covers[n]), k->require[i]) == 0;
		if (!covered)
			judge_fail(&c, "%s is not covered%s", k->require[i],
				   why_not_covered(item, k->require[i], why, sizeof(why)));
	}
	judge_end(&c);
}

static bool guards(const Assay__Guard *g, const char *part)
{
	for (size_t i = 0; g && i < g->n_active; i++) {
		if (strcmp(judge_text(g->active[i]), part) == 0)
			return true;
	}
	return false;
}

/* What assayd must protect on that machine, and why it does not. */
static void judge_guard(const struct judging *j, const struct policy_kernel *k)
{
	const Assay__KernelEvents *item = j->mi->kernel;
	const char *why = "assayd is not told to (protect in its configuration)";
	struct judge_check c;

	if (!judge_begin(&c, j, &k->rule, JUDGE_VALUE, "dynamic.kernel.guard",
			 "assayd protects what is listed", item))
		return;
	if (item->guard && judge_text(item->guard->why_not)[0])
		why = judge_text(item->guard->why_not);
	for (size_t i = 0; i < k->n_guard; i++) {
		if (!guards(item->guard, k->guard[i]))
			judge_fail(&c, "%s is not protected: %s", k->guard[i], why);
	}
	judge_end(&c);
}

/* Who was refused last; the other kinds of refusal are looking at state, which does not count. */
static const Assay__GuardDenial *last_denied(const Assay__Guard *g)
{
	const Assay__GuardDenial *last = NULL;

	for (size_t i = 0; g && i < g->n_denials; i++) {
		const Assay__GuardDenial *d = g->denials[i];

		if (strcmp(judge_text(d->kind), "look") != 0 &&
		    (!last || d->boottime_ns > last->boottime_ns))
			last = d;
	}
	return last;
}

/* Events that a policy can deny: by their counters, which lose nothing. */
const struct judge_kernel_rule judge_kernel_rules[KERNEL_RULES] = {
	[KERNEL_WX_MEMORY] = { "dynamic.kernel.wx_memory",
			       "no memory writable and executable",
			       { "wx_memory" },
			       { "wx_memory" } },
	[KERNEL_ANONYMOUS_CODE] = { "dynamic.kernel.anonymous_code",
				    "no executable memory that is no file's",
				    { "code_anonymous", "wx_memory" },
				    { "code_anonymous", "wx_memory" } },
	[KERNEL_MOVED_CODE] = { "dynamic.kernel.moved_code",
				"no executable memory moved",
				{ "code_moved" },
				{ "code_moved" } },
	[KERNEL_FILE_CHANGED] = { "dynamic.kernel.file_changed",
				  "no change of a measured or mapped file",
				  { "file_changed" },
				  { "file_changed" } },
	[KERNEL_FOREIGN_READ] = { "dynamic.kernel.foreign_read",
				  "nobody reads its environment or mappings",
				  { "foreign_environ", "foreign_maps" },
				  { "foreign_access" } },
	[KERNEL_SIGNALS] = { "dynamic.kernel.signals",
			     "no signal from other processes",
			     { "signal" },
			     { "signal" } },
	[KERNEL_EXEC_MEMORY] = { "dynamic.kernel.exec_memory",
				 "no program executed that is in memory alone",
				 { "exec_memfd", "exec_deleted", "exec_tmpfs" },
				 { NULL } },
	[KERNEL_IO_URING] = { "dynamic.kernel.io_uring",
			      "no ring of io_uring",
			      { "io_uring" },
			      { "io_uring" } },
	[KERNEL_CREDENTIALS] = { "dynamic.kernel.credentials",
				 "no change of credentials",
				 { "credentials", "exec_privileged" },
				 { "credentials" } },
	[KERNEL_USERFAULTFD] = { "dynamic.kernel.userfaultfd",
				 "no userfaultfd",
				 { "userfaultfd" },
				 { "userfaultfd" } },
	[KERNEL_ASSAYD_ACCESS] = { "dynamic.kernel.assayd_access",
				   "nobody reaches into assayd's processes",
				   { "assayd_access" },
				   { NULL } },
	[KERNEL_BPF] = { "dynamic.kernel.bpf",
			 "nobody else gives the kernel programs",
			 { "bpf_calls" },
			 { NULL } },
	[KERNEL_GUARD_DENIED] = { "dynamic.kernel.guard_denied",
				  "nobody tries what assayd's guard refuses",
				  { "guard_denied" },
				  { NULL } },
};

/* True of an exec with the note "memfd" for the counter "exec_memfd". */
static bool has_note(const Assay__KernelEvent *e, const char *counter)
{
	static const char prefix[] = "exec_";

	if (strncmp(counter, prefix, strlen(prefix)) != 0)
		return false;
	for (size_t i = 0; i < e->n_notes; i++) {
		if (strcmp(judge_text(e->notes[i]), counter + strlen(prefix)) == 0)
			return true;
	}
	return false;
}

static bool explains(const Assay__KernelEvent *e, enum policy_kernel_rule which)
{
	for (size_t i = 0; i < 4 && judge_kernel_rules[which].kinds[i]; i++) {
		if (strcmp(judge_text(e->kind), judge_kernel_rules[which].kinds[i]) == 0)
			return which != KERNEL_FOREIGN_READ || is_read(e);
	}
	for (size_t i = 0; i < 4 && judge_kernel_rules[which].counters[i]; i++) {
		if (has_note(e, judge_kernel_rules[which].counters[i]))
			return true;
	}
	return false;
}

static const Assay__KernelEvent *last_of(const Assay__KernelEvents *item,
					 enum policy_kernel_rule which)
{
	for (size_t i = item->n_events; i > 0; i--) {
		if (explains(item->events[i - 1], which))
			return item->events[i - 1];
	}
	return NULL;
}

static void judge_event(const struct judging *j, const struct policy_kernel *k,
			enum policy_kernel_rule which)
{
	struct policy_rule rule = judge_setting(k->events[which], &k->rule);
	const Assay__KernelEvents *item = j->mi->kernel;
	const Assay__GuardDenial *denied;
	const Assay__KernelEvent *e;
	struct judge_check c;
	uint64_t n = 0;

	if (!judge_begin(&c, j, &rule, JUDGE_ABSENCE, judge_kernel_rules[which].path,
			 judge_kernel_rules[which].expected, item))
		return;
	for (size_t i = 0; i < 4 && judge_kernel_rules[which].counters[i]; i++) {
		const char *kind = judge_kernel_rules[which].counters[i];
		const Assay__EventCounter *counter = counter_of(item, kind);

		if (counter)
			n += since_previous(j, counter, kind);
		else
			judge_unchecked(&c, "%s is not counted on that machine", kind);
	}
	/* What an update replaced is judged by what is there after it. */
	if (which == KERNEL_FILE_CHANGED && j->n_references > 1 && judge_files_expected(j))
		n = 0;
	e = n > 0 ? last_of(item, which) : NULL;
	denied = which == KERNEL_GUARD_DENIED && n > 0 ? last_denied(item->guard) : NULL;
	if (denied)
		judge_fail(&c, "%llu, the last: %s, by process %u (%s)", (unsigned long long)n,
			   judge_text(denied->kind), denied->actor, judge_text(denied->comm));
	else if (e)
		judge_fail(&c, "%llu, the last known: %s, process %u, by process %u, %s",
			   (unsigned long long)n, judge_text(e->kind), e->pid,
			   e->actor ? e->actor : e->pid, judge_text(e->detail));
	else if (n > 0)
		judge_fail(&c, "%llu, without detail", (unsigned long long)n);
	judge_end(&c);
}

/* How often others looked, in whatever way; access that could change something is another rule. */
static void judge_reads(const struct judging *j, const struct policy_limit *limit)
{
	static const char kind[] = "foreign_read";
	const Assay__EventCounter *counter = counter_of(j->mi->kernel, kind);
	char expected[JUDGE_TEXT_MAX];
	struct judge_check c;
	uint64_t n;

	snprintf(expected, sizeof(expected), "at most %llu looks by other processes",
		 (unsigned long long)limit->value);
	if (!judge_begin(&c, j, &limit->rule, JUDGE_VALUE, "dynamic.kernel.foreign_reads", expected,
			 j->mi->kernel))
		return;
	n = counter ? since_previous(j, counter, kind) : 0;
	if (!counter)
		judge_unchecked(&c, "they are not counted");
	else if (n > limit->value)
		judge_fail(&c, "%llu", (unsigned long long)n);
	judge_end(&c);
}

/* MI item 10: kernel events since the time node before. */
void judge_kernel(const struct judging *j)
{
	const struct policy_kernel *k = j->rules->kernel;

	if (!k)
		return;
	if (k->lost)
		judge_lost(j, k->lost);
	if (judge_wanted(k->foreign_access))
		judge_foreign(j, k);
	if (k->foreign_reads)
		judge_reads(j, k->foreign_reads);
	if (k->exec)
		judge_exec(j, k->exec);
	for (size_t i = 0; i < KERNEL_RULES; i++) {
		if (judge_wanted(k->events[i]))
			judge_event(j, k, i);
	}
	if (k->n_require > 0)
		judge_require(j, k);
	if (k->n_guard > 0)
		judge_guard(j, k);
}
