/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <openssl/pem.h>

#include "arena.h"
#include "credential.h"
#include "session.pb-c.h"
#include "verifier/ek_certificate.h"
#include "verifier/tpm_public.h"

/*
 * The input is an EnrolRequest, as it travels. Its certificate is judged under itself
 * as root too, so that what lies behind the chain is reached.
 */

static struct view field(ProtobufCBinaryData d)
{
	return view_of(d.data, d.len);
}

static void judge(const struct credential_request *q, struct view roots)
{
	struct bytes name = BYTES_INIT(AK_NAME_MAX);
	struct appraisal a;
	int r;

	appraisal_init(&a);
	r = credential_judge(q, roots, 1800000000, &a, &name);
	if ((r == 1) == a.refused && r >= 0)
		abort();
	if (r != 1 && name.len > 0)
		abort();
	appraisal_done(&a);
	bytes_done(&name);
}

static void judge_under_itself(const struct credential_request *q)
{
	BIO *bio = BIO_new(BIO_s_mem());
	X509 *x = NULL;
	char *pem;
	long len;

	if (bio && ek_certificate_parse(q->ek_certificate, &x) == 0 &&
	    PEM_write_bio_X509(bio, x) == 1) {
		len = BIO_get_mem_data(bio, &pem);
		judge(q, view_of(pem, (size_t)len));
	}
	X509_free(x);
	BIO_free(bio);
}

static void seal(const struct credential_request *q)
{
	struct bytes blob = BYTES_INIT(CREDENTIAL_BLOB_MAX), seed = BYTES_INIT(CREDENTIAL_SEED_MAX);
	struct tpm_public ak;
	const char *why;

	if (tpm_public_parse(q->ak_public, &ak, &why) == 0 &&
	    credential_make(q->ek_public, tpm_public_name(&ak), view_text("credential"), &blob,
			    &seed) == 0 &&
	    (blob.len == 0 || seed.len == 0))
		abort();
	bytes_done(&blob);
	bytes_done(&seed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes chain = BYTES_INIT(EK_CHAIN_MAX);
	struct credential_request q;
	Assay__EnrolRequest *request;
	struct arena *arena;
	int r = 0;

	if (arena_new(1024 * 1024, &arena) < 0)
		return 0;
	request = assay__enrol_request__unpack(arena_allocator(arena), size, data);
	for (size_t i = 0; request && r == 0 && i < request->n_ek_chain; i++)
		r = bytes_append_view(&chain, field(request->ek_chain[i]));
	if (request && r == 0) {
		q = (struct credential_request){ field(request->ek_certificate), bytes_view(&chain),
						 field(request->ek_public),
						 field(request->ak_public) };
		judge(&q, view_text("no roots"));
		judge_under_itself(&q);
		seal(&q);
	}
	bytes_done(&chain);
	arena_free(arena);
	return 0;
}
