/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "evidence_tdx.h"

/*
 * What judging a quote found out, for the next quote of the same platform. Only what a genuine
 * quote rested on is kept, so that nobody without such a platform can fill the cache.
 */

/* Of one key as OpenSSL has it, with what it looked up for it. */
#define KEY_SIZE 4096

static void free_pck(struct cached *c)
{
	struct tdx_known_pck *p = (struct tdx_known_pck *)c;

	p256_key_free(p->key);
	free(p);
}

static void free_collateral(struct cached *c)
{
	struct tdx_known_collateral *k = (struct tdx_known_collateral *)c;

	tdx_tcb_info_free(k->tcb_info);
	tdx_qe_identity_free(k->qe_identity);
	free(k);
}

static void free_qe(struct cached *c)
{
	struct tdx_known_qe *q = (struct tdx_known_qe *)c;

	p256_key_free(q->key);
	free(q);
}

static int find(struct tdx_check *c, struct tdx_known *k, const char *kind,
		const struct view *parts, size_t n)
{
	int r;

	if (!c->in->cache)
		return 0;
	r = cache_key_of(kind, parts, n, &k->key);
	if (r < 0)
		return r;
	k->c = appraisal_cache_get(c->in->cache, &k->key, c->in->now);
	k->found = k->c != NULL;
	return k->found;
}

static struct view key_view(const struct cache_key *key)
{
	return view_of(key->sha256, sizeof(key->sha256));
}

/* The chain's text up to the end of its first certificate: the rest is the CAs'. */
static size_t first_length(struct view chain)
{
	static const char end[] = "-----END CERTIFICATE-----";
	const uint8_t *at = memmem(chain.data, chain.len, end, strlen(end));

	return at ? (size_t)(at - chain.data) : 0;
}

/* The basis of collateral is that of the PCK certificate without that certificate. */
int tdx_known_find_pck(struct tdx_check *c)
{
	size_t first = first_length(c->q.chain), n_pins;
	const struct x509_pin *pins = tdx_pins(c->in, &n_pins);
	struct cache_key given = { 0 };
	const struct view basis[] = {
		view_of(given.sha256, sizeof(given.sha256)),
		view_of(c->q.chain.data + first, c->q.chain.len - first),
	};
	const struct view parts[] = { key_view(&c->basis), view_of(c->q.chain.data, first) };
	int r;

	if (!c->in->cache)
		return 0;
	r = evidence_basis(c->in, pins, n_pins, &given);
	if (r == 0)
		r = cache_key_of("tdx", basis, ARRAY_LEN(basis), &c->basis);
	if (r < 0)
		return r;
	return find(c, &c->known_pck, "tdx pck", parts, ARRAY_LEN(parts));
}

int tdx_known_find_collateral(struct tdx_check *c)
{
	const struct view parts[] = {
		key_view(&c->basis),
		view_of(c->pck.fmspc, sizeof(c->pck.fmspc)),
		view_of(c->pck.pceid, sizeof(c->pck.pceid)),
	};
	struct tdx_known_collateral *k;
	int r;

	r = find(c, &c->known_collateral, "tdx collateral", parts, ARRAY_LEN(parts));
	if (r <= 0)
		return r;
	k = (struct tdx_known_collateral *)c->known_collateral.c;
	c->tcb_info = k->tcb_info;
	c->qe_identity = k->qe_identity;
	return 1;
}

int tdx_known_find_qe(struct tdx_check *c)
{
	const struct view parts[] = { key_view(&c->known_pck.key), c->q.qe.whole, c->q.qe_signature,
				      c->q.qe_auth, c->q.key };

	return find(c, &c->known_qe, "tdx qe", parts, ARRAY_LEN(parts));
}

int tdx_known_make_pck(struct tdx_check *c)
{
	struct tdx_known_pck *p;
	int r;

	if (c->known_pck.c)
		return 0;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	cached_init(&p->base, free_pck, sizeof(*p) + KEY_SIZE);
	p->base.span = c->span;
	r = p256_key_of(X509_get0_pubkey(sk_X509_value(c->chain, 0)), &p->key);
	if (r < 0 && r != -EBADMSG) {
		cached_unref(&p->base);
		return r;
	}
	c->known_pck.c = &p->base;
	return 0;
}

int tdx_known_make_collateral(struct tdx_check *c)
{
	struct tdx_known_collateral *k;

	if (c->known_collateral.c)
		return 0;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	cached_init(&k->base, free_collateral, sizeof(*k));
	k->base.span = c->span;
	c->known_collateral.c = &k->base;
	return 0;
}

int tdx_known_make_qe(struct tdx_check *c)
{
	struct tdx_known_qe *q;
	int r;

	if (c->known_qe.c)
		return 0;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	cached_init(&q->base, free_qe, sizeof(*q) + KEY_SIZE);
	r = p256_key_of_point(c->q.key, &q->key);
	if (r < 0) {
		cached_unref(&q->base);
		return r;
	}
	c->known_qe.c = &q->base;
	c->known_qe.worth_keeping = c->qe_signed && c->qe_bound;
	return 0;
}

void tdx_known_keep(struct tdx_check *c)
{
	struct tdx_known *all[] = { &c->known_pck, &c->known_collateral, &c->known_qe };

	/* It was the PCK that signed the QE's report: one is known no longer than the other. */
	if (c->known_qe.worth_keeping && c->known_pck.c)
		c->known_qe.c->span = c->known_pck.c->span;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (all[i]->worth_keeping)
			appraisal_cache_put(c->in->cache, &all[i]->key, all[i]->c);
	}
}
