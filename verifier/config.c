/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "claims.h"
#include "cleanup.h"
#include "log.h"
#include "quantity.h"
#include "yamldoc_form.h"

#define MEMORY_MAX (16 * 1024 * 1024)

#define DEFAULT_LISTEN	    "0.0.0.0:7443"
#define DEFAULT_USER	    "_assay-verifier"
#define DEFAULT_CONTROL	    "/run/assay-verifierd/control.sock"
#define DEFAULT_STORE	    "/var/lib/assay-verifierd/assay.db"
#define DEFAULT_NONCE_VALID (UINT64_C(60) * 1000000000)
#define DEFAULT_SESSIONS    256
#define DEFAULT_RESULTS	    (UINT64_C(600) * 1000000000)
#define RESULTS_VALID_MAX   (UINT64_C(86400) * 1000000000)
#define NONCE_VALID_MAX	    (UINT64_C(3600) * 1000000000)
#define SESSIONS_MAX	    65536

/* The configuration as it is written; libcyaml fills it in. */
struct form_sessions {
	char *max;
};

struct form_endorsements {
	char *directory, *bundle;
};

struct form_results {
	char *listen, *key, **public_keys;
	uint32_t n_public_keys;
	char *valid;
};

struct form {
	char *listen, **dial;
	uint32_t n_dial;
	char *certificate, *key, *store;
	struct verifier_secret *secrets;
	uint32_t n_secrets;
	char *secrets_directory, **policies;
	uint32_t n_policies;
	struct form_endorsements *endorsements;
	char **test_roots;
	uint32_t n_test_roots;
	enum form_bool allow_test_roots;
	char *user, *control_socket, *nonce_valid;
	struct form_sessions *sessions;
	struct form_results *results;
	int32_t log_level; /* 0: not given */
};

static const cyaml_schema_field_t secret_fields[] = {
	FORM_REQUIRED_TEXT("name", struct verifier_secret, name),
	FORM_REQUIRED_TEXT("file", struct verifier_secret, file),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t secret_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct verifier_secret, secret_fields),
};

static const cyaml_schema_field_t sessions_fields[] = {
	FORM_REQUIRED_TEXT("max", struct form_sessions, max),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t endorsements_fields[] = {
	FORM_TEXT("directory", struct form_endorsements, directory),
	FORM_TEXT("bundle", struct form_endorsements, bundle),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t results_fields[] = {
	FORM_TEXT("listen", struct form_results, listen),
	FORM_REQUIRED_TEXT("key", struct form_results, key),
	FORM_TEXTS("public_keys", struct form_results, public_keys, n_public_keys,
		   VERIFIER_RESULTS_KEYS_MAX),
	FORM_TEXT("valid", struct form_results, valid),
	CYAML_FIELD_END,
};

static const cyaml_strval_t levels[] = {
	{ "error", LOG_LEVEL_ERROR },	{ "warning", LOG_LEVEL_WARNING },
	{ "notice", LOG_LEVEL_NOTICE }, { "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
};

static const cyaml_schema_field_t top_fields[] = {
	FORM_TEXT("listen", struct form, listen),
	FORM_TEXTS("dial", struct form, dial, n_dial, VERIFIER_DIAL_MAX),
	FORM_REQUIRED_TEXT("certificate", struct form, certificate),
	FORM_REQUIRED_TEXT("key", struct form, key),
	FORM_TEXT("store", struct form, store),
	FORM_PARTS("secrets", struct form, secrets, n_secrets, &secret_entry, VERIFIER_SECRETS_MAX),
	FORM_TEXT("secrets_directory", struct form, secrets_directory),
	CYAML_FIELD_SEQUENCE_COUNT("policies", CYAML_FLAG_POINTER, struct form, policies,
				   n_policies, &form_text_entry, 1, VERIFIER_POLICIES_MAX),
	FORM_PART("endorsements", struct form, endorsements, endorsements_fields),
	FORM_TEXTS("test_roots", struct form, test_roots, n_test_roots, VERIFIER_ROOTS_MAX),
	FORM_WORD("allow_test_roots", struct form, allow_test_roots, form_bools),
	FORM_TEXT("user", struct form, user),
	FORM_TEXT("control_socket", struct form, control_socket),
	FORM_TEXT("nonce_valid", struct form, nonce_valid),
	FORM_PART("sessions", struct form, sessions, sessions_fields),
	FORM_PART("results", struct form, results, results_fields),
	FORM_WORD("log_level", struct form, log_level, levels),
	CYAML_FIELD_END,
};

static const struct cyaml_schema_value schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct form, top_fields),
};

/* All that the configuration points to is in the arena. */
struct loaded {
	struct verifier_config config; /* first: a caller's pointer casts back */
	struct arena *arena;
};

static void loaded_free(struct loaded *l)
{
	if (!l)
		return;
	arena_free(l->arena);
	free(l);
}

CLEANUP_FUNCTION(struct loaded *, loaded_free)
CLEANUP_FUNCTION(struct yamldoc *, yamldoc_free)

void verifier_config_free(struct verifier_config *c)
{
	loaded_free((struct loaded *)c);
}

struct reading {
	struct yamldoc *d;
	struct arena *arena;
	bool out_of_memory;
};

static char *copy_text(struct reading *x, const char *text)
{
	char *copy = text ? arena_text(x->arena, text) : NULL;

	if (text && !copy)
		x->out_of_memory = true;
	return copy;
}

static void *room_for(struct reading *x, size_t n, size_t size)
{
	void *p = arena_alloc(x->arena, (n + 1) * size);

	if (!p)
		x->out_of_memory = true;
	return p;
}

static char **copy_texts(struct reading *x, char *const *texts, size_t n)
{
	char **copies = room_for(x, n, sizeof(*copies));

	for (size_t i = 0; copies && i < n; i++)
		copies[i] = copy_text(x, texts[i]);
	return copies;
}

static void check_address(struct reading *x, const char *path, const char *text)
{
	const char *port = text ? strrchr(text, ':') : NULL;
	char found[YAMLDOC_FOUND_MAX];
	size_t len = port ? (size_t)(port - text) : 0;
	bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
	uint64_t n;

	if (!text)
		return;
	if (len == 0 || (!bracketed && memchr(text, ':', len)) ||
	    quantity_count(port + 1, &n) < 0 || n < 1 || n > UINT16_MAX)
		yamldoc_problem(x->d, path, "expected HOST:PORT, found %s",
				yamldoc_quoted(text, found));
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct verifier_secret *const *)a)->name,
		      (*(const struct verifier_secret *const *)b)->name);
}

static void check_names(struct reading *x, const struct form *f)
{
	const struct verifier_secret **sorted = room_for(x, f->n_secrets, sizeof(*sorted));
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];

	for (size_t i = 0; sorted && i < f->n_secrets; i++) {
		sorted[i] = &f->secrets[i];
		snprintf(path, sizeof(path), "secrets[%zu].name", i);
		if (!application_name_valid(f->secrets[i].name))
			yamldoc_problem(x->d, path,
					"expected 1 to %d letters, digits, '.', '_', '-', found %s",
					APPLICATION_NAME_MAX,
					yamldoc_quoted(f->secrets[i].name, found));
	}
	if (!sorted)
		return;
	qsort(sorted, f->n_secrets, sizeof(*sorted), by_name);
	for (size_t i = 1; i < f->n_secrets; i++) {
		const struct verifier_secret *later =
			sorted[i] > sorted[i - 1] ? sorted[i] : sorted[i - 1];

		if (by_name(&sorted[i - 1], &sorted[i]) != 0)
			continue;
		snprintf(path, sizeof(path), "secrets[%zu].name", (size_t)(later - f->secrets));
		yamldoc_problem(x->d, path, "expected another name, found %s again",
				yamldoc_quoted(later->name, found));
	}
}

static void read_secrets(struct reading *x, const struct form *f, struct verifier_config *c)
{
	check_names(x, f);
	c->n_secrets = f->n_secrets;
	c->secrets = room_for(x, f->n_secrets, sizeof(*c->secrets));
	for (size_t i = 0; c->secrets && i < f->n_secrets; i++) {
		c->secrets[i].name = copy_text(x, f->secrets[i].name);
		c->secrets[i].file = copy_text(x, f->secrets[i].file);
	}
	c->secrets_directory = copy_text(x, f->secrets_directory);
}

/* Whoever has a test root's key makes reports of any chip: it takes saying so twice. */
static void read_trust(struct reading *x, const struct form *f, struct verifier_config *c)
{
	if (f->endorsements) {
		c->endorsements_directory = copy_text(x, f->endorsements->directory);
		c->endorsements_bundle = copy_text(x, f->endorsements->bundle);
	}
	if (f->n_test_roots > 0 && f->allow_test_roots != FORM_TRUE)
		yamldoc_problem(x->d, "test_roots",
				"expected allow_test_roots: true beside it, found none: with them "
				"reports prove nothing");
	c->test_roots = copy_texts(x, f->test_roots, f->n_test_roots);
	c->n_test_roots = f->n_test_roots;
}

static void read_limits(struct reading *x, const struct form *f, struct verifier_config *c)
{
	char found[YAMLDOC_FOUND_MAX];
	uint64_t n = DEFAULT_SESSIONS;

	c->nonce_valid_ns = DEFAULT_NONCE_VALID;
	if (f->nonce_valid && (quantity_duration(f->nonce_valid, &c->nonce_valid_ns) < 0 ||
			       c->nonce_valid_ns > NONCE_VALID_MAX))
		yamldoc_problem(x->d, "nonce_valid",
				"expected " QUANTITY_DURATION ", at most an hour, found %s",
				yamldoc_quoted(f->nonce_valid, found));
	if (f->sessions && (quantity_count(f->sessions->max, &n) < 0 || n < 1 || n > SESSIONS_MAX))
		yamldoc_problem(x->d, "sessions.max",
				"expected a whole number from 1 to %d, found %s", SESSIONS_MAX,
				yamldoc_quoted(f->sessions->max, found));
	c->sessions_max = (uint32_t)n;
	c->log_level = f->log_level ? f->log_level : LOG_LEVEL_INFO;
}

static void read_results(struct reading *x, const struct form_results *f,
			 struct verifier_config *c)
{
	char found[YAMLDOC_FOUND_MAX];
	uint64_t valid = DEFAULT_RESULTS;

	if (!f)
		return;
	check_address(x, "results.listen", f->listen);
	if (f->listen && f->n_public_keys == 0)
		yamldoc_problem(x->d, "results.public_keys",
				"expected the keys that are to be served at results.listen");
	if (f->valid && (quantity_duration(f->valid, &valid) < 0 || valid > RESULTS_VALID_MAX ||
			 valid < UINT64_C(1000000000)))
		yamldoc_problem(x->d, "results.valid",
				"expected " QUANTITY_DURATION ", from a second to a day, found %s",
				yamldoc_quoted(f->valid, found));
	c->results_listen = copy_text(x, f->listen);
	c->results_key = copy_text(x, f->key);
	c->results_public = copy_texts(x, f->public_keys, f->n_public_keys);
	c->n_results_public = f->n_public_keys;
	c->results_valid_seconds = (int64_t)(valid / 1000000000);
}

static void read_form(struct reading *x, const struct form *f, struct verifier_config *c)
{
	const char *listen = f->listen ? f->listen : f->n_dial > 0 ? NULL : DEFAULT_LISTEN;
	char path[YAMLDOC_PATH_MAX];

	check_address(x, "listen", listen);
	for (size_t i = 0; i < f->n_dial; i++) {
		snprintf(path, sizeof(path), "dial[%zu]", i);
		check_address(x, path, f->dial[i]);
	}
	c->listen = copy_text(x, listen);
	c->dial = copy_texts(x, f->dial, f->n_dial);
	c->n_dial = f->n_dial;
	c->certificate = copy_text(x, f->certificate);
	c->key = copy_text(x, f->key);
	c->store = copy_text(x, f->store ? f->store : DEFAULT_STORE);
	c->policies = copy_texts(x, f->policies, f->n_policies);
	c->n_policies = f->n_policies;
	c->user = copy_text(x, f->user ? f->user : DEFAULT_USER);
	c->control_socket = copy_text(x, f->control_socket ? f->control_socket : DEFAULT_CONTROL);
	read_secrets(x, f, c);
	read_trust(x, f, c);
	read_limits(x, f, c);
	read_results(x, f->results, c);
}

static int parse(struct yamldoc *d, struct loaded *l)
{
	struct reading x = { .d = d, .arena = l->arena };
	struct form *form = NULL;
	int r;

	r = yamldoc_load(d, &schema, &form);
	if (r < 0)
		return r;
	read_form(&x, form, &l->config);
	yamldoc_unload(&schema, form);
	if (x.out_of_memory)
		return -ENOMEM;
	return yamldoc_verdict(d);
}

int verifier_config_parse(struct view text, const char *file, struct verifier_config **ret,
			  char **ret_error)
{
	CLEANUP(yamldoc_freep) struct yamldoc *d = NULL;
	CLEANUP(loaded_freep) struct loaded *l = NULL;
	char *problems;
	int r;

	r = yamldoc_open(text, VERIFIER_CONFIG_MAX, file, &d);
	if (r < 0)
		return r;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	r = arena_new(MEMORY_MAX, &l->arena);
	if (r == 0)
		r = parse(d, l);
	if (r == 0) {
		*ret = &TAKE(l)->config;
		return 0;
	}
	if (r != -EINVAL)
		return r;
	problems = yamldoc_take_problems(d);
	if (!problems)
		return -ENOMEM;
	*ret_error = problems;
	return -EINVAL;
}

char *config_path(const char *directory, const char *name)
{
	char *path;

	if (name[0] == '/')
		return strdup(name);
	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return NULL;
	return path;
}
