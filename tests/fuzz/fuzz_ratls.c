/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ratls.h"

/*
 * A certificate as a file; and the input as the value of the extension of one that is otherwise
 * good, which no mutation of a signed certificate would reach.
 */

#define ARENA_MAX (1024 * 1024)
#define MADE_MAX  8192 /* bytes of a report that a certificate has room for */
#define NOW	  1800000000

CLEANUP_FUNCTION(X509 *, X509_free)

static void judge(struct view file)
{
	struct evidence_alone in = { .now = NOW };
	struct evidence_found found;
	struct evidence_result result;
	struct arena *arena;
	struct appraisal a;

	if (arena_new(ARENA_MAX, &arena) < 0)
		return;
	appraisal_init(&a);
	/* No maker signed it. */
	if (ratls_appraise(&in, "certificate", file, view_of("", 0), arena, &a, &found, &result) ==
		    0 &&
	    appraisal_accepted(&a))
		abort();
	appraisal_done(&a);
	arena_free(arena);
}

/* Another in every run: a claim over it is made below, never found by chance. */
static EVP_PKEY *key(void)
{
	static EVP_PKEY *made;

	if (!made)
		made = EVP_EC_gen("P-256");
	if (!made)
		abort();
	return made;
}

static void read_value(struct view value)
{
	CLEANUP(X509_freep) X509 *x = NULL;
	const char *why = NULL;
	struct ratls t;
	int r;

	if (ratls_certificate(key(), value, NOW - 1, NOW + 1, &x) < 0)
		return;
	r = ratls_read(x, &t, &why);
	if (r < 0 ? r != -EBADMSG || !why : !t.platform || t.report.len == 0)
		abort();
}

/* The input as a report and as a nonce: what is made is read. */
static void make_anew(struct view v)
{
	struct bytes claims = BYTES_INIT(RATLS_CLAIMS_MAX), value = BYTES_INIT(1024 * 1024);
	CLEANUP(X509_freep) X509 *x = NULL;
	const char *why = NULL;
	struct ratls t;

	if (v.len > MADE_MAX)
		return;
	if (ratls_claims(key(), view_of(v.data, v.len < 8 ? v.len : 8), &claims) < 0 ||
	    ratls_extension("sev-snp", v, bytes_view(&claims), &value) < 0 ||
	    ratls_certificate(key(), bytes_view(&value), NOW - 1, NOW + 1, &x) < 0)
		abort();
	if (v.len > 0 && (ratls_read(x, &t, &why) < 0 || !view_equal(t.report, v)))
		abort();
	bytes_done(&claims);
	bytes_done(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view raw = view_of(data, size);

	judge(raw);
	read_value(raw);
	make_anew(raw);
	return 0;
}
