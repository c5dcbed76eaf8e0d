/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_CONFIG_FORM_H
#define ASSAY_DAEMON_CONFIG_FORM_H

#include "arena.h"
#include "config.h"
#include "yamldoc_form.h"

/* The configuration as it is written, one structure a mapping; libcyaml fills it in. */

#define CONFIG_LIST_MAX	  4096
#define CONFIG_MEMORY_MAX (32 * 1024 * 1024)

struct form_verifier {
	char *address, *listen, *name, *ca;
};

struct form_tpm {
	char *tcti;
	enum hash_alg bank; /* 0: not given */
	char **pcrs;
	uint32_t n_pcrs;
	char *runtime_pcr, *event_log, *ima_log;
};

struct form_tee {
	char *timeout, *event_log;
	char **endorsements;
	uint32_t n_endorsements;
};

struct form_soft {
	char *key;
};

struct form_measure {
	enum form_bool static_, dynamic;
};

struct form_log {
	char *file, *match;
};

struct form_environment {
	char **record;
	uint32_t n_record;
	enum form_bool hash_only;
};

struct form_node {
	char *at, *every, *jitter, *daily, *time, *on, *report;
	char **of;
	uint32_t n_of;
};

struct form_disk {
	char *luks, *verity, *name, *hash, *root_hash;
};

struct form_network {
	char *interface, *address, *gateway;
};

struct form_root {
	char *device, *type, *init;
	enum form_bool writable;
};

struct form_initrd {
	char **modules;
	uint32_t n_modules;
	char *modules_file;
	struct form_network *network;
	char *wait, *timeout, *attempts;
	struct form_root *root;
	uint32_t on_failure; /* enum config_failure and one; 0: not given */
};

struct form_application {
	char *name;
	char **exec;
	uint32_t n_exec;
	char *unit;
	struct form_disk *disk;
	char *directory, *user, *group;
	struct form_measure *measure;
	enum { FORM_M_UNSET, FORM_M_HASH, FORM_M_RAW } measurement;
	char **files, **storage;
	uint32_t n_files, n_storage;
	struct form_log *logs;
	uint32_t n_logs;
	struct form_environment *environment;
	struct form_node *time_nodes;
	uint32_t n_time_nodes;
	char *stages;
	uint32_t on_refusal; /* enum config_refusal and one; 0: not given */
	enum form_bool restart;
};

struct form {
	struct form_verifier *verifier;
	enum { FORM_MI_UNSET, FORM_MI_SAME, FORM_MI_SEPARATE } mi_channel;
	enum { FORM_HOOKS_UNSET, FORM_HOOKS_DEFAULT, FORM_HOOKS_FULL } hooks;
	uint32_t *protect; /* enum config_protect */
	uint32_t n_protect;
	enum form_bool protect_required;
	char *attester;
	struct form_tpm *tpm;
	struct form_tee *tee;
	struct form_soft *soft;
	char *socket, *credential_socket, *runtime_directory, *state_directory, *cgroup;
	char *net_user, *queue;
	struct form_initrd *initrd;
	int32_t log_level; /* 0: not given */
	struct form_application *applications;
	uint32_t n_applications;
};

extern const struct cyaml_schema_value config_schema;

/* What reading one text needs. */
struct config_reading {
	struct yamldoc *d;
	struct arena *arena;
	bool out_of_memory;
};

/* n zeroed elements and one more; NULL notes that memory is out. */
void *config_room(struct config_reading *x, size_t n, size_t size);

/* A copy of a text; NULL for NULL, and where memory is out, which is noted. */
char *config_text(struct config_reading *x, const char *text);

/* Copies of texts, NULL-terminated. */
char **config_texts(struct config_reading *x, char *const *texts, size_t n);

/* Notes a problem unless the text is NULL or an absolute path. */
void config_check_path(struct config_reading *x, const char *path, const char *text);
void config_check_paths(struct config_reading *x, const char *path, char *const *texts, size_t n);

/* A whole number from min to max in place of *ret, unless text is NULL. */
void config_number(struct config_reading *x, const char *path, const char *text, uint32_t min,
		   uint32_t max, uint32_t *ret);

/* Problems go to x->d, out of memory to x. */
void config_read_application(struct config_reading *x, const struct form_application *f, size_t i,
			     struct config_application *a);
void config_read_initrd(struct config_reading *x, const struct form_initrd *f, struct config *c);
/* unit: and disk: in place of exec. */
void config_read_unit(struct config_reading *x, const struct form_application *f, size_t i,
		      struct config_application *a);
void config_read_disk(struct config_reading *x, const struct form_application *f, size_t i,
		      struct config_application *a);
void config_read_nodes(struct config_reading *x, const struct form_application *f, size_t i,
		       struct config_application *a);

#endif
