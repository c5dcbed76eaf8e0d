/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <stdio.h>
#include <string.h>

#include "capability_name.h"

/* What the rules on processes look at: its first thread, or others that differ from it. */
struct acting {
	const Assay__Process *process;
	uint32_t thread; /* 0: the first */
	const Assay__Credentials *credentials;
	const Assay__Namespaces *namespaces;
	uint32_t tracer;
};

#define WHO_MAX 64

static const char *who(const struct acting *a, char to[WHO_MAX])
{
	if (a->thread)
		snprintf(to, WHO_MAX, "thread %u of process %u", a->thread, a->process->pid);
	else
		snprintf(to, WHO_MAX, "process %u", a->process->pid);
	return to;
}

static const Assay__Credentials *credentials_at(const Assay__Mi *mi, uint32_t index)
{
	return index >= 1 && index <= mi->n_credentials ? mi->credentials[index - 1] : NULL;
}

static const Assay__Namespaces *namespaces_at(const Assay__Mi *mi, uint32_t index)
{
	return index >= 1 && index <= mi->n_namespaces ? mi->namespaces[index - 1] : NULL;
}

/* Calls on_one for each process and each of its threads that stands apart. */
static void each(struct judge_check *c,
		 void (*on_one)(struct judge_check *c, const struct acting *a))
{
	const Assay__Mi *mi = c->j->mi;

	for (size_t i = 0; i < mi->n_processes; i++) {
		const Assay__Process *p = mi->processes[i];
		struct acting a = { p, 0, credentials_at(mi, p->credentials),
				    namespaces_at(mi, p->namespaces), p->tracer };

		if (a.credentials && a.namespaces)
			on_one(c, &a);
		else
			judge_missing(c, "process %u was not looked at", p->pid);
		for (size_t k = 0; k < p->n_threads_apart; k++) {
			const Assay__Threads *t = p->threads_apart[k];

			a = (struct acting){ p, t->first, credentials_at(mi, t->credentials),
					     namespaces_at(mi, t->namespaces), t->tracer };
			if (a.credentials && a.namespaces)
				on_one(c, &a);
			else
				judge_missing(c, "thread %u of process %u was not looked at",
					      t->first, p->pid);
		}
	}
}

static void check(const struct judging *j, const struct policy_rule *rule, const char *path,
		  const char *expected,
		  void (*on_one)(struct judge_check *c, const struct acting *a))
{
	struct judge_check c;

	if (!judge_begin(&c, j, rule, JUDGE_ABSENCE, path, expected, j->mi->n_processes > 0))
		return;
	each(&c, on_one);
	judge_end(&c);
}

static bool same_groups(const Assay__Credentials *a, const Assay__Credentials *b)
{
	return a->groups == b->groups && view_equal(view_of(a->groups_sha256.data,
							    a->groups_sha256.len),
						    view_of(b->groups_sha256.data,
							    b->groups_sha256.len));
}

/* What differs, in words; NULL: nothing. */
static const char *difference(const Assay__Credentials *a, const Assay__Credentials *b)
{
	if (a->uid != b->uid || a->effective_uid != b->effective_uid ||
	    a->saved_uid != b->saved_uid || a->filesystem_uid != b->filesystem_uid)
		return "user";
	if (a->gid != b->gid || a->effective_gid != b->effective_gid ||
	    a->saved_gid != b->saved_gid || a->filesystem_gid != b->filesystem_gid)
		return "group";
	if (!same_groups(a, b))
		return "supplementary groups";
	if (a->inheritable != b->inheritable || a->permitted != b->permitted ||
	    a->effective != b->effective || a->bounding != b->bounding || a->ambient != b->ambient)
		return "capabilities";
	if (a->no_new_privs != b->no_new_privs)
		return "no_new_privs";
	if (a->seccomp != b->seccomp || a->seccomp_filters != b->seccomp_filters)
		return "seccomp";
	return NULL;
}

static bool same_namespaces(const Assay__Namespaces *a, const Assay__Namespaces *b)
{
	return a->cgroup == b->cgroup && a->ipc == b->ipc && a->mnt == b->mnt && a->net == b->net &&
	       a->pid == b->pid && a->time == b->time && a->user == b->user && a->uts == b->uts;
}

/* The same process in the measurement before; NULL: it began since. */
static const Assay__Process *before(const struct judging *j, const Assay__Process *p)
{
	for (size_t i = 0; i < j->previous->n_processes; i++) {
		const Assay__Process *q = j->previous->processes[i];

		if (q->pid == p->pid && q->start_boottime_ns == p->start_boottime_ns)
			return q;
	}
	return NULL;
}

/* One that began since may have what any had before: a worker has what workers had. */
static bool had_by_some(const Assay__Mi *mi, const Assay__Credentials *now)
{
	for (size_t i = 0; i < mi->n_credentials; i++) {
		if (!difference(mi->credentials[i], now))
			return true;
	}
	return false;
}

static bool been_in(const Assay__Mi *mi, const Assay__Namespaces *now)
{
	for (size_t i = 0; i < mi->n_namespaces; i++) {
		if (same_namespaces(mi->namespaces[i], now))
			return true;
	}
	return false;
}

static void check_credentials(struct judge_check *c, const struct acting *a)
{
	const Assay__Mi *previous = c->j->previous;
	const Assay__Process *q = a->thread ? NULL : before(c->j, a->process);
	const Assay__Credentials *then = q ? credentials_at(previous, q->credentials) : NULL;
	const char *what;
	char name[WHO_MAX];

	if (q && !then) {
		judge_unchecked(c, "the measurement before does not know those of process %u",
				q->pid);
		return;
	}
	what = then ? difference(then, a->credentials) : NULL;
	if (what && strcmp(what, "user") == 0)
		judge_fail(c, "%s is of user %u (effective %u), before of %u (%u)", who(a, name),
			   a->credentials->uid, a->credentials->effective_uid, then->uid,
			   then->effective_uid);
	else if (what)
		judge_fail(c, "%s has other %s than before", who(a, name), what);
	else if (!then && !had_by_some(previous, a->credentials))
		judge_fail(c, "%s (user %u) has what no process had before", who(a, name),
			   a->credentials->effective_uid);
}

static void check_namespaces(struct judge_check *c, const struct acting *a)
{
	const Assay__Mi *previous = c->j->previous;
	const Assay__Process *q = a->thread ? NULL : before(c->j, a->process);
	const Assay__Namespaces *then = q ? namespaces_at(previous, q->namespaces) : NULL;
	char name[WHO_MAX];

	if (q && !then)
		judge_unchecked(c, "the measurement before does not know those of process %u",
				q->pid);
	else if (then && !same_namespaces(then, a->namespaces))
		judge_fail(c, "%s is in other namespaces than before", who(a, name));
	else if (!then && !been_in(previous, a->namespaces))
		judge_fail(c, "%s is in namespaces that no process was in before", who(a, name));
}

static void check_thread(struct judge_check *c, const struct acting *a)
{
	const Assay__Mi *mi = c->j->mi;
	const Assay__Credentials *first = credentials_at(mi, a->process->credentials);
	const Assay__Namespaces *its = namespaces_at(mi, a->process->namespaces);
	const char *what = first ? difference(first, a->credentials) : NULL;
	char name[WHO_MAX];

	if (a->thread && what)
		judge_fail(c, "%s has other %s than its first thread", who(a, name), what);
	else if (a->thread && its && !same_namespaces(its, a->namespaces))
		judge_fail(c, "%s is in other namespaces than its first thread", who(a, name));
}

static void check_tracer(struct judge_check *c, const struct acting *a)
{
	char name[WHO_MAX];

	if (a->tracer)
		judge_fail(c, "%s is traced by process %u", who(a, name), a->tracer);
}

static void check_dumpable(struct judge_check *c, const struct acting *a)
{
	if (a->thread)
		return;
	if (a->process->dumpable == 0)
		judge_missing(c, "process %u: it could not be seen", a->process->pid);
	else if (a->process->dumpable == 2)
		judge_fail(c, "process %u is dumpable", a->process->pid);
}

static void check_seccomp(struct judge_check *c, const struct acting *a)
{
	char name[WHO_MAX];

	if (a->credentials->seccomp == 0)
		judge_fail(c, "%s has none", who(a, name));
}

static void check_no_new_privs(struct judge_check *c, const struct acting *a)
{
	char name[WHO_MAX];

	if (!a->credentials->no_new_privs)
		judge_fail(c, "%s may gain privileges by exec", who(a, name));
}

static void check_capabilities(struct judge_check *c, const struct acting *a)
{
	const struct policy_capabilities *rule = c->j->rules->processes->state.capabilities;
	const Assay__Credentials *k = a->credentials;
	uint64_t more = (k->permitted | k->effective | k->ambient) & ~rule->mask;
	char name[WHO_MAX], text[CAPABILITY_TEXT_MAX];

	if (more)
		judge_fail(c, "%s has %s", who(a, name), capability_text(more, text));
}

static const Assay__File *file_at(const Assay__Mi *mi, uint32_t index)
{
	return index >= 1 && index <= mi->n_files ? mi->files[index - 1] : NULL;
}

static void check_executable(struct judge_check *c, const struct acting *a)
{
	const struct policy_process_state *s = &c->j->rules->processes->state;
	const Assay__File *f = file_at(c->j->mi, a->process->executable);
	enum judge_reference found;
	struct view sha256;

	if (a->thread)
		return;
	if (!f || f->sha256.len == 0) {
		judge_unchecked(c, "process %u: its executable was not hashed", a->process->pid);
		return;
	}
	sha256 = view_of(f->sha256.data, f->sha256.len);
	for (size_t i = 0; i < s->n_programs; i++) {
		if (view_equal(sha256, digest_view(&s->program_digests[i])))
			return;
	}
	if (s->executables == EXECUTABLES_LISTED) {
		judge_fail(c, "process %u is %s, whose digest is not listed", a->process->pid,
			   judge_text(f->path));
		return;
	}
	found = judge_reference_of(c->j, judge_text(f->path), sha256);
	if (found == REFERENCE_NONE)
		judge_fail(c, "process %u is %s, which is not in it", a->process->pid,
			   judge_text(f->path));
	else if (found == REFERENCE_OTHER)
		judge_fail(c, "process %u is %s with another digest", a->process->pid,
			   judge_text(f->path));
}

static void judge_executables(const struct judging *j, const struct policy_rule *rule)
{
	bool listed = j->rules->processes->state.executables == EXECUTABLES_LISTED;
	struct judge_check c;

	if (!judge_begin(&c, j, rule, JUDGE_ABSENCE, "dynamic.processes.executables",
			 listed ? "executables with listed digests only"
				: "executables of the manifest only",
			 j->mi->n_processes > 0))
		return;
	if (!listed && j->n_references == 0)
		judge_unchecked(&c, "the policy has no reference manifest");
	else
		each(&c, check_executable);
	judge_end(&c);
}

static void check_replaced(struct judge_check *c, const struct acting *a)
{
	const Assay__Process *p = a->process;
	const Assay__File *was = file_at(c->j->mi, p->executed);
	const Assay__File *is = file_at(c->j->mi, p->executable);

	if (!a->thread && p->executed)
		judge_fail(c, "process %u executed %s and now passes for %s", p->pid,
			   was ? judge_text(was->path) : "another file",
			   is ? judge_text(is->path) : "another file");
}

static void judge_kept(const struct judging *j, enum policy_kept kept,
		       const struct policy_rule *rule, const char *path, const char *expected,
		       void (*on_one)(struct judge_check *c, const struct acting *a))
{
	struct judge_check c;

	if (kept != KEPT_UNCHANGED)
		return;
	if (j->previous) {
		check(j, rule, path, expected, on_one);
		return;
	}
	/* The first of a run is what later ones are compared with: it must be there. */
	if (judge_begin(&c, j, rule, JUDGE_ABSENCE, path, expected, j->mi->n_processes > 0))
		judge_end(&c);
}

/* What processes may do: message Credentials and its neighbours. */
void judge_credentials(const struct judging *j)
{
	const struct policy_processes *p = j->rules->processes;
	const struct policy_process_state *s = p ? &p->state : NULL;
	struct policy_rule rule;

	if (!s)
		return;
	judge_kept(j, s->credentials, &p->rule, "dynamic.processes.credentials",
		   "the credentials of before", check_credentials);
	judge_kept(j, s->namespaces, &p->rule, "dynamic.processes.namespaces",
		   "the namespaces of before", check_namespaces);
	rule = judge_setting(s->threads, &p->rule);
	if (judge_wanted(s->threads))
		check(j, &rule, "dynamic.processes.threads", "threads as their first thread",
		      check_thread);
	rule = judge_setting(s->tracer, &p->rule);
	if (judge_wanted(s->tracer))
		check(j, &rule, "dynamic.processes.tracer", "no tracer", check_tracer);
	rule = judge_setting(s->dumpable, &p->rule);
	if (judge_wanted(s->dumpable))
		check(j, &rule, "dynamic.processes.dumpable", "processes that are not dumpable",
		      check_dumpable);
	rule = judge_setting(s->replaced, &p->rule);
	if (judge_wanted(s->replaced))
		check(j, &rule, "dynamic.processes.replaced", "the executable that was executed",
		      check_replaced);
	if (s->seccomp == NEEDED_REQUIRE)
		check(j, &p->rule, "dynamic.processes.seccomp", "seccomp in every thread",
		      check_seccomp);
	if (s->no_new_privs == NEEDED_REQUIRE)
		check(j, &p->rule, "dynamic.processes.no_new_privs", "no_new_privs in every thread",
		      check_no_new_privs);
	if (s->capabilities)
		check(j, &p->rule, "dynamic.processes.capabilities", "the listed capabilities only",
		      check_capabilities);
	if (s->executables == EXECUTABLES_MANIFEST || s->executables == EXECUTABLES_LISTED)
		judge_executables(j, &p->rule);
}
