/* SPDX-License-Identifier: Apache-2.0 */
#include "tpm_quote.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <tss2/tss2_mu.h>

#include "cleanup.h"

#define PCRS 24

/* One signature, read: what EVP_DigestVerify wants, whatever the scheme. */
struct signature {
	TPMI_ALG_SIG_SCHEME scheme;
	enum hash_alg hash;
	bool pss;
	uint8_t der[TPM2_MAX_RSA_KEY_BYTES]; /* RSA: raw; ECDSA: DER, which is never longer */
	size_t len;
};

static int take_rsa(const TPMS_SIGNATURE_RSA *rsa, struct signature *ret)
{
	if (rsa->sig.size == 0 || rsa->sig.size > sizeof(ret->der))
		return -EBADMSG;
	ret->hash = (enum hash_alg)rsa->hash;
	memcpy(ret->der, rsa->sig.buffer, rsa->sig.size);
	ret->len = rsa->sig.size;
	return 0;
}

static int take_rsassa(const TPMT_SIGNATURE *s, struct signature *ret)
{
	return take_rsa(&s->signature.rsassa, ret);
}

static int take_rsapss(const TPMT_SIGNATURE *s, struct signature *ret)
{
	ret->pss = true;
	return take_rsa(&s->signature.rsapss, ret);
}

static void cleanup_ecdsa(ECDSA_SIG **s)
{
	ECDSA_SIG_free(*s);
}

static int take_ecdsa(const TPMT_SIGNATURE *s, struct signature *ret)
{
	const TPMS_SIGNATURE_ECDSA *ecdsa = &s->signature.ecdsa;
	CLEANUP(cleanup_ecdsa) ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(ecdsa->signatureR.buffer, ecdsa->signatureR.size, NULL);
	BIGNUM *t = BN_bin2bn(ecdsa->signatureS.buffer, ecdsa->signatureS.size, NULL);
	uint8_t *to = ret->der;
	int len;

	if (!sig || !r || !t || !ECDSA_SIG_set0(sig, r, t)) {
		BN_free(r);
		BN_free(t);
		return -ENOMEM;
	}
	len = i2d_ECDSA_SIG(sig, NULL);
	if (len <= 0 || (size_t)len > sizeof(ret->der))
		return -EBADMSG;
	ret->len = (size_t)i2d_ECDSA_SIG(sig, &to);
	ret->hash = (enum hash_alg)ecdsa->hash;
	return 0;
}

/* The schemes that are accepted, and the kind of key that goes with each. */
static const struct {
	TPMI_ALG_SIG_SCHEME scheme;
	TPMI_ALG_PUBLIC key;
	int (*take)(const TPMT_SIGNATURE *s, struct signature *ret);
} schemes[] = {
	{ TPM2_ALG_ECDSA, TPM2_ALG_ECC, take_ecdsa },
	{ TPM2_ALG_RSASSA, TPM2_ALG_RSA, take_rsassa },
	{ TPM2_ALG_RSAPSS, TPM2_ALG_RSA, take_rsapss },
};

/* NULL, or why the signature is refused before it is computed. */
static const char *signature_read(struct view raw, const struct tpm_public *key,
				  struct signature *ret)
{
	struct signature s = { 0 };
	TPMT_SIGNATURE sig = { 0 };
	size_t at = 0, i;

	if (raw.len == 0 || raw.len > sizeof(TPMT_SIGNATURE))
		return "its size is not that of a signature";
	if (Tss2_MU_TPMT_SIGNATURE_Unmarshal(raw.data, raw.len, &at, &sig) != TSS2_RC_SUCCESS)
		return "it is not a TPMT_SIGNATURE";
	if (at != raw.len)
		return "there are bytes behind the TPMT_SIGNATURE";
	for (i = 0; i < ARRAY_LEN(schemes); i++) {
		if (schemes[i].scheme == sig.sigAlg)
			break;
	}
	if (i == ARRAY_LEN(schemes))
		return "its algorithm is not one that is accepted";
	if (schemes[i].key != key->area.type)
		return "its algorithm does not go with the key";
	s.scheme = sig.sigAlg;
	if (schemes[i].take(&sig, &s) < 0)
		return "its numbers cannot be read";
	/* Collisions of SHA-1 can be had: what was signed could be two things. */
	if (s.hash == HASH_SHA1)
		return "it is made with SHA-1";
	if (s.hash != HASH_SHA256 && s.hash != HASH_SHA384 && s.hash != HASH_SHA512)
		return "its hash is not SHA-256, SHA-384 or SHA-512";
	/* asymDetail begins alike for every kind of key. */
	if (key->area.parameters.asymDetail.scheme.scheme != TPM2_ALG_NULL &&
	    key->area.parameters.asymDetail.scheme.scheme != s.scheme)
		return "its scheme is not the key's";
	*ret = s;
	return NULL;
}

static void cleanup_md_ctx(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

/* 1: good; 0: not. */
static int signature_verify(const struct signature *s, EVP_PKEY *key, struct view data)
{
	CLEANUP(cleanup_md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	int good;

	if (!ctx)
		return -ENOMEM;
	good = EVP_DigestVerifyInit_ex(ctx, &pctx, hash_name(s->hash), NULL, NULL, key, NULL) == 1;
	/* A TPM chooses the salt's length: that of the hash, or the greatest. */
	if (good && s->pss)
		good = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_AUTO) == 1;
	if (good)
		good = EVP_DigestVerify(ctx, s->der, s->len, data.data, data.len) == 1;
	ERR_clear_error();
	return good;
}

static int judge_signature(const struct tpm_public *key, struct view attest, struct view raw,
			   struct appraisal *a, enum hash_alg *ret_hash)
{
	static const char expected[] = "an ECDSA, RSASSA or RSAPSS signature of the key";
	CLEANUP(cleanup_pkey) EVP_PKEY *pkey = NULL;
	struct signature s;
	const char *fault;
	int r;

	fault = signature_read(raw, key, &s);
	if (fault) {
		appraisal_refuse(a, "evidence.signature", expected, "%s", fault);
		return 0;
	}
	r = tpm_public_key(key, &pkey);
	if (r == -EBADMSG) {
		appraisal_refuse(a, "evidence.key", "RSA of 2048 to 4096 bits, P-256, P-384, P-521",
				 "a key of another kind, or one that is not valid");
		return 0;
	}
	if (r < 0)
		return r;
	r = signature_verify(&s, pkey, attest);
	if (r < 0)
		return r;
	if (r == 0) {
		appraisal_refuse(a, "evidence.signature", expected, "it does not verify");
		return 0;
	}
	appraisal_pass(a);
	*ret_hash = s.hash;
	return 1;
}

static const char *attest_read(struct view raw, TPMS_ATTEST *ret)
{
	TPMS_ATTEST attest = { 0 };
	size_t at = 0;

	if (raw.len == 0 || raw.len > sizeof(TPMS_ATTEST))
		return "its size is not that of a quote";
	/* Before the rest, whose form depends on them. */
	if (raw.len < 6 || memcmp(raw.data, "\xff\x54\x43\x47", 4) != 0)
		return "its magic is not TPM_GENERATED: it was not made in a TPM";
	if (raw.data[4] != 0x80 || raw.data[5] != 0x18)
		return "its type is not TPM_ST_ATTEST_QUOTE";
	if (Tss2_MU_TPMS_ATTEST_Unmarshal(raw.data, raw.len, &at, &attest) != TSS2_RC_SUCCESS)
		return "it is not a TPMS_ATTEST";
	if (at != raw.len)
		return "there are bytes behind the TPMS_ATTEST";
	*ret = attest;
	return NULL;
}

static void hex_of(struct view v, char to[DIGEST_HEX_MAX])
{
	hex_encode(v.data, v.len < DIGEST_MAX ? v.len : DIGEST_MAX, to);
}

int tpm_quote_judge(const struct tpm_public *key, struct view attest, struct view signature,
		    struct view qualifying, struct appraisal *a, struct tpm_quote *ret)
{
	char expected[DIGEST_HEX_MAX], seen[DIGEST_HEX_MAX];
	struct tpm_quote q = { 0 };
	const char *fault;
	struct view extra;
	int r;

	r = judge_signature(key, attest, signature, a, &q.hash);
	if (r <= 0)
		return r;

	fault = attest_read(attest, &q.attest);
	if (fault) {
		appraisal_refuse(a, "evidence.quote", "a TPMS_ATTEST of a quote", "%s", fault);
		return 0;
	}
	appraisal_pass(a);

	extra = view_of(q.attest.extraData.buffer, q.attest.extraData.size);
	if (extra.len != qualifying.len ||
	    (extra.len > 0 && CRYPTO_memcmp(extra.data, qualifying.data, extra.len) != 0)) {
		hex_of(qualifying, expected);
		hex_of(extra, seen);
		appraisal_refuse(a, "evidence.claims", expected, "%s", seen);
		return 0;
	}
	appraisal_pass(a);
	*ret = q;
	return 1;
}

/* The walk over a quote's selection, collecting the shipped values in its order. */
struct pcr_walk {
	Assay__PcrValue *const *values;
	size_t n, used;
	enum hash_alg bank;
	struct hasher *hasher;
	struct digest *registers;
	uint32_t quoted;
	char fault[96];
};

static const Assay__PcrValue *find_value(const struct pcr_walk *w, unsigned int alg,
					 unsigned int index)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->values[i]->alg == alg && w->values[i]->index == index)
			return w->values[i];
	}
	return NULL;
}

/* Takes one selected PCR's value. 1, or 0 with w->fault set, or a negative errno. */
static int walk_pcr(struct pcr_walk *w, unsigned int alg, unsigned int index)
{
	const Assay__PcrValue *v = find_value(w, alg, index);
	struct digest d;
	int r;

	if (!v) {
		snprintf(w->fault, sizeof(w->fault), "no value for PCR %u of bank 0x%04x", index,
			 alg);
		return 0;
	}
	if (digest_from((enum hash_alg)alg, view_of(v->value.data, v->value.len), &d) < 0) {
		snprintf(w->fault, sizeof(w->fault),
			 "a value of %zu bytes for PCR %u of bank 0x%04x", v->value.len, index,
			 alg);
		return 0;
	}
	r = hasher_add(w->hasher, d.bytes, d.size);
	if (r < 0)
		return r;
	w->used++;
	if (alg == w->bank) {
		w->registers[index] = d;
		w->quoted |= 1u << index;
	}
	return 1;
}

static int walk_bank(struct pcr_walk *w, const TPMS_PCR_SELECTION *s)
{
	int r;

	for (unsigned int index = 0; index < 8u * s->sizeofSelect; index++) {
		if (!(s->pcrSelect[index / 8] >> (index % 8) & 1))
			continue;
		if (index >= PCRS) {
			snprintf(w->fault, sizeof(w->fault), "PCR %u, which does not exist", index);
			return 0;
		}
		r = walk_pcr(w, s->hash, index);
		if (r <= 0)
			return r;
	}
	return 1;
}

static int walk_selection(struct pcr_walk *w, const TPML_PCR_SELECTION *l)
{
	int r;

	for (uint32_t i = 0; i < l->count; i++) {
		for (uint32_t j = 0; j < i; j++) {
			if (l->pcrSelections[j].hash != l->pcrSelections[i].hash)
				continue;
			snprintf(w->fault, sizeof(w->fault), "bank 0x%04x is selected twice",
				 l->pcrSelections[i].hash);
			return 0;
		}
		r = walk_bank(w, &l->pcrSelections[i]);
		if (r <= 0)
			return r;
	}
	/* A value that nothing vouches for must not look as if the chip had signed it. */
	if (w->used != w->n) {
		snprintf(w->fault, sizeof(w->fault), "%zu values shipped, %zu quoted", w->n,
			 w->used);
		return 0;
	}
	return 1;
}

static int judge_walk(struct pcr_walk *w, const struct tpm_quote *q, struct appraisal *a)
{
	static const char expected[] = "the values of the quoted PCRs, no more, no less";
	const TPM2B_DIGEST *quoted = &q->attest.attested.quote.pcrDigest;
	char hex[DIGEST_HEX_MAX], seen[DIGEST_HEX_MAX];
	struct digest d;
	int r;

	r = hasher_begin(w->hasher);
	if (r < 0)
		return r;
	r = walk_selection(w, &q->attest.attested.quote.pcrSelect);
	if (r < 0)
		return r;
	if (r == 0) {
		appraisal_refuse(a, "evidence.pcrs", expected, "%s", w->fault);
		return 0;
	}
	r = hasher_end(w->hasher, &d);
	if (r < 0)
		return r;
	if (quoted->size != d.size || CRYPTO_memcmp(quoted->buffer, d.bytes, d.size) != 0) {
		hex_of(view_of(quoted->buffer, quoted->size), hex);
		appraisal_refuse(a, "evidence.pcrs", hex, "%s over the shipped values",
				 digest_hex(&d, seen));
		return 0;
	}
	appraisal_pass(a);
	return 1;
}

int tpm_quote_judge_pcrs(const struct tpm_quote *q, Assay__PcrValue *const *values, size_t n,
			 enum hash_alg bank, struct appraisal *a, struct digest ret_values[24],
			 uint32_t *ret_quoted)
{
	struct digest registers[PCRS] = { 0 };
	struct pcr_walk w = { .values = values, .n = n, .bank = bank, .registers = registers };
	int r;

	r = hasher_new(q->hash, &w.hasher);
	if (r < 0)
		return r;
	r = judge_walk(&w, q, a);
	hasher_free(w.hasher);
	if (r <= 0)
		return r;
	memcpy(ret_values, registers, sizeof(registers));
	*ret_quoted = w.quoted;
	return 1;
}
