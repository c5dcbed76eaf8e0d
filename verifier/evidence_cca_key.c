/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <openssl/x509.h>

#include "cca_anchor.h"
#include "cleanup.h"
#include "evidence_cca.h"

/*
 * Whose key made the platform token. Nothing signs a platform's key (CPAK): it is believed
 * because of where it came from, so that one which came with the token never counts, and in a
 * session only one that the policy names (or the root of a test).
 */

#define RULE	 "evidence.platform_signature"
#define KEYS_MAX 64 /* that are tried: each costs a verification */

CLEANUP_FUNCTION(EVP_PKEY *, EVP_PKEY_free)
CLEANUP_FUNCTION(struct cca_anchors *, cca_anchors_free)

/* What was found while keys were tried. */
struct search {
	struct cca_check *c;
	size_t tried, not_believed;
	bool anchored; /* a trust anchor names this very instance: then no other key is */
	bool found;
};

static bool is_root(const struct evidence_input *in, const struct digest *d)
{
	for (size_t i = 0; i < in->n_roots; i++) {
		if (memcmp(in->roots[i].sha256, d->bytes, d->size) == 0)
			return true;
	}
	return false;
}

static bool is_named(const struct policy_values *v, const struct digest *d)
{
	for (size_t i = 0; i < v->n; i++) {
		if (memcmp(v->bytes + i * v->size, d->bytes, d->size) == 0)
			return true;
	}
	return false;
}

static bool is_believed(const struct cca_check *c, const struct digest *d)
{
	const struct policy_values *named = &c->rules->cpak;

	if (c->in->roots && !is_root(c->in, d))
		return false;
	if (named->n > 0)
		return is_named(named, d);
	/* On its own: the caller answers for the endorsements that it hands in. */
	return c->in->roots || c->in->alone;
}

static int try_key(struct search *s, EVP_PKEY *key)
{
	struct digest d;
	int r;

	if (s->found || s->tried == KEYS_MAX)
		return 0;
	r = cca_key_digest(key, &d);
	if (r < 0)
		return r;
	if (!is_believed(s->c, &d)) {
		s->not_believed++;
		return 0;
	}
	s->tried++;
	r = cose_sign1_verify(&s->c->token.platform_message, key);
	if (r < 0)
		return r;
	s->found = r == 1;
	return 0;
}

static int try_anchors(struct search *s, struct view json)
{
	CLEANUP(cca_anchors_freep) struct cca_anchors *all = NULL;
	const struct cca_platform *p = &s->c->token.platform;
	const struct cca_anchor *a;
	const char *why;
	int r;

	/* It was read when it was added: -EBADMSG cannot be. */
	r = cca_anchors_read(json, &all, &why);
	for (size_t i = 0; r == 0 && (a = cca_anchors_at(all, i)); i++) {
		if (memcmp(a->instance_id, p->instance_id.data, sizeof(a->instance_id)) != 0)
			continue;
		s->anchored = true;
		if (a->has_implementation_id &&
		    memcmp(a->implementation_id, p->implementation_id.data,
			   sizeof(a->implementation_id)) != 0)
			continue;
		r = try_key(s, a->key);
	}
	return r;
}

static int try_public_key(struct search *s, struct view der)
{
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	const unsigned char *at = der.data;

	key = d2i_PUBKEY(NULL, &at, (long)der.len);
	return key ? try_key(s, key) : -ENOMEM;
}

static int try_all(struct search *s, enum endorsement_kind kind,
		   int (*try)(struct search *s, struct view bytes))
{
	const struct endorsement *e = NULL;
	int r = 0;

	while (r == 0 && (e = endorsements_next(s->c->in->endorsements, kind, e)))
		r = try(s, e->bytes);
	return r;
}

static void refuse(const struct search *s)
{
	char hex[2 * CCA_INSTANCE_SIZE + 1], expected[CCA_TEXT_MAX];
	struct view id = s->c->token.platform.instance_id;

	hex_encode(id.data, id.len, hex);
	snprintf(expected, sizeof(expected), "a key (CPAK) of the platform %s that signed", hex);
	if (s->tried > 0)
		appraisal_refuse(s->c->a, RULE, expected, "none of %zu key(s) made the signature",
				 s->tried);
	else if (s->not_believed > 0)
		appraisal_refuse(s->c->a, RULE, expected,
				 "%zu key(s) that the policy (platforms.cca.cpak) does not name",
				 s->not_believed);
	else if (s->anchored)
		appraisal_refuse(s->c->a, RULE, expected,
				 "a trust anchor of this instance and another implementation id");
	else
		appraisal_refuse(s->c->a, RULE, expected, "no key among the endorsements");
}

int cca_check_platform_key(struct cca_check *c)
{
	struct search s = { .c = c };
	int r;

	r = try_all(&s, ENDORSEMENT_CCA_ANCHORS, try_anchors);
	if (r == 0 && !s.anchored)
		r = try_all(&s, ENDORSEMENT_PUBLIC_KEY, try_public_key);
	if (r < 0)
		return r;
	if (s.found)
		appraisal_pass(c->a);
	else
		refuse(&s);
	return s.found;
}
