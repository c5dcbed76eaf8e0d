/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_POLICY_STATE_FORM_H
#define ASSAY_POLICY_STATE_FORM_H

/*
 * Rules on what processes may do, what they hold open and what the machine allows:
 * `dynamic.processes` beside its numbers, `dynamic.descriptors`, `dynamic.machine`. Included by
 * policy_form.h alone, whose policy_rule, policy_setting and policy_limit it uses.
 */

enum policy_kept { KEPT_UNSET, KEPT_UNCHANGED, KEPT_ANY };
enum policy_needed { NEEDED_UNSET, NEEDED_REQUIRE, NEEDED_ANY };

struct policy_capabilities {
	char **within;
	uint32_t n_within;

	uint64_t mask;
};

/* Part of struct policy_processes. */
struct policy_process_state {
	enum policy_kept credentials, namespaces;
	enum policy_setting threads, tracer, dumpable, replaced;
	enum policy_needed seccomp, no_new_privs;
	enum {
		EXECUTABLES_UNSET,
		EXECUTABLES_MANIFEST,
		EXECUTABLES_LISTED,
		EXECUTABLES_ANY,
	} executables;
	char **programs; /* digests of executables besides the manifest's, or, listed, of all */
	uint32_t n_programs;
	struct policy_capabilities *capabilities;

	struct digest *program_digests;
};

/* Kinds of Descriptor and Holder that the MI names, each with its key. */
enum policy_held {
	HELD_STANDARD_SOCKET,
	HELD_PROCESS_MEMORY,
	HELD_MEMORY_FILE,
	HELD_DELETED_PROGRAM,
	HELD_KERNEL_MEMORY,
	HELD_KERNEL_OBJECT,
	HELD_RAW_SOCKET,
	HELD_BLOCK_DEVICE,
	HELD_OWN, /* the above are of the application, those below of others */
	HELD_FOREIGN_MEMORY = HELD_OWN,
	HELD_FOREIGN_PORT,
	HELD_FOREIGN_PACKETS,
	HELD_FOREIGN_TRACE,
	HELD_KINDS,
};

struct policy_held_kind {
	const char *kind; /* in the MI */
	const char *path; /* "dynamic.descriptors.standard_sockets" */
	const char *expected;
};
extern const struct policy_held_kind policy_held_kinds[HELD_KINDS];

struct policy_descriptors {
	struct policy_rule rule;
	enum policy_setting settings[HELD_KINDS];
};

/* One setting of the kernel: a number within bounds, or this text. */
struct policy_sysctl {
	struct policy_rule rule;
	const char *name, *equal;
	bool has_min, has_max;
	uint64_t min, max;
};

struct policy_foreign_bpf {
	enum policy_setting foreign;
	char **tags; /* of programs that are allowed all the same */
	uint32_t n_tags;

	uint8_t (*values)[8];
};

struct policy_machine {
	struct policy_rule rule;
	enum policy_setting swap, taint, probes;
	enum policy_kept cpus, clock;
	enum { MODULES_UNSET, MODULES_UNCHANGED, MODULES_NONE, MODULES_ANY } modules;
	enum { LOCKDOWN_UNSET, LOCKDOWN_ANY, LOCKDOWN_INTEGRITY, LOCKDOWN_CONFIDENTIALITY } lockdown;
	struct policy_foreign_bpf *bpf;

	struct policy_sysctl *sysctls;
	size_t n_sysctls;
};

extern const struct cyaml_strval policy_setting_words[3];
extern const struct cyaml_strval policy_kept_words[2];
extern const struct cyaml_strval policy_needed_words[2];
extern const struct cyaml_strval policy_executables_words[3];
extern const struct cyaml_schema_field policy_capabilities_fields[];
extern const struct cyaml_schema_field policy_descriptors_fields[];
extern const struct cyaml_schema_field policy_machine_fields[];

/* The fields of struct policy_process_state in a structure that has it as its member state. */
#define POLICY_PROCESS_STATE(type)                                                                 \
	FORM_WORD("credentials", struct type, state.credentials, policy_kept_words),               \
		FORM_WORD("namespaces", struct type, state.namespaces, policy_kept_words),         \
		FORM_WORD("threads", struct type, state.threads, policy_setting_words),            \
		FORM_WORD("tracer", struct type, state.tracer, policy_setting_words),              \
		FORM_WORD("dumpable", struct type, state.dumpable, policy_setting_words),          \
		FORM_WORD("replaced", struct type, state.replaced, policy_setting_words),          \
		FORM_WORD("seccomp", struct type, state.seccomp, policy_needed_words),             \
		FORM_WORD("no_new_privs", struct type, state.no_new_privs, policy_needed_words),   \
		FORM_WORD("executables", struct type, state.executables,                           \
			  policy_executables_words),                                               \
		FORM_TEXTS("programs", struct type, state.programs, state.n_programs,              \
			   POLICY_DIGESTS_MAX),                                                    \
		FORM_PART("capabilities", struct type, state.capabilities,                         \
			  policy_capabilities_fields)

/* Work out what the texts mean; problems go to d. -ENOMEM. The rules in them are settled. */
void policy_read_capabilities(struct yamldoc *d, struct policy_capabilities *c);
MUST_CHECK int policy_read_machine(struct yamldoc *d, struct arena *arena,
				   struct policy_machine *m);

#endif
