/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_form.h"

#include "policy_cca_form.h"
#include "policy_csv_form.h"
#include "policy_sev_snp_form.h"

static const cyaml_strval_t modes[] = { { "enforce", MODE_ENFORCE }, { "warn", MODE_WARN } };

static const cyaml_strval_t partials[] = {
	{ "refuse", PARTIAL_REFUSE },
	{ "accept", PARTIAL_ACCEPT },
};

static const cyaml_strval_t settings[] = {
	{ "deny", SETTING_DENY },
	{ "warn", SETTING_WARN },
	{ "allow", SETTING_ALLOW },
};

#define RULE(type)                                                                                 \
	FORM_WORD("mode", struct type, rule.mode, modes),                                          \
		FORM_WORD("partial", struct type, rule.partial, partials)

static const cyaml_schema_field_t max_fields[] = {
	RULE(policy_limit),
	FORM_REQUIRED_TEXT("max", struct policy_limit, max),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t min_fields[] = {
	RULE(policy_limit),
	FORM_REQUIRED_TEXT("min", struct policy_limit, min),
	CYAML_FIELD_END,
};

/* Without mode and partial: no rule about an item. */
static const cyaml_schema_field_t report_every_fields[] = {
	FORM_REQUIRED_TEXT("max", struct policy_limit, max),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t addresses_fields[] = {
	RULE(policy_addresses),
	CYAML_FIELD_SEQUENCE_COUNT("allow", CYAML_FLAG_POINTER, struct policy_addresses, allow,
				   n_allow, &form_text_entry, 0, POLICY_LIST_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t jit_fields[] = {
	FORM_TEXT("max_bytes", struct policy_jit, max_bytes),
	FORM_TEXT("max_regions", struct policy_jit, max_regions),
	FORM_WORD("wx", struct policy_jit, wx, settings),
	CYAML_FIELD_END,
};

static const cyaml_strval_t code_files[] = {
	{ "manifest", CODE_FILES_MANIFEST },
	{ "listed", CODE_FILES_LISTED },
	{ "any", CODE_FILES_ANY },
};

static const cyaml_schema_field_t code_fields[] = {
	RULE(policy_code),
	FORM_WORD("files", struct policy_code, files, code_files),
	FORM_TEXTS("allow", struct policy_code, allow, n_allow, POLICY_DIGESTS_MAX),
	FORM_WORD("modified_text", struct policy_code, modified_text, settings),
	FORM_WORD("anonymous", struct policy_code, anonymous, settings),
	FORM_WORD("deleted", struct policy_code, deleted, settings),
	FORM_WORD("relro", struct policy_code, relro, settings),
	FORM_WORD("imports", struct policy_code, imports, settings),
	FORM_WORD("loader_list", struct policy_code, loader_list, settings),
	FORM_WORD("aliases", struct policy_code, aliases, settings),
	FORM_WORD("memory_files", struct policy_code, memory_files, settings),
	FORM_WORD("remote_files", struct policy_code, remote_files, settings),
	FORM_PART("jit", struct policy_code, jit, jit_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t connections_fields[] = {
	RULE(policy_connections),
	CYAML_FIELD_SEQUENCE_COUNT("allow", CYAML_FLAG_POINTER, struct policy_connections, allow,
				   n_allow, &form_text_entry, 0, POLICY_LIST_MAX),
	FORM_PART("incoming", struct policy_connections, incoming, addresses_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t traffic_fields[] = {
	RULE(policy_traffic),
	FORM_PART("sent_per_second", struct policy_traffic, sent, max_fields),
	FORM_PART("received_per_second", struct policy_traffic, received, max_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t memory_fields[] = {
	RULE(policy_memory),
	FORM_PART("resident", struct policy_memory, resident, max_fields),
	FORM_PART("proportional", struct policy_memory, proportional, max_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t cpu_fields[] = {
	RULE(policy_cpu),
	FORM_PART("share", struct policy_cpu, share, max_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t disk_fields[] = {
	RULE(policy_disk),
	FORM_TEXTS("writes_within", struct policy_disk, writes_within, n_writes_within,
		   POLICY_LIST_MAX),
	FORM_PART("used", struct policy_disk, used, max_fields),
	FORM_PART("available", struct policy_disk, available, min_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t environment_fields[] = {
	RULE(policy_environment),
	FORM_TEXTS("deny", struct policy_environment, deny, n_deny, POLICY_LIST_MAX),
	FORM_TEXTS("only", struct policy_environment, only, n_only, POLICY_LIST_MAX),
	FORM_WORD("unchanged", struct policy_environment, unchanged, form_bools),
	FORM_NODE("equal"),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t unchanged_fields[] = {
	RULE(policy_unchanged),
	FORM_WORD("unchanged", struct policy_unchanged, unchanged, form_bools),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t processes_fields[] = {
	RULE(policy_processes),
	FORM_TEXT("max", struct policy_processes, max),
	FORM_TEXTS("users", struct policy_processes, users, n_users, POLICY_LIST_MAX),
	POLICY_PROCESS_STATE(policy_processes),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t paths_fields[] = {
	RULE(policy_paths),
	CYAML_FIELD_SEQUENCE_COUNT("allow", CYAML_FLAG_POINTER, struct policy_paths, allow, n_allow,
				   &form_text_entry, 0, POLICY_LIST_MAX),
	CYAML_FIELD_END,
};

#define KERNEL_EVENT(key, which) FORM_WORD(key, struct policy_kernel, events[which], settings)

static const cyaml_schema_field_t kernel_fields[] = {
	RULE(policy_kernel),
	FORM_PART("lost", struct policy_kernel, lost, max_fields),
	FORM_PART("foreign_reads", struct policy_kernel, foreign_reads, max_fields),
	FORM_WORD("foreign_access", struct policy_kernel, foreign_access, settings),
	KERNEL_EVENT("wx_memory", KERNEL_WX_MEMORY),
	KERNEL_EVENT("anonymous_code", KERNEL_ANONYMOUS_CODE),
	KERNEL_EVENT("moved_code", KERNEL_MOVED_CODE),
	KERNEL_EVENT("file_changed", KERNEL_FILE_CHANGED),
	KERNEL_EVENT("foreign_read", KERNEL_FOREIGN_READ),
	KERNEL_EVENT("signals", KERNEL_SIGNALS),
	KERNEL_EVENT("exec_memory", KERNEL_EXEC_MEMORY),
	KERNEL_EVENT("io_uring", KERNEL_IO_URING),
	KERNEL_EVENT("credentials", KERNEL_CREDENTIALS),
	KERNEL_EVENT("userfaultfd", KERNEL_USERFAULTFD),
	KERNEL_EVENT("assayd_access", KERNEL_ASSAYD_ACCESS),
	KERNEL_EVENT("bpf", KERNEL_BPF),
	KERNEL_EVENT("guard_denied", KERNEL_GUARD_DENIED),
	FORM_TEXTS("guard", struct policy_kernel, guard, n_guard, POLICY_LIST_MAX),
	FORM_PART("exec", struct policy_kernel, exec, paths_fields),
	FORM_TEXTS("require", struct policy_kernel, require, n_require, POLICY_LIST_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t dynamic_fields[] = {
	RULE(policy_dynamic),
	FORM_PART("code", struct policy_dynamic, code, code_fields),
	FORM_PART("listen", struct policy_dynamic, listen, addresses_fields),
	FORM_PART("connections", struct policy_dynamic, connections, connections_fields),
	FORM_PART("traffic", struct policy_dynamic, traffic, traffic_fields),
	FORM_PART("memory", struct policy_dynamic, memory, memory_fields),
	FORM_PART("cpu", struct policy_dynamic, cpu, cpu_fields),
	FORM_PART("disk", struct policy_dynamic, disk, disk_fields),
	FORM_PART("environment", struct policy_dynamic, environment, environment_fields),
	FORM_NODE("logs"),
	FORM_PART("start_time", struct policy_dynamic, start_time, unchanged_fields),
	FORM_PART("static_files", struct policy_dynamic, static_files, unchanged_fields),
	FORM_PART("processes", struct policy_dynamic, processes, processes_fields),
	FORM_PART("descriptors", struct policy_dynamic, descriptors, policy_descriptors_fields),
	FORM_PART("machine", struct policy_dynamic, machine, policy_machine_fields),
	FORM_PART("kernel", struct policy_dynamic, kernel, kernel_fields),
	FORM_PART("missed_nodes", struct policy_dynamic, missed_nodes, max_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t soft_fields[] = {
	FORM_TEXTS("keys", struct policy_soft, keys, n_keys, POLICY_LIST_MAX),
	CYAML_FIELD_END,
};

static const cyaml_strval_t banks[] = {
	{ "sha1", HASH_SHA1 },
	{ "sha256", HASH_SHA256 },
	{ "sha384", HASH_SHA384 },
	{ "sha512", HASH_SHA512 },
};

const cyaml_strval_t policy_event_logs[] = {
	{ "require", EVENT_LOG_REQUIRE },
	{ "allow", EVENT_LOG_ALLOW },
};

/* Of a TPM, whose PCR 5 the firmware extends when the boot services are left. */
static const cyaml_strval_t pcr_event_logs[] = {
	{ "complete", EVENT_LOG_COMPLETE },
	{ "require", EVENT_LOG_REQUIRE },
	{ "allow", EVENT_LOG_ALLOW },
};

static const cyaml_strval_t ima_logs[] = {
	{ "require", POLICY_IMA_REQUIRE },
	{ "allow", POLICY_IMA_OPTIONAL },
};

static const cyaml_strval_t ima_violations[] = {
	{ "warn", POLICY_IMA_WARN },
	{ "deny", POLICY_IMA_DENY },
	{ "allow", POLICY_IMA_ALLOW },
};

static const cyaml_strval_t ima_aggregates[] = {
	{ "require", POLICY_IMA_AGGREGATE_REQUIRE },
	{ "warn", POLICY_IMA_AGGREGATE_WARN },
	{ "allow", POLICY_IMA_AGGREGATE_ALLOW },
};

static const cyaml_strval_t ima_witnesses[] = {
	{ "require", POLICY_IMA_WITNESS_REQUIRE },
	{ "warn", POLICY_IMA_WITNESS_WARN },
	{ "off", POLICY_IMA_WITNESS_OFF },
};

static const cyaml_schema_field_t ima_fields[] = {
	FORM_WORD("log", struct policy_ima, log, ima_logs),
	FORM_WORD("violations", struct policy_ima, violations, ima_violations),
	FORM_WORD("boot_aggregate", struct policy_ima, boot_aggregate, ima_aggregates),
	FORM_WORD("witness", struct policy_ima, witness, ima_witnesses),
	FORM_TEXTS("except", struct policy_ima, except, n_except, POLICY_LIST_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t tpm_fields[] = {
	FORM_WORD("bank", struct policy_tpm, bank, banks),
	FORM_NODE("pcrs"),
	FORM_TEXT("ek_ca", struct policy_tpm, ek_ca),
	FORM_WORD("event_log", struct policy_tpm, event_log, pcr_event_logs),
	FORM_PART("ima", struct policy_tpm, ima, ima_fields),
	CYAML_FIELD_END,
};

static const cyaml_strval_t tdx_debugs[] = {
	{ "deny", TDX_DEBUG_DENY },
	{ "allow", TDX_DEBUG_ALLOW },
};

#define TDX_REGISTER(key, which)                                                                   \
	FORM_TEXTS(key, struct policy_tdx, registers[which].texts, registers[which].n,             \
		   POLICY_DIGESTS_MAX)

static const cyaml_strval_t tdx_expired[] = {
	{ "deny", TDX_EXPIRED_DENY },
	{ "allow", TDX_EXPIRED_ALLOW },
};

static const cyaml_schema_field_t tdx_collateral_fields[] = {
	FORM_WORD("expired", struct policy_tdx_collateral, expired, tdx_expired),
	FORM_TEXT("grace", struct policy_tdx_collateral, grace),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t tdx_fields[] = {
	TDX_REGISTER("mrtd", POLICY_TDX_MRTD),
	TDX_REGISTER("rtmr0", POLICY_TDX_RTMR0),
	TDX_REGISTER("rtmr1", POLICY_TDX_RTMR1),
	TDX_REGISTER("rtmr2", POLICY_TDX_RTMR2),
	TDX_REGISTER("rtmr3", POLICY_TDX_RTMR3),
	FORM_TEXTS("tcb_status", struct policy_tdx, tcb_status, n_tcb_status, POLICY_LIST_MAX),
	FORM_WORD("debug", struct policy_tdx, debug, tdx_debugs),
	FORM_WORD("event_log", struct policy_tdx, event_log, policy_event_logs),
	FORM_PART("collateral", struct policy_tdx, collateral, tdx_collateral_fields),
	FORM_WORD("runtime_log", struct policy_tdx, runtime_log, policy_event_logs),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t vtpm_fields[] = {
	FORM_WORD("bank", struct policy_vtpm, bank, banks),
	FORM_NODE("pcrs"),
	FORM_WORD("event_log", struct policy_vtpm, event_log, pcr_event_logs),
	FORM_PART("ima", struct policy_vtpm, ima, ima_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t platforms_fields[] = {
	FORM_PART("soft", struct policy_platforms, soft, soft_fields),
	FORM_PART("tpm", struct policy_platforms, tpm, tpm_fields),
	FORM_PART("vtpm", struct policy_platforms, vtpm, vtpm_fields),
	FORM_PART("tdx", struct policy_platforms, tdx, tdx_fields),
	FORM_PART("sev-snp", struct policy_platforms, snp, policy_snp_fields),
	FORM_PART("csv", struct policy_platforms, csv, policy_csv_fields),
	FORM_PART("cca", struct policy_platforms, cca, policy_cca_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t static_fields[] = {
	RULE(policy_static),
	FORM_REQUIRED_TEXT("manifest", struct policy_static, manifest),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t update_fields[] = {
	FORM_REQUIRED_TEXT("until", struct policy_update, until),
	FORM_REQUIRED_TEXT("manifest", struct policy_update, manifest),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t update_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct policy_update, update_fields),
};

static const cyaml_strval_t kinds[] = { { "static", AFTER_STATIC }, { "dynamic", AFTER_DYNAMIC } };

static const cyaml_schema_field_t stage_fields[] = {
	FORM_REQUIRED_TEXT("stage", struct policy_stage_form, stage),
	CYAML_FIELD_ENUM("after", CYAML_FLAG_STRICT, struct policy_stage_form, after, kinds,
			 ARRAY_LEN(kinds)),
	FORM_TEXTS("release", struct policy_stage_form, release, n_release, POLICY_SECRETS_MAX),
	FORM_TEXT("within", struct policy_stage_form, within),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t stage_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct policy_stage_form, stage_fields),
};

static const cyaml_strval_t initrds[] = { { "require", INITRD_REQUIRE }, { "any", INITRD_ANY } };

static const cyaml_schema_field_t policy_fields[] = {
	FORM_REQUIRED_TEXT("application", struct policy_form, application),
	FORM_TEXT("version", struct policy_form, version),
	CYAML_FIELD_MAPPING_PTR("platforms", CYAML_FLAG_DEFAULT, struct policy_form, platforms,
				platforms_fields),
	FORM_WORD("initrd", struct policy_form, initrd, initrds),
	FORM_PART("report_every", struct policy_form, report_every, report_every_fields),
	FORM_TEXTS("configurations", struct policy_form, configurations, n_configurations,
		   POLICY_DIGESTS_MAX),
	FORM_PART("static", struct policy_form, static_rules, static_fields),
	FORM_PARTS("updates", struct policy_form, updates, n_updates, &update_entry,
		   POLICY_UPDATES_MAX),
	FORM_PART("dynamic", struct policy_form, dynamic, dynamic_fields),
	FORM_PARTS("stages", struct policy_form, stages, n_stages, &stage_entry, POLICY_STAGES_MAX),
	CYAML_FIELD_END,
};

const struct cyaml_schema_value policy_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct policy_form, policy_fields),
};
