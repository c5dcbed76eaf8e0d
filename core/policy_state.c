/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "capability_name.h"
#include "policy_form.h"
#include "quantity.h"

#define SYSCTLS "dynamic.machine.sysctl"

const struct cyaml_strval policy_setting_words[] = {
	{ "deny", SETTING_DENY },
	{ "warn", SETTING_WARN },
	{ "allow", SETTING_ALLOW },
};

const struct cyaml_strval policy_kept_words[] = {
	{ "unchanged", KEPT_UNCHANGED },
	{ "any", KEPT_ANY },
};

const struct cyaml_strval policy_needed_words[] = {
	{ "require", NEEDED_REQUIRE },
	{ "any", NEEDED_ANY },
};

const struct cyaml_strval policy_executables_words[] = {
	{ "manifest", EXECUTABLES_MANIFEST },
	{ "listed", EXECUTABLES_LISTED },
	{ "any", EXECUTABLES_ANY },
};

const struct cyaml_schema_field policy_capabilities_fields[] = {
	CYAML_FIELD_SEQUENCE_COUNT("within", CYAML_FLAG_POINTER, struct policy_capabilities, within,
				   n_within, &form_text_entry, 0, POLICY_LIST_MAX),
	CYAML_FIELD_END,
};

static const cyaml_strval_t modes[] = { { "enforce", MODE_ENFORCE }, { "warn", MODE_WARN } };

static const cyaml_strval_t partials[] = {
	{ "refuse", PARTIAL_REFUSE },
	{ "accept", PARTIAL_ACCEPT },
};

#define RULE(type)                                                                                 \
	FORM_WORD("mode", struct type, rule.mode, modes),                                          \
		FORM_WORD("partial", struct type, rule.partial, partials)

#define HELD(key, which)                                                                           \
	FORM_WORD(key, struct policy_descriptors, settings[which], policy_setting_words)

const struct cyaml_schema_field policy_descriptors_fields[] = {
	RULE(policy_descriptors),
	HELD("standard_sockets", HELD_STANDARD_SOCKET),
	HELD("process_memory", HELD_PROCESS_MEMORY),
	HELD("memory_files", HELD_MEMORY_FILE),
	HELD("deleted_programs", HELD_DELETED_PROGRAM),
	HELD("kernel_memory", HELD_KERNEL_MEMORY),
	HELD("kernel_objects", HELD_KERNEL_OBJECT),
	HELD("raw_sockets", HELD_RAW_SOCKET),
	HELD("block_devices", HELD_BLOCK_DEVICE),
	HELD("foreign_memory", HELD_FOREIGN_MEMORY),
	HELD("foreign_ports", HELD_FOREIGN_PORT),
	HELD("foreign_packets", HELD_FOREIGN_PACKETS),
	HELD("foreign_traces", HELD_FOREIGN_TRACE),
	CYAML_FIELD_END,
};

#define OPEN(name) "dynamic.descriptors." name

const struct policy_held_kind policy_held_kinds[HELD_KINDS] = {
	[HELD_STANDARD_SOCKET] = { "standard_socket", OPEN("standard_sockets"),
				   "no network connection as standard input or output" },
	[HELD_PROCESS_MEMORY] = { "process_memory", OPEN("process_memory"),
				  "no process's memory open" },
	[HELD_MEMORY_FILE] = { "memory_file", OPEN("memory_files"),
			       "no file in memory that may be executed open" },
	[HELD_DELETED_PROGRAM] = { "deleted_program", OPEN("deleted_programs"),
				   "no deleted file that may be executed open" },
	[HELD_KERNEL_MEMORY] = { "kernel_memory", OPEN("kernel_memory"),
				 "no memory of the kernel or the machine open" },
	[HELD_KERNEL_OBJECT] = { "kernel_object", OPEN("kernel_objects"),
				 "no BPF, perf or userfaultfd objects open" },
	[HELD_RAW_SOCKET] = { "raw_socket", OPEN("raw_sockets"), "no raw or packet socket" },
	[HELD_BLOCK_DEVICE] = { "block_device", OPEN("block_devices"), "no block device open" },
	[HELD_FOREIGN_MEMORY] = { "memory", OPEN("foreign_memory"),
				  "nobody else has its memory open" },
	[HELD_FOREIGN_PORT] = { "port", OPEN("foreign_ports"), "nobody else has its ports" },
	[HELD_FOREIGN_PACKETS] = { "packets", OPEN("foreign_packets"),
				   "nobody else receives its packets" },
	[HELD_FOREIGN_TRACE] = { "trace", OPEN("foreign_traces"),
				 "nobody else has a perf event on it" },
};

static const cyaml_strval_t modules[] = {
	{ "unchanged", MODULES_UNCHANGED },
	{ "none", MODULES_NONE },
	{ "any", MODULES_ANY },
};

static const cyaml_strval_t lockdowns[] = {
	{ "any", LOCKDOWN_ANY },
	{ "integrity", LOCKDOWN_INTEGRITY },
	{ "confidentiality", LOCKDOWN_CONFIDENTIALITY },
};

static const cyaml_schema_field_t bpf_fields[] = {
	FORM_WORD("foreign", struct policy_foreign_bpf, foreign, policy_setting_words),
	FORM_TEXTS("tags", struct policy_foreign_bpf, tags, n_tags, POLICY_LIST_MAX),
	CYAML_FIELD_END,
};

const struct cyaml_schema_field policy_machine_fields[] = {
	RULE(policy_machine),
	FORM_NODE("sysctl"),
	FORM_WORD("swap", struct policy_machine, swap, policy_setting_words),
	FORM_WORD("taint", struct policy_machine, taint, policy_setting_words),
	FORM_WORD("probes", struct policy_machine, probes, policy_setting_words),
	FORM_WORD("cpus", struct policy_machine, cpus, policy_kept_words),
	FORM_WORD("clock", struct policy_machine, clock, policy_kept_words),
	FORM_WORD("modules", struct policy_machine, modules, modules),
	FORM_WORD("lockdown", struct policy_machine, lockdown, lockdowns),
	FORM_PART("bpf", struct policy_machine, bpf, bpf_fields),
	CYAML_FIELD_END,
};

void policy_read_capabilities(struct yamldoc *d, struct policy_capabilities *c)
{
	static const char path[] = "dynamic.processes.capabilities.within";
	char key[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];

	for (size_t i = 0; i < c->n_within; i++) {
		int n = capability_number(c->within[i]);

		if (n >= 0) {
			c->mask |= UINT64_C(1) << n;
			continue;
		}
		snprintf(key, sizeof(key), "%s[%zu]", path, i);
		yamldoc_problem(d, key, "expected the name of a capability (CAP_KILL), found %s",
				yamldoc_quoted(c->within[i], found));
	}
}

static int read_tags(struct yamldoc *d, struct arena *arena, struct policy_foreign_bpf *b)
{
	char key[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];

	b->values = arena_alloc(arena, (b->n_tags + 1) * sizeof(*b->values));
	if (!b->values)
		return -ENOMEM;
	for (size_t i = 0; i < b->n_tags; i++) {
		if (strlen(b->tags[i]) == 2 * sizeof(*b->values) &&
			    hex_decode_exact(b->tags[i], b->values[i], sizeof(*b->values)) == 0)
			continue;
		snprintf(key, sizeof(key), "dynamic.machine.bpf.tags[%zu]", i);
		yamldoc_problem(d, key, "expected 16 hex digits, found %s",
				yamldoc_quoted(b->tags[i], found));
	}
	return 0;
}

static int read_sysctl_key(struct yamldoc *d, struct arena *arena, const char *path,
			   const struct yamldoc_node *key, const struct yamldoc_node *value,
			   struct policy_sysctl *to)
{
	const char *name = yamldoc_text(key), *text = yamldoc_text(value);
	char found[YAMLDOC_FOUND_MAX];
	bool min = strcmp(name, "min") == 0, max = strcmp(name, "max") == 0;

	if (strcmp(name, "mode") == 0 && text &&
	    (strcmp(text, "warn") == 0 || strcmp(text, "enforce") == 0)) {
		to->rule.mode = text[0] == 'w' ? MODE_WARN : MODE_ENFORCE;
		return 0;
	}
	if (strcmp(name, "equal") == 0 && text) {
		to->equal = arena_text(arena, text);
		return to->equal ? 0 : -ENOMEM;
	}
	if (!min && !max) {
		yamldoc_problem_at(d, key, path,
				   "expected the keys min, max, equal (text), mode (enforce, warn), "
				   "found %s",
				   yamldoc_found(key, found));
		return 0;
	}
	if (!text || quantity_count(text, min ? &to->min : &to->max) < 0)
		yamldoc_problem_at(d, value, path, "expected " QUANTITY_COUNT " as %s, found %s",
				   name, yamldoc_found(value, found));
	to->has_min |= min;
	to->has_max |= max;
	return 0;
}

static int read_sysctl(struct yamldoc *d, struct arena *arena, const struct yamldoc_node *name,
		       const struct yamldoc_node *rule, struct policy_sysctl *to)
{
	const struct yamldoc_node *key, *value;
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];
	int r = 0;

	snprintf(path, sizeof(path), SYSCTLS ".%s", yamldoc_text(name));
	to->name = arena_text(arena, yamldoc_text(name));
	if (!to->name)
		return -ENOMEM;
	if (!yamldoc_is_mapping(rule)) {
		yamldoc_problem_at(d, rule, path, "expected a mapping like {min: 1}, found %s",
				   yamldoc_found(rule, found));
		return 0;
	}
	for (size_t i = 0; r == 0 && yamldoc_pair(d, rule, i, &key, &value); i++)
		r = read_sysctl_key(d, arena, path, key, value, to);
	if (!to->has_min && !to->has_max && !to->equal)
		yamldoc_problem_at(d, rule, path, "expected min, max or equal, found none");
	return r;
}

static int read_sysctls(struct yamldoc *d, struct arena *arena, struct policy_machine *m)
{
	const struct yamldoc_node *all = yamldoc_find(d, SYSCTLS), *key, *value;
	char found[YAMLDOC_FOUND_MAX];
	int r = 0;

	if (!all)
		return 0;
	if (!yamldoc_is_mapping(all)) {
		yamldoc_problem_at(d, all, SYSCTLS,
				   "expected a mapping of settings to rules, found %s",
				   yamldoc_found(all, found));
		return 0;
	}
	while (yamldoc_pair(d, all, m->n_sysctls, &key, &value))
		m->n_sysctls++;
	m->sysctls = arena_alloc(arena, (m->n_sysctls + 1) * sizeof(*m->sysctls));
	if (!m->sysctls)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && yamldoc_pair(d, all, i, &key, &value); i++) {
		m->sysctls[i].rule = m->rule;
		r = read_sysctl(d, arena, key, value, &m->sysctls[i]);
	}
	return r;
}

int policy_read_machine(struct yamldoc *d, struct arena *arena, struct policy_machine *m)
{
	int r = 0;

	if (m->bpf && !m->bpf->foreign)
		yamldoc_problem(d, "dynamic.machine.bpf", "expected the key foreign, found none");
	if (m->bpf)
		r = read_tags(d, arena, m->bpf);
	return r < 0 ? r : read_sysctls(d, arena, m);
}
