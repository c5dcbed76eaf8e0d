/* SPDX-License-Identifier: Apache-2.0 */
#include "csv_chain.h"

#include <stdio.h>
#include <string.h>

#include "digest.h"

#define RULE	  "evidence.chain"
#define TRIES_MAX 64 /* certificates of one kind whose signature is tried */

const struct x509_pin csv_root = {
	.name = "HRK",
	.sha256 = { 0x29, 0x6e, 0xfa, 0x97, 0x58, 0x04, 0x64, 0xac, 0xa0, 0xab, 0x5e,
		    0xef, 0xe4, 0x21, 0x99, 0xee, 0x05, 0x86, 0x21, 0x82, 0x50, 0x8d,
		    0x16, 0x29, 0xf2, 0x9c, 0xf4, 0xdc, 0x17, 0x5b, 0x10, 0xcd },
};

/*
 * The next of that usage before *at among those given; *at begins at their number. What came with
 * the report stands last: it is tried before others of its kind.
 */
static bool next_of(const struct csv_chain *c, enum csv_usage usage, size_t *at,
		    struct csv_certificate *ret)
{
	const struct endorsement *e;
	const char *why;

	while (*at > 0) {
		e = endorsements_at(c->given, --*at);
		if (e->kind == ENDORSEMENT_CSV_CERTIFICATE &&
		    csv_certificate_parse(e->bytes, ret, &why) == 0 && ret->usage == usage)
			return true;
	}
	return false;
}

static int pinned(const struct csv_chain *c, struct view bytes)
{
	struct digest d;
	int r;

	r = digest_of(HASH_SHA256, bytes, &d);
	if (r < 0)
		return r;
	for (size_t i = 0; i < c->n_pins; i++) {
		if (memcmp(c->pins[i].sha256, d.bytes, d.size) == 0)
			return 1;
	}
	return 0;
}

/*
 * The pin alone makes a root one; that it also signed itself shows that it came whole, as
 * Hygon made it.
 */
static int find_root(const struct csv_chain *c, struct appraisal *a, struct csv_certificate *ret)
{
	size_t at = endorsements_count(c->given);
	struct csv_certificate hrk;
	char hex[65], expected[128];
	int seen = 0, r = 0;

	while (r == 0 && next_of(c, CSV_USAGE_HRK, &at, &hrk)) {
		seen++;
		r = pinned(c, endorsements_at(c->given, at)->bytes);
	}
	if (r < 0)
		return r;
	if (r == 0) {
		hex_encode(c->pins[0].sha256, sizeof(c->pins[0].sha256), hex);
		snprintf(expected, sizeof(expected), "the certificate of %s (SHA-256 %s)",
			 c->pins[0].name, hex);
		appraisal_refuse(a, RULE, expected, "none (of %d root certificates)", seen);
		return 0;
	}
	r = csv_certificate_signed_by(&hrk, &hrk);
	if (r < 0)
		return r;
	if (r == 0) {
		appraisal_refuse(a, RULE, "a root that signed itself", "it did not");
		return 0;
	}
	*ret = hrk;
	return 1;
}

/* The first of that usage that signed what is asked about. *ret_tried is added to. */
static int find_signer(const struct csv_chain *c, const struct csv_certificate *of,
		       enum csv_usage usage, size_t *at, struct csv_certificate *ret,
		       int *ret_tried)
{
	int r = 0;

	while (r == 0 && *ret_tried < TRIES_MAX && next_of(c, usage, at, ret)) {
		++*ret_tried;
		r = csv_certificate_signed_by(of, ret);
	}
	return r;
}

static int refuse_signer(struct appraisal *a, const char *expected, int tried)
{
	appraisal_refuse(a, RULE, expected, "none (of %d that did not sign it)", tried);
	return 0;
}

/* An HSK that the root signed and that signed the CEK. */
static int check_hsk(const struct csv_chain *c, const struct csv_certificate *hrk,
		     const struct csv_certificate *cek, struct appraisal *a)
{
	size_t at = endorsements_count(c->given);
	struct csv_certificate hsk;
	bool any = false;
	int tried = 0, r;

	while ((r = find_signer(c, cek, CSV_USAGE_HSK, &at, &hsk, &tried)) > 0) {
		any = true;
		r = csv_certificate_signed_by(&hsk, hrk);
		if (r != 0)
			return r;
	}
	if (r < 0)
		return r;
	if (!any)
		return refuse_signer(a, "the HSK that signed the chip's CEK", tried);
	appraisal_refuse(a, RULE, "an HSK that the root HRK signed",
			 "the one that signed the chip's CEK is not");
	return 0;
}

int csv_chain_verify(const struct csv_chain *c, const struct csv_certificate *pek,
		     struct appraisal *a, struct view *ret_cek)
{
	size_t at = endorsements_count(c->given);
	struct csv_certificate hrk, cek;
	int tried = 0, r;

	r = find_root(c, a, &hrk);
	if (r <= 0)
		return r;
	r = find_signer(c, pek, CSV_USAGE_CEK, &at, &cek, &tried);
	if (r < 0)
		return r;
	if (r == 0)
		return refuse_signer(a, "the CEK of the chip, which signed the PEK", tried);
	r = check_hsk(c, &hrk, &cek, a);
	if (r <= 0)
		return r;
	appraisal_pass(a);
	*ret_cek = endorsements_at(c->given, at)->bytes;
	return 1;
}
