/* SPDX-License-Identifier: Apache-2.0 */
#include "trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"
#include "policies.h"

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)

static int describe(char **ret_error, const char *path, const char *why, int r)
{
	if (!*ret_error && asprintf(ret_error, "%s: %s", path, why) < 0)
		*ret_error = NULL;
	return r;
}

static void log_problems(const struct endorsement_store *s)
{
	const char *problem;

	for (size_t i = 0; (problem = endorsement_store_problem(s, i)); i++)
		log_warning("%s; continuing without", problem);
}

static int load_store(const char *directory, const char *name, struct trust *t, char **ret_error)
{
	CLEANUP(cleanup_mem) char *path = NULL;
	size_t before = endorsement_store_count(t->store);
	int r;

	if (!name)
		return 0;
	path = config_path(directory, name);
	if (!path)
		return -ENOMEM;
	if (!t->store) {
		r = endorsement_store_new(&t->store);
		if (r < 0)
			return r;
	}
	r = endorsement_store_read(t->store, path);
	if (r < 0)
		return describe(ret_error, path,
				r == -EMSGSIZE	? "more endorsements than are kept"
				: r == -EBADMSG ? "not a tar file"
						: strerror(-r),
				r);
	log_problems(t->store);
	log_info("%s: %zu endorsements", path, endorsement_store_count(t->store) - before);
	return 0;
}

/* A list, a TCB info: what roots sign, and not one. */
static bool may_be_root(enum endorsement_kind kind)
{
	return kind != ENDORSEMENT_CRL && kind != ENDORSEMENT_TCB_INFO &&
	       kind != ENDORSEMENT_QE_IDENTITY;
}

/* The certificate that a file is, or else the file itself, by its SHA-256. */
static int pin_of(struct view content, struct endorsements *given, struct x509_pin *ret)
{
	size_t before = endorsements_count(given);
	struct view root = content;
	const char *why;
	struct digest d;
	int r;

	r = endorsements_add(given, content, &why);
	if (r == 0 && (endorsements_count(given) != before + 1 ||
		       !may_be_root(endorsements_at(given, before)->kind)))
		return -EBADMSG;
	if (r == 0)
		root = endorsements_at(given, before)->bytes;
	if (r < 0 && r != -EBADMSG)
		return r;
	r = digest_of(HASH_SHA256, root, &d);
	if (r < 0)
		return r;
	memcpy(ret->sha256, d.bytes, sizeof(ret->sha256));
	ret->name = "a test root";
	return 0;
}

static int load_root(const char *directory, const char *name, struct trust *t, char **ret_error)
{
	CLEANUP(bytes_cleanup) struct bytes content = BYTES_INIT(0);
	CLEANUP(cleanup_mem) char *path = config_path(directory, name);
	char hex[2 * sizeof(t->roots->sha256) + 1];
	int r;

	if (!path)
		return -ENOMEM;
	r = policies_read_file(path, ENDORSEMENT_BYTES_MAX, &content, ret_error);
	if (r == 0)
		r = pin_of(bytes_view(&content), t->given, &t->roots[t->n_roots]);
	if (r < 0)
		return describe(ret_error, path, r == -EBADMSG ? "not one root" : strerror(-r), r);
	hex_encode(t->roots[t->n_roots].sha256, sizeof(t->roots->sha256), hex);
	log_warning(
		"TEST ROOT %s (SHA-256 %s): reports are accepted that no maker of chips vouches "
		"for",
		path, hex);
	t->n_roots++;
	return 0;
}

int trust_load(const struct verifier_config *config, const char *directory, struct trust *ret,
	       char **ret_error)
{
	struct trust t = { 0 };
	int r;

	*ret_error = NULL;
	r = load_store(directory, config->endorsements_directory, &t, ret_error);
	if (r == 0)
		r = load_store(directory, config->endorsements_bundle, &t, ret_error);
	if (r == 0 && config->n_test_roots > 0) {
		t.roots = calloc(config->n_test_roots, sizeof(*t.roots));
		r = t.roots ? endorsements_new(&t.given) : -ENOMEM;
	}
	for (size_t i = 0; r == 0 && i < config->n_test_roots; i++)
		r = load_root(directory, config->test_roots[i], &t, ret_error);
	if (r < 0) {
		trust_done(&t);
		return r;
	}
	*ret = t;
	return 0;
}

static void forget_next(struct trust *t)
{
	endorsement_store_free(t->next);
	t->next = NULL;
	bytes_done(&t->bundle);
}

void trust_done(struct trust *t)
{
	forget_next(t);
	endorsement_store_free(t->store);
	endorsements_free(t->given);
	free(t->roots);
	*t = (struct trust){ 0 };
}

static void next_fails(struct trust *t, int r)
{
	if (t->next_failed == 0)
		t->next_failed = r;
}

void trust_again_begin(struct trust *t)
{
	forget_next(t);
	t->bundle = BYTES_INIT(ENDORSEMENT_STORE_BYTES_MAX);
	t->next_failed = endorsement_store_new(&t->next);
}

void trust_again_file(struct trust *t, const char *name, struct view content)
{
	const char *why = "";
	int r;

	if (!t->next || t->next_failed < 0)
		return;
	r = endorsement_store_read_file(t->next, name, content, &why);
	if (r == -EBADMSG)
		log_warning("%s: %s; continuing without", name, why);
	else
		next_fails(t, r);
}

void trust_again_bundle(struct trust *t, struct view part)
{
	if (!t->next || t->next_failed < 0)
		return;
	if (part.len > 0) {
		next_fails(t, bytes_append_view(&t->bundle, part));
		return;
	}
	next_fails(t, endorsement_store_read_bundle(t->next, "bundle", bytes_view(&t->bundle)));
	bytes_reset(&t->bundle);
}

void trust_again_end(struct trust *t, bool complete)
{
	if (!t->next)
		return;
	if (complete && t->next_failed == 0) {
		log_problems(t->next);
		endorsement_store_free(t->store);
		t->store = t->next;
		t->next = NULL;
		log_notice("endorsements were read again: %zu", endorsement_store_count(t->store));
	} else if (complete) {
		log_error("endorsements could not be read again: %s; continuing with those read "
			  "before",
			  t->next_failed == -EMSGSIZE  ? "more than are kept"
			  : t->next_failed == -EBADMSG ? "not a tar file"
						       : strerror(-t->next_failed));
	}
	forget_next(t);
}

bool trust_is_for_tests(const struct trust *t)
{
	return t->n_roots > 0;
}

int trust_endorsements(const struct trust *t, const char *platform, const Assay__ChipReport *report,
		       int64_t now, struct endorsements **ret)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	int r;

	r = endorsements_new(&e);
	if (r == 0)
		r = endorsement_store_select(t->store, platform, report, now, e);
	/* Full: what was left out will be missed where it is needed, and the verdict says so. */
	if (r == 0 || r == -EMSGSIZE)
		r = t->given ? endorsements_add_all(e, t->given) : 0;
	if (r < 0 && r != -EMSGSIZE)
		return r;
	*ret = TAKE(e);
	return 0;
}
