/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_POLICY_FORM_H
#define ASSAY_POLICY_FORM_H

#include "address.h"
#include "arena.h"
#include "policy.h"
#include "yamldoc_form.h"

/*
 * A policy as it is written: one structure a mapping, filled in by libcyaml. Members
 * after a blank line are what the texts above mean; policy_rules.c works them out. A pointer that
 * is NULL stands for a rule that the policy does not have.
 */

#define POLICY_LIST_MAX	   4096
#define POLICY_DIGESTS_MAX 16384
#define POLICY_MEMORY_MAX  (64 * 1024 * 1024)

/* What every rule may carry; a rule without a mode has that of the mapping it stands in. */
struct policy_rule {
	enum { MODE_UNSET, MODE_ENFORCE, MODE_WARN } mode;
	/* Whether an item may be judged of which the collector could not see everything. */
	enum { PARTIAL_UNSET, PARTIAL_REFUSE, PARTIAL_ACCEPT } partial;
};

enum policy_setting { SETTING_UNSET, SETTING_DENY, SETTING_WARN, SETTING_ALLOW };

struct policy_limit {
	struct policy_rule rule;
	char *max, *min; /* one of them, by the schema */

	uint64_t value;
};

struct policy_addresses {
	struct policy_rule rule;
	char **allow;
	uint32_t n_allow;

	struct address_pattern *patterns;
};

struct policy_jit {
	char *max_bytes, *max_regions;
	enum policy_setting wx;

	uint64_t bytes, regions;
};

struct policy_code {
	struct policy_rule rule;
	enum { CODE_FILES_UNSET, CODE_FILES_MANIFEST, CODE_FILES_LISTED, CODE_FILES_ANY } files;
	char **allow; /* digests of files besides the manifest's, or, listed, of all */
	uint32_t n_allow;
	enum policy_setting modified_text, anonymous, deleted;
	enum policy_setting relro, imports, loader_list, aliases, memory_files, remote_files;
	struct policy_jit *jit;

	struct digest *digests;
};

struct policy_connections {
	struct policy_rule rule;
	char **allow;
	uint32_t n_allow;
	struct policy_addresses *incoming;

	struct address_pattern *patterns;
};

struct policy_traffic {
	struct policy_rule rule;
	struct policy_limit *sent, *received;
};

struct policy_memory {
	struct policy_rule rule;
	struct policy_limit *resident, *proportional;
};

struct policy_cpu {
	struct policy_rule rule;
	struct policy_limit *share;
};

struct policy_disk {
	struct policy_rule rule;
	char **writes_within;
	uint32_t n_writes_within;
	struct policy_limit *used, *available;
};

struct policy_equal {
	const char *name, *value;
};

struct policy_environment {
	struct policy_rule rule;
	char **deny, **only;
	uint32_t n_deny, n_only;
	enum form_bool unchanged;

	struct policy_equal *equal;
	size_t n_equal;
};

struct policy_log {
	struct policy_rule rule;
	const char *pattern;
	uint64_t max;
};

struct policy_unchanged {
	struct policy_rule rule;
	enum form_bool unchanged;
};

#include "policy_state_form.h"

struct policy_processes {
	struct policy_rule rule;
	char *max;
	char **users;
	uint32_t n_users;
	struct policy_process_state state;

	uint64_t max_value;
	uint32_t *uids;
};

struct policy_paths {
	struct policy_rule rule;
	char **allow;
	uint32_t n_allow;
};

enum policy_kernel_rule {
	KERNEL_WX_MEMORY,
	KERNEL_ANONYMOUS_CODE,
	KERNEL_MOVED_CODE,
	KERNEL_FILE_CHANGED,
	KERNEL_FOREIGN_READ,
	KERNEL_SIGNALS,
	KERNEL_EXEC_MEMORY,
	KERNEL_IO_URING,
	KERNEL_CREDENTIALS,
	KERNEL_USERFAULTFD,
	KERNEL_ASSAYD_ACCESS,
	KERNEL_BPF,
	KERNEL_GUARD_DENIED,
	KERNEL_RULES,
};

struct policy_kernel {
	struct policy_rule rule;
	struct policy_limit *lost, *foreign_reads;
	enum policy_setting foreign_access;
	enum policy_setting events[KERNEL_RULES];
	struct policy_paths *exec;
	char **require;
	uint32_t n_require;
	char **guard; /* parts that assayd must protect */
	uint32_t n_guard;
};

struct policy_dynamic {
	struct policy_rule rule;
	struct policy_code *code;
	struct policy_addresses *listen;
	struct policy_connections *connections;
	struct policy_traffic *traffic;
	struct policy_memory *memory;
	struct policy_cpu *cpu;
	struct policy_disk *disk;
	struct policy_environment *environment;
	struct policy_unchanged *start_time, *static_files;
	struct policy_processes *processes;
	struct policy_kernel *kernel;
	struct policy_descriptors *descriptors;
	struct policy_machine *machine;
	struct policy_limit *missed_nodes;

	struct policy_log *logs;
	size_t n_logs;
};

struct policy_soft {
	char **keys;
	uint32_t n_keys;

	const char **lower; /* NULL-terminated */
};

extern const struct cyaml_strval policy_event_logs[2];

struct policy_tpm {
	enum hash_alg bank; /* 0: not given */
	char *ek_ca;
	enum policy_event_log event_log;
	struct policy_ima *ima;
};

struct policy_vtpm {
	enum hash_alg bank; /* 0: not given */
	enum policy_event_log event_log;
	struct policy_ima *ima;
};

struct policy_snp_form; /* policy_sev_snp_form.h */
struct policy_csv_form; /* policy_csv_form.h */
struct policy_cca_form; /* policy_cca_form.h */

struct policy_measurements {
	char **texts;
	uint32_t n;
};

struct policy_tdx_collateral {
	enum { TDX_EXPIRED_UNSET, TDX_EXPIRED_DENY, TDX_EXPIRED_ALLOW } expired;
	char *grace;

	uint64_t grace_ns;
};

struct policy_tdx {
	struct policy_measurements registers[POLICY_TDX_REGISTERS];
	char **tcb_status;
	uint32_t n_tcb_status;
	enum { TDX_DEBUG_UNSET, TDX_DEBUG_DENY, TDX_DEBUG_ALLOW } debug;
	enum policy_event_log event_log;
	struct policy_tdx_collateral *collateral;
	enum policy_event_log runtime_log; /* required unless it says otherwise */

	struct digest *values[POLICY_TDX_REGISTERS];
	unsigned int accepted; /* bit s: enum tdx_status s */
};

struct policy_platforms {
	struct policy_soft *soft;
	struct policy_tpm *tpm;
	struct policy_tdx *tdx;
	struct policy_vtpm *vtpm;
	struct policy_snp_form *snp;
	struct policy_csv_form *csv;
	struct policy_cca_form *cca;
};

struct policy_static {
	struct policy_rule rule;
	char *manifest;
};

/* A set of reference values that is good beside those before it until a time. */
struct policy_update {
	char *until, *manifest;

	int64_t until_s;
};

struct policy_stage_form {
	char *stage;
	enum { AFTER_UNSET, AFTER_STATIC, AFTER_DYNAMIC } after;
	char **release;
	uint32_t n_release;
	char *within;
};

struct policy_form {
	char *application, *version;
	struct policy_platforms *platforms;
	enum { INITRD_UNSET, INITRD_REQUIRE, INITRD_ANY } initrd;
	struct policy_limit *report_every;
	char **configurations;
	uint32_t n_configurations;
	struct policy_static *static_rules;
	struct policy_dynamic *dynamic;
	struct policy_update *updates;
	uint32_t n_updates;
	struct policy_stage_form *stages;
	uint32_t n_stages;
};

/* The schema of struct policy_form. */
extern const struct cyaml_schema_value policy_schema;

#define POLICY_PCRS 24

struct policy_pcr {
	struct digest *values;
	size_t n;
};

struct policy_reference {
	struct manifest manifest;
	struct digest m; /* SHA-384 of its canonical text */
	bool attached;
};

struct policy {
	struct policy_form *form;
	struct arena *arena; /* all that the form's texts mean */
	char **platforms;    /* named ones; NULL-terminated */
	uint32_t version;
	struct policy_pcr pcrs[POLICY_PCRS];	  /* of tpm */
	struct policy_pcr vtpm_pcrs[POLICY_PCRS]; /* of vtpm */
	struct digest *configs;
	struct policy_stage *stages;
	uint32_t report_every;
	struct bytes ek_ca;
	struct policy_reference references[1 + POLICY_UPDATES_MAX]; /* that of static first */
};

/*
 * The reference values that are good at a time: *ret lends the first of the returned number of
 * them, each of which was attached; 0: there are none.
 */
size_t policy_references(const struct policy *p, int64_t now_s,
			 const struct policy_reference **ret);

/* Works out the rules of `updates`; problems go to d. */
void policy_read_updates(struct yamldoc *d, struct policy_form *f);

/*
 * Paths are compared by their components: they must be absolute and without "." and "..";
 * problems go to d.
 */
void policy_check_paths(struct yamldoc *d, const char *path, char *const *texts, size_t n);

/* Works out the rules of `dynamic`; problems go to d. -ENOMEM. */
MUST_CHECK int policy_read_rules(struct yamldoc *d, struct arena *arena,
				 struct policy_dynamic *rules);

/* Works out the rules of `platforms.tdx`. -ENOMEM. */
MUST_CHECK int policy_read_tdx(struct yamldoc *d, struct arena *arena, struct policy_tdx *tdx);

/* Digests of one algorithm, in the arena; path names the list, for problems. NULL: no memory. */
struct digest *policy_read_digests(struct yamldoc *d, struct arena *arena, const char *path,
				   char *const *texts, size_t n, enum hash_alg alg);

#endif
