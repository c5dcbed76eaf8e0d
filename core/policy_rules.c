/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_form.h"

#include <stdio.h>
#include <string.h>

#include "quantity.h"

/* The rules of `dynamic`: what the texts in them mean. */
struct reading {
	struct yamldoc *d;
	struct arena *arena;
	bool out_of_memory;
};

/* Room for n, never NULL where memory is there. */
static void *room_for(struct reading *x, size_t n, size_t size)
{
	void *p = arena_alloc(x->arena, (n + 1) * size);

	if (!p)
		x->out_of_memory = true;
	return p;
}

static void settle(struct policy_rule *rule, const struct policy_rule *outer)
{
	if (rule->mode == MODE_UNSET)
		rule->mode = outer->mode;
	if (rule->partial == PARTIAL_UNSET)
		rule->partial = outer->partial;
}

static void read_value(struct reading *x, const char *path, const char *text,
		       int (*read)(const char *, uint64_t *), const char *expected, uint64_t *ret)
{
	char found[YAMLDOC_FOUND_MAX];

	if (text && read(text, ret) < 0)
		yamldoc_problem(x->d, path, "expected %s, found %s", expected,
				yamldoc_quoted(text, found));
}

static void read_limit(struct reading *x, const char *path, struct policy_limit *limit,
		       const struct policy_rule *outer, int (*read)(const char *, uint64_t *),
		       const char *expected)
{
	char key[YAMLDOC_PATH_MAX];

	if (!limit)
		return;
	settle(&limit->rule, outer);
	snprintf(key, sizeof(key), "%s.%s", path, limit->max ? "max" : "min");
	read_value(x, key, limit->max ? limit->max : limit->min, read, expected, &limit->value);
}

static struct address_pattern *read_patterns(struct reading *x, const char *path,
					     char *const *texts, size_t n, bool listen)
{
	struct address_pattern *patterns = room_for(x, n, sizeof(*patterns));
	char key[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];

	for (size_t i = 0; patterns && i < n; i++) {
		if (address_pattern_parse(texts[i], listen, &patterns[i]) == 0)
			continue;
		snprintf(key, sizeof(key), "%s[%zu]", path, i);
		yamldoc_problem(x->d, key, "expected %s, found %s",
				listen ? ADDRESS_LISTEN : ADDRESS_CONNECT,
				yamldoc_quoted(texts[i], found));
	}
	return patterns;
}

struct digest *policy_read_digests(struct yamldoc *d, struct arena *arena, const char *path,
				   char *const *texts, size_t n, enum hash_alg alg)
{
	struct digest *digests = arena_alloc(arena, (n + 1) * sizeof(*digests));
	char key[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];

	for (size_t i = 0; digests && i < n; i++) {
		int r = quantity_digest(texts[i], alg, &digests[i]);

		if (r == -ENOMEM)
			return NULL;
		if (r == 0)
			continue;
		snprintf(key, sizeof(key), "%s[%zu]", path, i);
		yamldoc_problem(d, key, "expected %zu hex digits (%s), found %s",
				2 * hash_size(alg), hash_name(alg),
				yamldoc_quoted(texts[i], found));
	}
	return digests;
}

void policy_check_paths(struct yamldoc *d, const char *path, char *const *texts, size_t n)
{
	char key[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];

	for (size_t i = 0; i < n; i++) {
		if (texts[i][0] == '/' && !strstr(texts[i], "//") && !strstr(texts[i], "/./") &&
		    !strstr(texts[i], "/../"))
			continue;
		snprintf(key, sizeof(key), "%s[%zu]", path, i);
		yamldoc_problem(d, key, "expected an absolute path, found %s",
				yamldoc_quoted(texts[i], found));
	}
}

static void read_code(struct reading *x, struct policy_code *c)
{
	struct policy_jit *jit = c->jit;

	if (c->n_allow > 0 && c->files != CODE_FILES_MANIFEST && c->files != CODE_FILES_LISTED)
		yamldoc_problem(x->d, "dynamic.code.allow",
				"expected it beside \"files: manifest\" or \"files: listed\", "
				"found it without");
	if (c->n_allow == 0 && c->files == CODE_FILES_LISTED)
		yamldoc_problem(x->d, "dynamic.code.files",
				"expected the list allow beside \"listed\", found none");
	c->digests = policy_read_digests(x->d, x->arena, "dynamic.code.allow", c->allow, c->n_allow,
					 HASH_SHA256);
	if (!c->digests)
		x->out_of_memory = true;
	if (!jit)
		return;
	if (!jit->max_bytes && !jit->max_regions && jit->wx == SETTING_UNSET)
		yamldoc_problem(x->d, "dynamic.code.jit",
				"expected max_bytes, max_regions or wx, found none of them");
	jit->bytes = jit->regions = UINT64_MAX;
	read_value(x, "dynamic.code.jit.max_bytes", jit->max_bytes, quantity_size, QUANTITY_SIZE,
		   &jit->bytes);
	read_value(x, "dynamic.code.jit.max_regions", jit->max_regions, quantity_count,
		   QUANTITY_COUNT, &jit->regions);
}

static void read_network(struct reading *x, struct policy_dynamic *rules)
{
	struct policy_addresses *listen = rules->listen;
	struct policy_connections *c = rules->connections;
	struct policy_traffic *t = rules->traffic;

	if (listen) {
		settle(&listen->rule, &rules->rule);
		listen->patterns = read_patterns(x, "dynamic.listen.allow", listen->allow,
						 listen->n_allow, true);
	}
	if (c) {
		settle(&c->rule, &rules->rule);
		c->patterns =
			read_patterns(x, "dynamic.connections.allow", c->allow, c->n_allow, false);
	}
	if (c && c->incoming) {
		settle(&c->incoming->rule, &c->rule);
		c->incoming->patterns =
			read_patterns(x, "dynamic.connections.incoming.allow", c->incoming->allow,
				      c->incoming->n_allow, false);
	}
	if (t) {
		settle(&t->rule, &rules->rule);
		read_limit(x, "dynamic.traffic.sent_per_second", t->sent, &t->rule, quantity_size,
			   QUANTITY_SIZE);
		read_limit(x, "dynamic.traffic.received_per_second", t->received, &t->rule,
			   quantity_size, QUANTITY_SIZE);
	}
}

static void read_resources(struct reading *x, struct policy_dynamic *rules)
{
	struct policy_memory *m = rules->memory;
	struct policy_cpu *c = rules->cpu;

	if (m) {
		settle(&m->rule, &rules->rule);
		read_limit(x, "dynamic.memory.resident", m->resident, &m->rule, quantity_size,
			   QUANTITY_SIZE);
		read_limit(x, "dynamic.memory.proportional", m->proportional, &m->rule,
			   quantity_size, QUANTITY_SIZE);
	}
	if (c) {
		settle(&c->rule, &rules->rule);
		read_limit(x, "dynamic.cpu.share", c->share, &c->rule, quantity_milli,
			   QUANTITY_MILLI);
	}
}

static void read_disk(struct reading *x, struct policy_disk *disk, const struct policy_rule *outer)
{
	settle(&disk->rule, outer);
	policy_check_paths(x->d, "dynamic.disk.writes_within", disk->writes_within,
			   disk->n_writes_within);
	read_limit(x, "dynamic.disk.used", disk->used, &disk->rule, quantity_size, QUANTITY_SIZE);
	read_limit(x, "dynamic.disk.available", disk->available, &disk->rule, quantity_size,
		   QUANTITY_SIZE);
}

static void read_environment(struct reading *x, struct policy_environment *e)
{
	static const char path[] = "dynamic.environment.equal";
	const struct yamldoc_node *equal = yamldoc_find(x->d, path), *key, *value;
	char found[YAMLDOC_FOUND_MAX];

	if (!equal)
		return;
	if (!yamldoc_is_mapping(equal)) {
		yamldoc_problem_at(x->d, equal, path,
				   "expected a mapping of names to values, found %s",
				   yamldoc_found(equal, found));
		return;
	}
	while (yamldoc_pair(x->d, equal, e->n_equal, &key, &value))
		e->n_equal++;
	e->equal = room_for(x, e->n_equal, sizeof(*e->equal));
	for (size_t i = 0; e->equal && yamldoc_pair(x->d, equal, i, &key, &value); i++) {
		const char *name = yamldoc_text(key);

		if (*name == '\0' || strchr(name, '='))
			yamldoc_problem_at(x->d, key, path,
					   "expected the name of a variable, found %s",
					   yamldoc_found(key, found));
		if (!yamldoc_text(value)) {
			yamldoc_problem_at(x->d, value, path, "expected text, found %s",
					   yamldoc_found(value, found));
			continue;
		}
		e->equal[i].name = arena_text(x->arena, name);
		e->equal[i].value = arena_text(x->arena, yamldoc_text(value));
		if (!e->equal[i].name || !e->equal[i].value)
			x->out_of_memory = true;
	}
}

/* A word that libcyaml checks elsewhere, in a mapping that it does not see. */
static int read_word(struct reading *x, const struct yamldoc_node *n, const char *path,
		     const char *const words[3])
{
	const char *text = yamldoc_text(n);
	char found[YAMLDOC_FOUND_MAX];

	for (int i = 1; i < 3; i++) {
		if (text && strcmp(text, words[i]) == 0)
			return i;
	}
	yamldoc_problem_at(x->d, n, path, "expected one of %s, %s, found %s", words[1], words[2],
			   yamldoc_found(n, found));
	return 0;
}

static void read_log(struct reading *x, const struct yamldoc_node *pattern,
		     const struct yamldoc_node *rule, struct policy_log *log)
{
	static const char *const modes[] = { [MODE_ENFORCE] = "enforce", [MODE_WARN] = "warn" };
	static const char *const partials[] = {
		[PARTIAL_REFUSE] = "refuse", [PARTIAL_ACCEPT] = "accept"
	};
	const struct yamldoc_node *key, *value;
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];
	bool has_max = false;

	snprintf(path, sizeof(path), "dynamic.logs.%s", yamldoc_found(pattern, found));
	if (!yamldoc_is_mapping(rule)) {
		yamldoc_problem_at(x->d, rule, path, "expected a mapping like {max: 0}, found %s",
				   yamldoc_found(rule, found));
		return;
	}
	for (size_t i = 0; yamldoc_pair(x->d, rule, i, &key, &value); i++) {
		const char *name = yamldoc_text(key);

		if (strcmp(name, "max") == 0) {
			has_max = true;
			if (!yamldoc_text(value) ||
			    quantity_count(yamldoc_text(value), &log->max) < 0)
				yamldoc_problem_at(x->d, value, path,
						   "expected " QUANTITY_COUNT " as max, found %s",
						   yamldoc_found(value, found));
		} else if (strcmp(name, "mode") == 0) {
			log->rule.mode = read_word(x, value, path, modes);
		} else if (strcmp(name, "partial") == 0) {
			log->rule.partial = read_word(x, value, path, partials);
		} else {
			yamldoc_problem_at(x->d, key, path,
					   "expected one of the keys max, mode, partial, found %s",
					   yamldoc_found(key, found));
		}
	}
	if (!has_max)
		yamldoc_problem_at(x->d, rule, path, "expected the key max, found nothing");
}

static void read_logs(struct reading *x, struct policy_dynamic *rules)
{
	const struct yamldoc_node *logs = yamldoc_find(x->d, "dynamic.logs"), *key, *value;
	char found[YAMLDOC_FOUND_MAX];

	if (!logs)
		return;
	if (!yamldoc_is_mapping(logs)) {
		yamldoc_problem_at(x->d, logs, "dynamic.logs",
				   "expected a mapping of patterns to rules, found %s",
				   yamldoc_found(logs, found));
		return;
	}
	while (yamldoc_pair(x->d, logs, rules->n_logs, &key, &value))
		rules->n_logs++;
	rules->logs = room_for(x, rules->n_logs, sizeof(*rules->logs));
	for (size_t i = 0; rules->logs && yamldoc_pair(x->d, logs, i, &key, &value); i++) {
		struct policy_log *log = &rules->logs[i];

		log->pattern = arena_text(x->arena, yamldoc_text(key));
		if (!log->pattern)
			x->out_of_memory = true;
		read_log(x, key, value, log);
		settle(&log->rule, &rules->rule);
	}
}

static void read_processes(struct reading *x, struct policy_processes *p)
{
	char key[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];
	uint64_t uid;

	bool listed = p->state.executables == EXECUTABLES_LISTED;

	if (p->state.n_programs > 0 && !listed && p->state.executables != EXECUTABLES_MANIFEST)
		yamldoc_problem(x->d, "dynamic.processes.programs",
				"expected it beside \"executables: manifest\" or "
				"\"executables: listed\", found it without");
	if (p->state.n_programs == 0 && listed)
		yamldoc_problem(x->d, "dynamic.processes.executables",
				"expected the list programs beside \"listed\", found none");
	p->state.program_digests =
		policy_read_digests(x->d, x->arena, "dynamic.processes.programs",
				    p->state.programs, p->state.n_programs, HASH_SHA256);
	if (!p->state.program_digests)
		x->out_of_memory = true;
	if (p->state.capabilities)
		policy_read_capabilities(x->d, p->state.capabilities);
	read_value(x, "dynamic.processes.max", p->max, quantity_count, QUANTITY_COUNT,
		   &p->max_value);
	p->uids = room_for(x, p->n_users, sizeof(*p->uids));
	for (size_t i = 0; p->uids && i < p->n_users; i++) {
		if (quantity_count(p->users[i], &uid) == 0 && uid < UINT32_MAX) {
			p->uids[i] = (uint32_t)uid;
			continue;
		}
		/* Names stand for other numbers on the machine that is measured. */
		snprintf(key, sizeof(key), "dynamic.processes.users[%zu]", i);
		yamldoc_problem(x->d, key, "expected the number of a user, found %s",
				yamldoc_quoted(p->users[i], found));
	}
}

static void read_guard(struct reading *x, const struct policy_kernel *k)
{
	static const char *const parts[] = { "self", "files", "chip" };
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];

	for (size_t i = 0; i < k->n_guard; i++) {
		bool known = false;

		for (size_t n = 0; n < ARRAY_LEN(parts) && !known; n++)
			known = strcmp(parts[n], k->guard[i]) == 0;
		snprintf(path, sizeof(path), "dynamic.kernel.guard[%zu]", i);
		if (!known)
			yamldoc_problem(x->d, path, "expected one of self, files, chip, found %s",
					yamldoc_quoted(k->guard[i], found));
	}
}

static void read_kernel(struct reading *x, struct policy_kernel *k)
{
	read_guard(x, k);
	read_limit(x, "dynamic.kernel.lost", k->lost, &k->rule, quantity_count, QUANTITY_COUNT);
	read_limit(x, "dynamic.kernel.foreign_reads", k->foreign_reads, &k->rule, quantity_count,
		   QUANTITY_COUNT);
	if (!k->exec)
		return;
	settle(&k->exec->rule, &k->rule);
	policy_check_paths(x->d, "dynamic.kernel.exec.allow", k->exec->allow, k->exec->n_allow);
}

/* A mapping that says how to judge and not what would pass for a check that was made. */
static void check_not_empty(struct yamldoc *d, const char *path)
{
	const struct yamldoc_node *n = yamldoc_find(d, path), *key, *value;

	for (size_t i = 0; yamldoc_pair(d, n, i, &key, &value); i++) {
		if (strcmp(yamldoc_text(key), "mode") != 0 &&
		    strcmp(yamldoc_text(key), "partial") != 0)
			return;
	}
	yamldoc_problem(d, path, "expected at least one rule, found none");
}

static void check_sections(struct yamldoc *d)
{
	const struct yamldoc_node *rules = yamldoc_find(d, "dynamic"), *key, *value;
	char path[YAMLDOC_PATH_MAX];

	check_not_empty(d, "dynamic");
	for (size_t i = 0; yamldoc_pair(d, rules, i, &key, &value); i++) {
		snprintf(path, sizeof(path), "dynamic.%s", yamldoc_text(key));
		if (yamldoc_is_mapping(value))
			check_not_empty(d, path);
	}
}

int policy_read_rules(struct yamldoc *d, struct arena *arena, struct policy_dynamic *rules)
{
	struct reading x = { .d = d, .arena = arena };
	const struct policy_rule *outer = &rules->rule;

	check_sections(d);
	if (rules->code) {
		settle(&rules->code->rule, outer);
		read_code(&x, rules->code);
	}
	read_network(&x, rules);
	read_resources(&x, rules);
	if (rules->disk)
		read_disk(&x, rules->disk, outer);
	if (rules->environment) {
		settle(&rules->environment->rule, outer);
		read_environment(&x, rules->environment);
	}
	read_logs(&x, rules);
	if (rules->start_time)
		settle(&rules->start_time->rule, outer);
	if (rules->static_files)
		settle(&rules->static_files->rule, outer);
	if (rules->processes) {
		settle(&rules->processes->rule, outer);
		read_processes(&x, rules->processes);
	}
	if (rules->kernel) {
		settle(&rules->kernel->rule, outer);
		read_kernel(&x, rules->kernel);
	}
	if (rules->descriptors)
		settle(&rules->descriptors->rule, outer);
	if (rules->machine) {
		settle(&rules->machine->rule, outer);
		if (policy_read_machine(d, arena, rules->machine) < 0)
			x.out_of_memory = true;
	}
	read_limit(&x, "dynamic.missed_nodes", rules->missed_nodes, outer, quantity_count,
		   QUANTITY_COUNT);
	return x.out_of_memory ? -ENOMEM : 0;
}
