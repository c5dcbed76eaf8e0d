/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What judging one chip report costs the verifier, as a session has it done (Claims, policy,
 * endorsements at hand, the cache), against the signatures alone that no verifier can do
 * without, by OpenSSL with keys at hand:
 *
 *   tdx, keys anew    PCK chain and collateral known, the attestation key not: two P-256
 *                     verifications and one key import
 *   tdx, same         the same platform again: one P-256 verification
 *   sev-snp           the same chip again: one P-384 verification
 *
 * and the same without any cache ("cold"). Reports are made by the tests' own makers of chips: a
 * TCB info of 20 levels, RSA-4096 for AMD's CAs.
 *
 *   bench_appraisal [--pairs N] [--only NAME] [--json]
 *
 * --only: that row alone, for a profiler. Ours and the yardstick in turn, --pairs (15) times;
 * medians of the pairs, CPU time of this thread. Memory: the most that was allocated at once during
 * one verification. A missed target is printed and is no failure.
 */
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "claims.h"
#include "cleanup.h"
#include "evidence.h"
#include "quantity.h"
#include "tests/bench/sample.h"
#include "tests/support/snp_fixture.h"
#include "tests/support/tdx_fixture.h"

#define PAIRS_MAX  100
#define QUOTES	   128 /* of as many attestation keys */
#define KNOWN	   64  /* entries of the cache: fewer, so that none of these keys is known */
#define REPEATS	   128
#define COLD	   8
#define LEVELS	   20
#define MEMORY_MAX (1024 * 1024)
#define TARGET_TDX 0.85
#define TARGET_SNP 0.92
#define SNP_SIGNED 0x2a0

/* Memory of this thread while it is counted: what malloc gave, and the most of it at once. */
static size_t memory_now, memory_most;
static bool counting;
static const char *only; /* row; NULL: all */

#if !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static void *count(void *p)
{
	if (counting && p) {
		memory_now += malloc_usable_size(p);
		if (memory_now > memory_most)
			memory_most = memory_now;
	}
	return p;
}

static void forget(void *p)
{
	if (counting && p)
		memory_now -= malloc_usable_size(p);
}

void *malloc(size_t size)
{
	return count(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
	return count(__libc_calloc(n, size));
}

void *realloc(void *p, size_t size)
{
	forget(p);
	return count(__libc_realloc(p, size));
}

void free(void *p)
{
	forget(p);
	__libc_free(p);
}
#define MEMORY_COUNTED true
#else
#define MEMORY_COUNTED false
#endif

static void fail(const char *what)
{
	fprintf(stderr, "bench_appraisal: %s\n", what);
	exit(3);
}

/* One piece of evidence, and all that is verified with it. */
struct judged {
	const struct evidence_ops *ops;
	Assay__ChipReport report;
	struct evidence_input in;
};

static void judge_once(const struct judged *j, struct appraisal_cache *cache)
{
	struct evidence_input in = j->in;
	struct evidence_result result;
	struct appraisal a;

	in.report = &j->report;
	in.cache = cache;
	appraisal_init(&a);
	if (j->ops->verify(&in, &a, &result) < 0)
		fail("not judged");
	appraisal_finish(&a);
	if (!appraisal_accepted(&a) || !result.signature_good) {
		for (size_t i = 0; i < a.n; i++)
			fprintf(stderr, "%s: expected %s, saw %s\n", a.reasons[i].rule,
				a.reasons[i].expected, a.reasons[i].seen);
		fail("refused");
	}
	appraisal_done(&a);
}

static struct policy *read_policy(const char *platforms)
{
	char text[256], *error = NULL;
	struct policy *p = NULL;

	snprintf(text, sizeof(text), "application: a\nplatforms: {%s}\n", platforms);
	if (policy_parse(view_text(text), "bench", &p, &error) < 0)
		fail(error);
	return p;
}

static void init_judged(struct judged *j, const char *platform, const struct bytes *claims,
			const struct endorsements *e, const struct x509_pin *pin,
			const struct policy *policy)
{
	j->ops = evidence_find(platform);
	j->report = (Assay__ChipReport)ASSAY__CHIP_REPORT__INIT;
	j->report.platform = (char *)platform;
	j->in = (struct evidence_input){ .claims = bytes_view(claims),
					 .policy = policy,
					 .endorsements = e,
					 .roots = pin,
					 .n_roots = 1 };
	if (quantity_instant(TDX_FIXTURE_NOW, &j->in.now) < 0)
		fail("the time");
}

/* What cannot be done without, prepared as far as anybody could. */
struct raw {
	EVP_PKEY *key;
	EVP_MD_CTX *sign;
	const EVP_MD *md;
	uint8_t message[SNP_SIGNED], signature[144], point[65];
	size_t len, signature_len;
	EVP_PKEY_CTX *import;
};

static void raw_init(struct raw *r, const char *curve, const EVP_MD *md, size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t point_len;

	*r = (struct raw){ .key = EVP_EC_gen(curve), .md = md, .len = len };
	memset(r->message, 7, sizeof(r->message));
	r->signature_len = sizeof(r->signature);
	r->sign = EVP_MD_CTX_new();
	if (!r->key || !ctx || !r->sign || EVP_DigestSignInit(ctx, NULL, md, NULL, r->key) != 1 ||
	    EVP_DigestSign(ctx, r->signature, &r->signature_len, r->message, len) != 1)
		fail("no signature");
	EVP_MD_CTX_free(ctx);
	if (strcmp(curve, "P-256") == 0 &&
	    EVP_PKEY_get_octet_string_param(r->key, OSSL_PKEY_PARAM_PUB_KEY, r->point,
					    sizeof(r->point), &point_len) != 1)
		fail("no public key");
	r->import = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (!r->import || EVP_PKEY_fromdata_init(r->import) != 1)
		fail("no import");
}

static void raw_done(struct raw *r)
{
	EVP_PKEY_free(r->key);
	EVP_MD_CTX_free(r->sign);
	EVP_PKEY_CTX_free(r->import);
}

static void raw_verify(struct raw *r)
{
	if (EVP_DigestVerifyInit(r->sign, NULL, r->md, NULL, r->key) != 1 ||
	    EVP_DigestVerify(r->sign, r->signature, r->signature_len, r->message, r->len) != 1)
		fail("it does not verify");
	EVP_MD_CTX_reset(r->sign);
}

static void raw_import(struct raw *r)
{
	static char group[] = "prime256v1";
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group) - 1),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, r->point, sizeof(r->point)),
		OSSL_PARAM_END,
	};
	EVP_PKEY *key = NULL;

	if (EVP_PKEY_fromdata(r->import, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		fail("no key");
	EVP_PKEY_free(key);
}

/* A measurement: microseconds of ours and of the yardstick, each pair's median. */
struct figure {
	const char *name;
	double us, yardstick_us, target; /* target 0: none; it is stated */
	size_t memory;
};

struct work {
	struct judged *of;
	size_t n; /* of them in turn */
	struct appraisal_cache *cache;
	struct raw *raw;
	int verifications, imports;
};

static void measure(const struct work *w, size_t repeats, size_t pairs, struct figure *f)
{
	double ours[PAIRS_MAX], raw[PAIRS_MAX], start;

	if (only && strcmp(only, f->name) != 0)
		return;
	for (size_t p = 0; p < pairs; p++) {
		start = sample_ms(CLOCK_THREAD_CPUTIME_ID);
		for (size_t i = 0; i < repeats; i++)
			judge_once(&w->of[i % w->n], w->cache);
		ours[p] = (sample_ms(CLOCK_THREAD_CPUTIME_ID) - start) * 1e3 / (double)repeats;
		start = sample_ms(CLOCK_THREAD_CPUTIME_ID);
		for (size_t i = 0; i < repeats; i++) {
			for (int k = 0; k < w->verifications; k++)
				raw_verify(w->raw);
			for (int k = 0; k < w->imports; k++)
				raw_import(w->raw);
		}
		raw[p] = (sample_ms(CLOCK_THREAD_CPUTIME_ID) - start) * 1e3 / (double)repeats;
	}
	f->us = sample_median(ours, pairs);
	f->yardstick_us = sample_median(raw, pairs);
	counting = true;
	memory_now = memory_most = 0;
	judge_once(&w->of[0], w->cache);
	counting = false;
	f->memory = memory_most;
}

/* A TCB info as long as a real one: levels below the one that is reached. */
static void lengthen(struct tdx_fixture *f)
{
	json_t *levels = json_object_get(f->tcb_info, "tcbLevels"), *tcb, *component;
	json_t *first = json_array_get(levels, 0);

	tcb = json_object_get(first, "tcb");
	for (size_t i = 0; i < 16; i++) {
		component = json_array_get(json_object_get(tcb, "sgxtcbcomponents"), i);
		json_object_set_new(component, "category", json_string("BIOS"));
		json_object_set_new(component, "type", json_string("Early Microcode Update"));
	}
	for (int i = 1; i < LEVELS; i++)
		json_array_append_new(levels, json_deep_copy(first));
}

static struct appraisal_cache *new_cache(size_t entries)
{
	struct appraisal_cache *cache;

	if (appraisal_cache_new(entries, APPRAISAL_CACHE_BYTES, &cache) < 0)
		fail("no memory");
	return cache;
}

#define FIGURES 5

static void bench_tdx(const struct bytes *claims, const struct digest *data, size_t pairs,
		      struct figure *to)
{
	static struct judged judged[QUOTES];
	static struct bytes quotes[QUOTES];
	struct policy *policy = read_policy("tdx: {}");
	struct endorsements *e = NULL;
	struct tdx_fixture f;
	struct work w = { .of = judged, .n = QUOTES };
	struct raw raw;

	tdx_fixture_init(&f);
	lengthen(&f);
	tdx_fixture_form(&f, 5, 3);
	tdx_fixture_report_data(&f, digest_view(data));
	if (endorsements_new(&e) < 0)
		fail("no memory");
	tdx_fixture_endorse(&f, e);
	for (size_t i = 0; i < QUOTES; i++) {
		tdx_fixture_new_attestation_key(&f);
		tdx_fixture_quote(&f, &quotes[i]);
		init_judged(&judged[i], "tdx", claims, e, &f.pin, policy);
		judged[i].report.report.data = quotes[i].data;
		judged[i].report.report.len = quotes[i].len;
	}
	raw_init(&raw, "P-256", EVP_sha256(), 584 + 48);
	w.raw = &raw;

	w.cache = new_cache(KNOWN);
	w.verifications = 2;
	w.imports = 1;
	to[0] = (struct figure){ .name = "tdx, keys anew", .target = TARGET_TDX };
	measure(&w, REPEATS, pairs, &to[0]);
	w.n = 1;
	to[2] = (struct figure){ .name = "tdx, cold" };
	appraisal_cache_free(w.cache);
	w.cache = NULL;
	measure(&w, COLD, pairs, &to[2]);
	w.cache = new_cache(KNOWN);
	w.verifications = 1;
	w.imports = 0;
	to[1] = (struct figure){ .name = "tdx, same", .target = TARGET_TDX };
	judge_once(&judged[0], w.cache);
	measure(&w, REPEATS, pairs, &to[1]);
	appraisal_cache_free(w.cache);

	raw_done(&raw);
	for (size_t i = 0; i < QUOTES; i++)
		bytes_done(&quotes[i]);
	endorsements_free(e);
	policy_free(policy);
	tdx_fixture_done(&f);
}

static void bench_snp(const struct bytes *claims, const struct digest *data, size_t pairs,
		      struct figure *to)
{
	struct snp_fixture_keys keys = { EVP_RSA_gen(4096), EVP_RSA_gen(4096), EVP_RSA_gen(2048) };
	struct policy *policy = read_policy("sev-snp: {}");
	struct endorsements *e = NULL;
	struct snp_fixture f;
	struct judged judged;
	struct work w = { .of = &judged, .n = 1, .verifications = 1 };
	struct raw raw;
	X509_CRL *crl;

	snp_fixture_init(&f, &keys, "Genoa");
	memcpy(f.report + 0x050, data->bytes, data->size);
	snp_fixture_certify(&f, &f.vcek);
	snp_fixture_sign(&f, f.vcek.key);
	if (endorsements_new(&e) < 0)
		fail("no memory");
	snp_fixture_endorse(e, f.vcek.x);
	snp_fixture_endorse(e, f.ask);
	snp_fixture_endorse(e, f.ark);
	crl = snp_fixture_crl(&f, NULL);
	snp_fixture_endorse_crl(e, crl);
	init_judged(&judged, "sev-snp", claims, e, &f.root, policy);
	judged.report.report.data = f.report;
	judged.report.report.len = sizeof(f.report);
	raw_init(&raw, "P-384", EVP_sha384(), SNP_SIGNED);
	w.raw = &raw;

	w.cache = new_cache(KNOWN);
	to[0] = (struct figure){ .name = "sev-snp", .target = TARGET_SNP };
	judge_once(&judged, w.cache);
	measure(&w, REPEATS / 4, pairs, &to[0]);
	appraisal_cache_free(w.cache);
	w.cache = NULL;
	to[1] = (struct figure){ .name = "sev-snp, cold" };
	measure(&w, COLD, pairs, &to[1]);

	raw_done(&raw);
	X509_CRL_free(crl);
	endorsements_free(e);
	policy_free(policy);
	snp_fixture_done(&f);
	snp_fixture_free_keys(&keys);
}

static bool met(const struct figure *f)
{
	return (f->target <= 0 || f->yardstick_us / f->us >= f->target) && f->memory < MEMORY_MAX;
}

static void print_json(const struct figure *f)
{
	json_t *all = json_object(), *list = json_array();

	for (size_t i = 0; i < FIGURES; i++) {
		if (f[i].us <= 0)
			continue;
		json_array_append_new(
			list,
			json_pack("{s:s,s:f,s:f,s:f,s:f,s:f,s:o,s:b}", "what", f[i].name, "us",
				  f[i].us, "yardstick_us", f[i].yardstick_us, "per_second",
				  1e6 / f[i].us, "ratio", f[i].yardstick_us / f[i].us, "target",
				  f[i].target, "peak_bytes",
				  MEMORY_COUNTED ? json_integer((json_int_t)f[i].memory)
						 : json_null(),
				  "met", met(&f[i])));
	}
	json_object_set_new(all, "bench", json_string("appraisal"));
	json_object_set_new(all, "figures", list);
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	printf("\n");
	json_decref(all);
}

static void print_table(const struct figure *f)
{
	printf("one appraisal, CPU us, median of pairs; the yardstick is the signatures alone\n\n");
	printf("  %-16s %8s %10s %8s %7s %7s %10s\n", "", "us", "yardstick", "a second", "ratio",
	       "target", "peak KiB");
	for (size_t i = 0; i < FIGURES; i++) {
		if (f[i].us <= 0)
			continue;
		printf("  %-16s %8.1f %10.1f %8.0f %7.2f ", f[i].name, f[i].us, f[i].yardstick_us,
		       1e6 / f[i].us, f[i].yardstick_us / f[i].us);
		if (f[i].target > 0)
			printf("%7.2f", f[i].target);
		else
			printf("%7s", "-");
		if (MEMORY_COUNTED)
			printf(" %10.1f", (double)f[i].memory / 1024);
		else
			printf(" %10s", "-");
		printf("  %s\n", f[i].target <= 0 ? "stated" : met(&f[i]) ? "met" : "MISSED");
	}
}

static void usage(void)
{
	fprintf(stderr, "usage: bench_appraisal [--pairs N] [--only NAME] [--json]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "pairs", required_argument, NULL, 'p' },
						 { "only", required_argument, NULL, 'o' },
						 { "json", no_argument, NULL, 'j' },
						 { NULL, 0, NULL, 0 } };
	CLEANUP(bytes_cleanup) struct bytes claims = BYTES_INIT(1024);
	struct figure figures[FIGURES] = { 0 };
	struct digest data;
	int pairs = 15, o;
	bool json = false;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'j')
			json = true;
		else if (o == 'o')
			only = optarg;
		else if (o == 'p')
			pairs = sample_number(optarg, PAIRS_MAX);
		else
			usage();
	}
	if (pairs == 0 || optind < argc)
		usage();
	/* As long as Claims are. */
	for (int i = 0; i < 16; i++) {
		if (bytes_append_text(&claims, "these bytes stand for Claims,   ") < 0)
			fail("no memory");
	}
	if (claims_hash(bytes_view(&claims), &data) < 0)
		fail("no digest");
	if (!only || strncmp(only, "tdx", 3) == 0)
		bench_tdx(&claims, &data, (size_t)pairs, &figures[0]);
	if (!only || strncmp(only, "sev", 3) == 0)
		bench_snp(&claims, &data, (size_t)pairs, &figures[3]);
	if (json)
		print_json(figures);
	else
		print_table(figures);
	return 0;
}
