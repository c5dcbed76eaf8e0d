/* SPDX-License-Identifier: Apache-2.0 */
#include "config_form.h"

#include "log.h"

static const cyaml_schema_field_t verifier_fields[] = {
	FORM_TEXT("address", struct form_verifier, address),
	FORM_TEXT("listen", struct form_verifier, listen),
	FORM_TEXT("name", struct form_verifier, name),
	FORM_REQUIRED_TEXT("ca", struct form_verifier, ca),
	CYAML_FIELD_END,
};

static const cyaml_strval_t banks[] = {
	{ "sha1", HASH_SHA1 },
	{ "sha256", HASH_SHA256 },
	{ "sha384", HASH_SHA384 },
	{ "sha512", HASH_SHA512 },
};

static const cyaml_schema_field_t tpm_fields[] = {
	FORM_TEXT("tcti", struct form_tpm, tcti),
	FORM_WORD("bank", struct form_tpm, bank, banks),
	FORM_TEXTS("pcrs", struct form_tpm, pcrs, n_pcrs, 24),
	FORM_TEXT("runtime_pcr", struct form_tpm, runtime_pcr),
	FORM_TEXT("event_log", struct form_tpm, event_log),
	FORM_TEXT("ima_log", struct form_tpm, ima_log),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t tee_fields[] = {
	FORM_TEXT("timeout", struct form_tee, timeout),
	FORM_TEXT("event_log", struct form_tee, event_log),
	FORM_TEXTS("endorsements", struct form_tee, endorsements, n_endorsements,
		   ATTESTER_ENDORSEMENTS_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t soft_fields[] = {
	FORM_REQUIRED_TEXT("key", struct form_soft, key),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t measure_fields[] = {
	FORM_WORD("static", struct form_measure, static_, form_bools),
	FORM_WORD("dynamic", struct form_measure, dynamic, form_bools),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t log_fields[] = {
	FORM_REQUIRED_TEXT("file", struct form_log, file),
	FORM_REQUIRED_TEXT("match", struct form_log, match),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t log_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct form_log, log_fields),
};

static const cyaml_schema_field_t environment_fields[] = {
	FORM_TEXTS("record", struct form_environment, record, n_record, CONFIG_LIST_MAX),
	FORM_WORD("hash_only", struct form_environment, hash_only, form_bools),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t node_fields[] = {
	FORM_TEXT("at", struct form_node, at),
	FORM_TEXT("every", struct form_node, every),
	FORM_TEXT("jitter", struct form_node, jitter),
	FORM_TEXT("daily", struct form_node, daily),
	FORM_TEXT("time", struct form_node, time),
	FORM_TEXT("on", struct form_node, on),
	FORM_TEXTS("of", struct form_node, of, n_of, 32),
	FORM_TEXT("report", struct form_node, report),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t node_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct form_node, node_fields),
};

static const cyaml_strval_t measurements[] = { { "hash", FORM_M_HASH }, { "raw", FORM_M_RAW } };

static const cyaml_strval_t refusals[] = {
	{ "withhold", REFUSAL_WITHHOLD + 1 },
	{ "freeze", REFUSAL_FREEZE + 1 },
	{ "stop", REFUSAL_STOP + 1 },
	{ "kill", REFUSAL_KILL + 1 },
};

static const cyaml_schema_field_t disk_fields[] = {
	FORM_TEXT("luks", struct form_disk, luks),
	FORM_TEXT("verity", struct form_disk, verity),
	FORM_REQUIRED_TEXT("name", struct form_disk, name),
	FORM_TEXT("hash", struct form_disk, hash),
	FORM_TEXT("root_hash", struct form_disk, root_hash),
	CYAML_FIELD_END,
};

/* An argument may be empty. */
static const cyaml_schema_value_t argument_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, YAMLDOC_SCALAR_MAX),
};

static const cyaml_schema_field_t application_fields[] = {
	FORM_REQUIRED_TEXT("name", struct form_application, name),
	CYAML_FIELD_SEQUENCE_COUNT("exec", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				   struct form_application, exec, n_exec, &argument_entry, 1,
				   CONFIG_LIST_MAX),
	FORM_NODE("image"),
	FORM_TEXT("unit", struct form_application, unit),
	FORM_PART("disk", struct form_application, disk, disk_fields),
	FORM_TEXT("directory", struct form_application, directory),
	FORM_TEXT("user", struct form_application, user),
	FORM_TEXT("group", struct form_application, group),
	FORM_NODE("set_environment"),
	FORM_PART("measure", struct form_application, measure, measure_fields),
	FORM_WORD("measurement", struct form_application, measurement, measurements),
	FORM_TEXTS("files", struct form_application, files, n_files, CONFIG_LIST_MAX),
	FORM_PARTS("logs", struct form_application, logs, n_logs, &log_entry, CONFIG_LIST_MAX),
	FORM_PART("environment", struct form_application, environment, environment_fields),
	FORM_TEXTS("storage", struct form_application, storage, n_storage, CONFIG_LIST_MAX),
	FORM_PARTS("time_nodes", struct form_application, time_nodes, n_time_nodes, &node_entry,
		   CONFIG_NODES),
	FORM_TEXT("stages", struct form_application, stages),
	FORM_NODE("deliver"),
	FORM_WORD("on_refusal", struct form_application, on_refusal, refusals),
	FORM_WORD("restart", struct form_application, restart, form_bools),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t application_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct form_application, application_fields),
};

static const cyaml_strval_t channels[] = { { "same", FORM_MI_SAME },
					   { "separate", FORM_MI_SEPARATE } };

static const cyaml_strval_t levels[] = {
	{ "error", LOG_LEVEL_ERROR },	{ "warning", LOG_LEVEL_WARNING },
	{ "notice", LOG_LEVEL_NOTICE }, { "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
};

static const cyaml_strval_t hooks[] = {
	{ "default", FORM_HOOKS_DEFAULT },
	{ "full", FORM_HOOKS_FULL },
};

static const cyaml_strval_t protections[] = {
	{ "self", PROTECT_SELF },
	{ "files", PROTECT_FILES },
	{ "chip", PROTECT_CHIP },
};

static const cyaml_schema_value_t protect_entry = {
	CYAML_VALUE_ENUM(CYAML_FLAG_STRICT, uint32_t, protections, ARRAY_LEN(protections)),
};

static const cyaml_schema_field_t network_fields[] = {
	FORM_REQUIRED_TEXT("interface", struct form_network, interface),
	FORM_REQUIRED_TEXT("address", struct form_network, address),
	FORM_TEXT("gateway", struct form_network, gateway),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t root_fields[] = {
	FORM_REQUIRED_TEXT("device", struct form_root, device),
	FORM_REQUIRED_TEXT("type", struct form_root, type),
	FORM_WORD("writable", struct form_root, writable, form_bools),
	FORM_TEXT("init", struct form_root, init),
	CYAML_FIELD_END,
};

static const cyaml_strval_t failures[] = {
	{ "poweroff", FAILURE_POWEROFF + 1 },
	{ "reboot", FAILURE_REBOOT + 1 },
	{ "shell", FAILURE_SHELL + 1 },
};

static const cyaml_schema_field_t initrd_fields[] = {
	FORM_TEXTS("modules", struct form_initrd, modules, n_modules, CONFIG_LIST_MAX),
	FORM_TEXT("modules_file", struct form_initrd, modules_file),
	FORM_PART("network", struct form_initrd, network, network_fields),
	FORM_TEXT("wait", struct form_initrd, wait),
	FORM_TEXT("timeout", struct form_initrd, timeout),
	FORM_TEXT("attempts", struct form_initrd, attempts),
	FORM_PART("root", struct form_initrd, root, root_fields),
	FORM_WORD("on_failure", struct form_initrd, on_failure, failures),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t top_fields[] = {
	CYAML_FIELD_MAPPING_PTR("verifier", CYAML_FLAG_DEFAULT, struct form, verifier,
				verifier_fields),
	FORM_WORD("mi_channel", struct form, mi_channel, channels),
	FORM_WORD("hooks", struct form, hooks, hooks),
	CYAML_FIELD_SEQUENCE_COUNT("protect", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct form,
				   protect, n_protect, &protect_entry, 1, ARRAY_LEN(protections)),
	FORM_WORD("protect_required", struct form, protect_required, form_bools),
	FORM_TEXT("attester", struct form, attester),
	FORM_PART("tpm", struct form, tpm, tpm_fields),
	FORM_PART("tee", struct form, tee, tee_fields),
	FORM_PART("soft", struct form, soft, soft_fields),
	FORM_TEXT("socket", struct form, socket),
	FORM_TEXT("credential_socket", struct form, credential_socket),
	FORM_TEXT("runtime_directory", struct form, runtime_directory),
	FORM_TEXT("state_directory", struct form, state_directory),
	FORM_TEXT("cgroup", struct form, cgroup),
	FORM_TEXT("net_user", struct form, net_user),
	FORM_PART("initrd", struct form, initrd, initrd_fields),
	FORM_TEXT("queue", struct form, queue),
	FORM_WORD("log_level", struct form, log_level, levels),
	CYAML_FIELD_SEQUENCE_COUNT("applications", CYAML_FLAG_POINTER, struct form, applications,
				   n_applications, &application_entry, 1, CONFIG_APPLICATIONS),
	CYAML_FIELD_END,
};

const struct cyaml_schema_value config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct form, top_fields),
};
