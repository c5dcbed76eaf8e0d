/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>
#include <tss2/tss2_mu.h>

#include "arena.h"
#include "attester.h"
#include "attesters/table.h"
#include "attesters/tpm.h"
#include "cleanup.h"
#include "credential.h"
#include "evidence.h"
#include "tests/support/swtpm.h"

/* Both sides of the chip against a TPM in software, with no mock between them. */

#define RUNTIME_PCR 15
/* tss2 makes these of signed shifts, which are not defined. */
#define TRANSIENT_FIRST 0x80000000u
#define SESSION_FIRST	0x02000000u
#define PCRS		(1u << 0 | 1u << 4 | 1u << 9)
#define ZERO_PCR	"0000000000000000000000000000000000000000000000000000000000000000"
#define OTHER_PCR	"0000000000000000000000000000000000000000000000000000000000000001"

static struct swtpm chip, other_chip; /* the other one has a SHA-384 bank too */
static bool no_swtpm;
static struct bytes roots, other_roots;

static const char claims_text[] = "these bytes stand for serialised Claims";

static struct view claims(void)
{
	return view_text(claims_text);
}

static int start(void **state)
{
	int r;

	r = secret_heap_open();
	if (r < 0)
		return r;
	r = swtpm_start("sha256", &chip);
	if (r == -ENOENT) {
		no_swtpm = true;
		return 0;
	}
	if (r == 0)
		r = swtpm_start("sha256,sha384", &other_chip);
	roots = BYTES_INIT(64 * 1024);
	other_roots = BYTES_INIT(64 * 1024);
	if (r == 0)
		r = swtpm_roots(&chip, &roots);
	if (r == 0)
		r = swtpm_roots(&other_chip, &other_roots);
	return r;
}

static int stop(void **state)
{
	swtpm_stop(&chip);
	swtpm_stop(&other_chip);
	bytes_done(&roots);
	bytes_done(&other_roots);
	secret_heap_close();
	return 0;
}

static void needs_swtpm(void)
{
	if (!no_swtpm)
		return;
	print_message("skipped: there is no swtpm on this machine\n");
	skip();
}

static struct attester_config config_of(const struct swtpm *s, const char *state)
{
	return (struct attester_config){
		.tcti = s->tcti,
		.state = state,
		.bank = HASH_SHA256,
		.pcrs = PCRS,
		.runtime_pcr = RUNTIME_PCR,
	};
}

/* An attester with its AK in a directory of its own. */
static struct attester *open_tpm(const struct swtpm *s, const char *name, char *ret_note)
{
	const struct attester_ops *ops;
	struct attester *a = NULL;
	char state[128], why[512];
	struct attester_config config;

	swtpm_path(s, name, state, sizeof(state));
	config = config_of(s, state);
	ops = attester_pick("tpm", &config, why, sizeof(why));
	assert_non_null(ops);
	if (ops->open(&config, &a, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	if (ret_note)
		strcpy(ret_note, why);
	return a;
}

static struct attester_identity identity_of(struct attester *a)
{
	struct attester_identity i;

	assert_int_equal(a->ops->identity(a, &i), 0);
	return i;
}

static void the_ak_outlives_a_restart(void **state)
{
	struct attester_identity first, second;
	struct attester *a;
	char note[512], path[128];
	struct stat st;

	needs_swtpm();
	a = open_tpm(&chip, "kept", note);
	assert_non_null(strstr(note, "there was none"));
	first = identity_of(a);
	a->ops->close(a);
	swtpm_path(&chip, "kept/tpm-ak", path, sizeof(path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	a = open_tpm(&chip, "kept", note);
	assert_string_equal(note, "");
	second = identity_of(a);
	a->ops->close(a);
	assert_true(view_equal(bytes_view(&first.key_name), bytes_view(&second.key_name)));
	assert_true(view_equal(bytes_view(&first.ek_public), bytes_view(&second.ek_public)));
	assert_int_equal(first.key_name.len, 34);
	assert_true(first.ek_certificate.len > 0);
	attester_identity_done(&first);
	attester_identity_done(&second);
}

static void write_byte(const char *path, off_t at, uint8_t xor)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t b;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &b, 1, at), 1);
	b ^= xor;
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
}

/* In an initrd nothing is kept, and a chip is enrolled once: the key has to be the same again. */
static void without_a_state_directory_the_ak_is_the_same(void **state)
{
	struct attester_config config, elsewhere;
	struct attester_identity before, after, other, kept;
	char why[ATTESTER_WHY_MAX] = "";
	struct attester *a;

	(void)state;
	needs_swtpm();
	config = config_of(&chip, NULL);
	elsewhere = config_of(&other_chip, NULL);
	assert_int_equal(attester_tpm.open(&config, &a, why, sizeof(why)), 0);
	before = identity_of(a);
	attester_tpm.close(a);
	assert_int_equal(attester_tpm.open(&config, &a, why, sizeof(why)), 0);
	after = identity_of(a);
	assert_true(view_equal(bytes_view(&before.key_name), bytes_view(&after.key_name)));
	assert_true(view_equal(bytes_view(&before.ak_public), bytes_view(&after.ak_public)));
	attester_tpm.close(a);
	/* Of another TPM it is another, and so is the one that is kept in a file. */
	assert_int_equal(attester_tpm.open(&elsewhere, &a, why, sizeof(why)), 0);
	other = identity_of(a);
	assert_false(view_equal(bytes_view(&before.key_name), bytes_view(&other.key_name)));
	attester_tpm.close(a);
	a = open_tpm(&chip, "beside-derived", NULL);
	kept = identity_of(a);
	assert_false(view_equal(bytes_view(&before.key_name), bytes_view(&kept.key_name)));
	attester_tpm.close(a);
	attester_identity_done(&before);
	attester_identity_done(&after);
	attester_identity_done(&other);
	attester_identity_done(&kept);
}

static void a_key_file_that_is_not_this_tpms_is_replaced(void **state)
{
	struct attester_identity first, second;
	char note[512], path[128], theirs[128], command[512];
	struct attester *a;
	struct stat st;

	needs_swtpm();
	a = open_tpm(&chip, "moved", NULL);
	first = identity_of(a);
	a->ops->close(a);

	/* The same file under another TPM. */
	swtpm_path(&other_chip, "moved", theirs, sizeof(theirs));
	assert_int_equal(mkdir(theirs, 0700), 0);
	swtpm_path(&chip, "moved/tpm-ak", path, sizeof(path));
	snprintf(command, sizeof(command), "cp %s %s/tpm-ak", path, theirs);
	assert_int_equal(system(command), 0);
	a = open_tpm(&other_chip, "moved", note);
	assert_non_null(strstr(note, "another TPM"));
	second = identity_of(a);
	a->ops->close(a);
	assert_false(view_equal(bytes_view(&first.key_name), bytes_view(&second.key_name)));
	attester_identity_done(&second);

	/* A wrapped key with one bit changed: the TPM notices. */
	assert_int_equal(stat(path, &st), 0);
	write_byte(path, st.st_size - 1, 1);
	a = open_tpm(&chip, "moved", note);
	assert_non_null(strstr(note, "does not take the old one"));
	a->ops->close(a);

	/* A file that is none. */
	write_byte(path, 0, 1);
	a = open_tpm(&chip, "moved", note);
	assert_non_null(strstr(note, "there was none"));
	a->ops->close(a);
	a = open_tpm(&chip, "moved", note);
	assert_string_equal(note, "");
	a->ops->close(a);
	attester_identity_done(&first);
}

static struct policy *policy_of(const char *bank, const char *pcr4, struct view ek_roots)
{
	struct policy *p = NULL;
	char *error = NULL, text[1024];

	snprintf(text, sizeof(text),
		 "application: a\nversion: 1\nplatforms:\n  tpm:\n    bank: %s\n"
		 "    pcrs: {4: [\"%s\"]}\n    ek_ca: roots.pem\n    event_log: allow\n",
		 bank, pcr4);
	if (policy_parse(view_text(text), "test", &p, &error) != 0)
		fail_msg("%s", error);
	assert_int_equal(policy_attach_ek_ca(p, ek_roots), 0);
	return p;
}

/* Judges one report of a; the rule of the first reason, or "" where it is accepted. */
static void judge(struct attester *a, const Assay__ChipReport *report, struct view over,
		  const struct policy *p, char *ret_rule, struct evidence_result *ret)
{
	struct attester_identity i = identity_of(a);
	struct evidence_input in = {
		.report = report,
		.claims = over,
		.now = (int64_t)time(NULL),
		.policy = p,
		.key_name = bytes_view(&i.key_name),
		.ek_certificate = bytes_view(&i.ek_certificate),
		.ek_chain = bytes_view(&i.ek_chain),
	};
	struct appraisal verdict;

	appraisal_init(&verdict);
	assert_int_equal(evidence_find("tpm")->verify(&in, &verdict, ret), 0);
	appraisal_finish(&verdict);
	strcpy(ret_rule, appraisal_accepted(&verdict) ? "" : verdict.reasons[0].rule);
	appraisal_done(&verdict);
	attester_identity_done(&i);
}

static void a_quote_is_judged_by_the_other_side(void **state)
{
	struct policy *good, *wrong_pcr, *wrong_ca;
	char rule[APPRAISAL_RULE_MAX];
	struct evidence_result result;
	Assay__ChipReport report;
	struct arena *arena;
	struct attester *a;

	needs_swtpm();
	good = policy_of("sha256", ZERO_PCR, bytes_view(&roots));
	wrong_pcr = policy_of("sha256", OTHER_PCR, bytes_view(&roots));
	wrong_ca = policy_of("sha256", ZERO_PCR, bytes_view(&other_roots));
	assert_int_equal(arena_new(1024 * 1024, &arena), 0);
	a = open_tpm(&chip, "quote", NULL);
	assay__chip_report__init(&report);
	assert_int_equal(a->ops->report(a, claims(), arena, &report), 0);
	assert_int_equal(report.n_pcrs, 4);
	assert_int_equal(report.event_log.len, 0);
	assert_int_equal(report.n_endorsements, 1);

	judge(a, &report, claims(), good, rule, &result);
	assert_string_equal(rule, "");
	assert_true(result.signature_good);
	assert_int_equal(result.pcrs_quoted, PCRS | 1u << RUNTIME_PCR);

	judge(a, &report, claims(), wrong_pcr, rule, &result);
	assert_string_equal(rule, "platforms.tpm.pcrs.4");
	judge(a, &report, claims(), wrong_ca, rule, &result);
	assert_string_equal(rule, "platforms.tpm.ek_ca");
	judge(a, &report, view_text("other Claims"), good, rule, &result);
	assert_string_equal(rule, "evidence.claims");
	assert_false(result.signature_good);

	/* Written and read again, as it travels. */
	{
		uint8_t *packed = malloc(assay__chip_report__get_packed_size(&report));
		size_t len = assay__chip_report__pack(&report, packed);
		Assay__ChipReport *read = assay__chip_report__unpack(NULL, len, packed);

		assert_non_null(read);
		judge(a, read, claims(), good, rule, &result);
		assert_string_equal(rule, "");
		assay__chip_report__free_unpacked(read, NULL);
		free(packed);
	}
	a->ops->close(a);
	arena_free(arena);
	policy_free(good);
	policy_free(wrong_pcr);
	policy_free(wrong_ca);
}

/* In one bank of one TPM: what extend does is what runtime, the quote and we ourselves say. */
static void check_extend(const struct swtpm *s, enum hash_alg bank, const char *zero,
			 struct view ek_roots)
{
	struct policy *p = policy_of(hash_name(bank), zero, ek_roots);
	struct attester_config config = config_of(s, NULL);
	const struct attester_ops *ops;
	struct digest m, value, expected, of_bank;
	char why[512], rule[APPRAISAL_RULE_MAX];
	struct evidence_result result;
	Assay__ChipReport report;
	struct attester *a = NULL;
	struct arena *arena;
	unsigned int pcr;

	config.bank = bank;
	ops = attester_pick("tpm", &config, why, sizeof(why));
	if (ops->open(&config, &a, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	assert_int_equal(digest_of(HASH_SHA256, view_text("M"), &m), 0);
	assert_int_equal(ops->runtime(a, &pcr, &expected), 0);
	assert_int_equal(pcr, RUNTIME_PCR);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ops->extend(a, &m), 0);
		of_bank = m;
		if (bank != HASH_SHA256)
			assert_int_equal(digest_of(bank, digest_view(&m), &of_bank), 0);
		assert_int_equal(digest_extend(&expected, digest_view(&of_bank)), 0);
		assert_int_equal(ops->runtime(a, &pcr, &value), 0);
		assert_true(digest_equal(&value, &expected));
	}
	assert_int_equal(arena_new(1024 * 1024, &arena), 0);
	assay__chip_report__init(&report);
	assert_int_equal(ops->report(a, claims(), arena, &report), 0);
	judge(a, &report, claims(), p, rule, &result);
	assert_string_equal(rule, "");
	assert_true(digest_equal(&result.pcrs[RUNTIME_PCR], &expected));
	ops->close(a);
	arena_free(arena);
	policy_free(p);
}

static void an_extend_shows_in_the_quote(void **state)
{
	needs_swtpm();
	check_extend(&chip, HASH_SHA256, ZERO_PCR, bytes_view(&roots));
	check_extend(&other_chip, HASH_SHA384, "00000000000000000000000000000000" ZERO_PCR,
		     bytes_view(&other_roots));
}

/* What enrolment sends: judged, and a credential sealed to it. */
static void enrol(struct attester *a, struct view ek_roots, struct view credential,
		  struct bytes *ret_name, struct bytes *ret_blob, struct bytes *ret_seed)
{
	struct attester_identity i = identity_of(a);
	struct credential_request request = {
		.ek_certificate = bytes_view(&i.ek_certificate),
		.ek_chain = bytes_view(&i.ek_chain),
		.ek_public = bytes_view(&i.ek_public),
		.ak_public = bytes_view(&i.ak_public),
	};
	struct appraisal verdict;

	appraisal_init(&verdict);
	*ret_name = BYTES_INIT(AK_NAME_MAX);
	*ret_blob = BYTES_INIT(CREDENTIAL_BLOB_MAX);
	*ret_seed = BYTES_INIT(CREDENTIAL_SEED_MAX);
	if (credential_judge(&request, ek_roots, (int64_t)time(NULL), &verdict, ret_name) != 1)
		fail_msg("%s: %s", verdict.reasons[0].rule, verdict.reasons[0].seen);
	assert_true(view_equal(bytes_view(ret_name), bytes_view(&i.key_name)));
	assert_int_equal(credential_make(request.ek_public, bytes_view(ret_name), credential,
					 ret_blob, ret_seed),
			 0);
	appraisal_done(&verdict);
	attester_identity_done(&i);
}

static void a_credential_opens_in_its_tpm_alone(void **state)
{
	struct attester *a, *b, *c;
	struct bytes name, blob, seed, other_blob, other_seed;
	uint8_t secret_bytes[CREDENTIAL_SIZE] = { 0 };
	struct view credential = view_of(secret_bytes, sizeof(secret_bytes));
	struct secret got = { 0 };
	struct attester_identity i;

	needs_swtpm();
	memset(secret_bytes, 0x5a, sizeof(secret_bytes));
	a = open_tpm(&chip, "enrol", NULL);
	enrol(a, bytes_view(&roots), credential, &name, &blob, &seed);
	assert_int_equal(a->ops->activate(a, bytes_view(&blob), bytes_view(&seed), &got), 0);
	assert_true(view_equal(secret_view(&got), credential));
	secret_done(&got);

	/* Any bit of either part. */
	for (size_t at = 0; at < blob.len; at += 7) {
		blob.data[at] ^= 0x40;
		assert_int_equal(a->ops->activate(a, bytes_view(&blob), bytes_view(&seed), &got),
				 -EBADMSG);
		blob.data[at] ^= 0x40;
	}
	for (size_t at = 0; at < seed.len; at += 31) {
		seed.data[at] ^= 0x40;
		assert_true(a->ops->activate(a, bytes_view(&blob), bytes_view(&seed), &got) < 0);
		seed.data[at] ^= 0x40;
	}
	/* Trailing and missing bytes. */
	assert_int_equal(
		a->ops->activate(a, view_of(blob.data, blob.len - 1), bytes_view(&seed), &got),
		-EBADMSG);
	assert_int_equal(bytes_append_u8(&blob, 0), 0);
	assert_int_equal(a->ops->activate(a, bytes_view(&blob), bytes_view(&seed), &got), -EBADMSG);
	blob.len--;
	assert_null(got.data);

	/* Not for another AK of the same TPM, and not in another TPM. */
	a->ops->close(a);
	c = open_tpm(&chip, "second-ak", NULL);
	assert_int_equal(c->ops->activate(c, bytes_view(&blob), bytes_view(&seed), &got), -EBADMSG);
	i = identity_of(c);
	other_blob = BYTES_INIT(CREDENTIAL_BLOB_MAX);
	other_seed = BYTES_INIT(CREDENTIAL_SEED_MAX);
	assert_int_equal(credential_make(bytes_view(&i.ek_public), bytes_view(&i.key_name),
					 credential, &other_blob, &other_seed),
			 0);
	c->ops->close(c);
	b = open_tpm(&other_chip, "enrol", NULL);
	assert_true(b->ops->activate(b, bytes_view(&other_blob), bytes_view(&other_seed), &got) <
		    0);
	b->ops->close(b);
	attester_identity_done(&i);
	bytes_done(&name);
	bytes_done(&blob);
	bytes_done(&seed);
	bytes_done(&other_blob);
	bytes_done(&other_seed);
}

/* A storage key on P-256 or P-384: what an ECC EK is, but used with its empty password. */
static TPM2B_PUBLIC ecc_storage_key(TPMI_ECC_CURVE curve, TPMI_ALG_HASH name_alg,
				    TPM2_KEY_BITS aes_bits)
{
	return (TPM2B_PUBLIC){
		.publicArea = {
			.type = TPM2_ALG_ECC,
			.nameAlg = name_alg,
			.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
					    TPMA_OBJECT_SENSITIVEDATAORIGIN |
					    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_RESTRICTED |
					    TPMA_OBJECT_DECRYPT,
			.parameters.eccDetail = {
				.symmetric = { TPM2_ALG_AES, { .aes = aes_bits },
					       { .aes = TPM2_ALG_CFB } },
				.scheme = { .scheme = TPM2_ALG_NULL },
				.curveID = curve,
				.kdf = { .scheme = TPM2_ALG_NULL },
			},
		},
	};
}

static void check_ecc_credential(struct attester *a, const TPM2B_PUBLIC *template)
{
	struct tpm *t = (struct tpm *)a;
	struct bytes blob = BYTES_INIT(CREDENTIAL_BLOB_MAX), seed = BYTES_INIT(CREDENTIAL_SEED_MAX);
	struct attester_identity i = identity_of(a);
	struct view credential = view_text("thirty-two bytes of a credential");
	uint8_t raw[sizeof(TPMT_PUBLIC)];
	TPM2B_SENSITIVE_CREATE sensitive = { 0 };
	TPML_PCR_SELECTION pcrs = { 0 };
	TPM2B_ENCRYPTED_SECRET tpm_seed = { 0 };
	TPM2B_ID_OBJECT tpm_blob = { 0 };
	TPM2B_PUBLIC *public = NULL;
	TPM2B_DIGEST *got = NULL;
	TPM2B_DATA data = { 0 };
	size_t len = 0, at = 0;
	ESYS_TR key;

	assert_int_equal(Esys_CreatePrimary(t->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD,
					    ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, template, &data,
					    &pcrs, &key, &public, NULL, NULL, NULL),
			 TSS2_RC_SUCCESS);
	assert_int_equal(Tss2_MU_TPMT_PUBLIC_Marshal(&public->publicArea, raw, sizeof(raw), &len),
			 TSS2_RC_SUCCESS);
	assert_int_equal(credential_make(view_of(raw, len), bytes_view(&i.key_name), credential,
					 &blob, &seed),
			 0);
	assert_int_equal(Tss2_MU_TPM2B_ID_OBJECT_Unmarshal(blob.data, blob.len, &at, &tpm_blob),
			 TSS2_RC_SUCCESS);
	at = 0;
	assert_int_equal(
		Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(seed.data, seed.len, &at, &tpm_seed),
		TSS2_RC_SUCCESS);
	assert_int_equal(Esys_ActivateCredential(t->esys, t->ak, key, ESYS_TR_PASSWORD,
						 ESYS_TR_PASSWORD, ESYS_TR_NONE, &tpm_blob,
						 &tpm_seed, &got),
			 TSS2_RC_SUCCESS);
	assert_true(view_equal(view_of(got->buffer, got->size), credential));
	assert_int_equal(Esys_FlushContext(t->esys, key), TSS2_RC_SUCCESS);
	Esys_Free(got);
	Esys_Free(public);
	attester_identity_done(&i);
	bytes_done(&blob);
	bytes_done(&seed);
}

static void a_credential_opens_under_an_ecc_ek(void **state)
{
	TPM2B_PUBLIC p256 = ecc_storage_key(TPM2_ECC_NIST_P256, TPM2_ALG_SHA256, 128);
	TPM2B_PUBLIC p384 = ecc_storage_key(TPM2_ECC_NIST_P384, TPM2_ALG_SHA384, 256);
	struct attester *a;

	needs_swtpm();
	a = open_tpm(&chip, "ecc", NULL);
	check_ecc_credential(a, &p256);
	check_ecc_credential(a, &p384);
	a->ops->close(a);
}

/* Handles that the TPM holds of one kind. */
static uint32_t handles(struct tpm *t, uint32_t first)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	TPMI_YES_NO more;
	uint32_t n;

	assert_int_equal(Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
					    TPM2_CAP_HANDLES, first, 16, &more, &data),
			 TSS2_RC_SUCCESS);
	n = data->data.handles.count;
	Esys_Free(data);
	return n;
}

static void nothing_is_left_in_the_tpm(void **state)
{
	struct bytes name, blob, seed;
	struct secret got = { 0 };
	Assay__ChipReport report;
	struct arena *arena;
	struct attester *a;
	struct tpm *t;

	needs_swtpm();
	a = open_tpm(&chip, "left", NULL);
	t = (struct tpm *)a;
	enrol(a, bytes_view(&roots), view_text("credential"), &name, &blob, &seed);
	assert_int_equal(arena_new(1024 * 1024, &arena), 0);
	for (int i = 0; i < 10; i++) {
		assay__chip_report__init(&report);
		assert_int_equal(a->ops->report(a, claims(), arena, &report), 0);
		assert_int_equal(a->ops->activate(a, bytes_view(&blob), bytes_view(&seed), &got),
				 0);
		secret_done(&got);
		seed.data[9] ^= 1;
		assert_true(a->ops->activate(a, bytes_view(&blob), bytes_view(&seed), &got) < 0);
		seed.data[9] ^= 1;
		assert_int_equal(handles(t, TRANSIENT_FIRST), 1); /* the AK */
		assert_int_equal(handles(t, SESSION_FIRST), 0);
	}
	a->ops->close(a);
	a = open_tpm(&chip, "left", NULL);
	assert_int_equal(handles((struct tpm *)a, TRANSIENT_FIRST), 1);
	a->ops->close(a);
	arena_free(arena);
	bytes_done(&name);
	bytes_done(&blob);
	bytes_done(&seed);
}

static void loads_a_forgotten_ak(struct attester *a)
{
	struct attester_identity before, after;
	struct tpm *t = (struct tpm *)a;
	Assay__ChipReport report;
	struct arena *arena;

	before = identity_of(a);
	assert_int_equal(Esys_FlushContext(t->esys, t->ak), TSS2_RC_SUCCESS);
	assert_int_equal(arena_new(1024 * 1024, &arena), 0);
	assay__chip_report__init(&report);
	assert_int_equal(a->ops->report(a, claims(), arena, &report), 0);
	after = identity_of(a);
	assert_true(view_equal(bytes_view(&before.key_name), bytes_view(&after.key_name)));
	attester_identity_done(&before);
	attester_identity_done(&after);
	a->ops->close(a);
	arena_free(arena);
}

static void an_ak_that_the_tpm_forgot_is_loaded_again(void **state)
{
	struct attester_config derived;
	char why[ATTESTER_WHY_MAX];
	struct attester *a;

	(void)state;
	needs_swtpm();
	loads_a_forgotten_ak(open_tpm(&chip, "forgot", NULL));
	derived = config_of(&chip, NULL);
	assert_int_equal(attester_tpm.open(&derived, &a, why, sizeof(why)), 0);
	loads_a_forgotten_ak(a);
}

static void an_event_log_is_shipped_and_judged(void **state)
{
	struct policy *p;
	struct attester_config config;
	char file[128], why[512], rule[APPRAISAL_RULE_MAX];
	struct evidence_result result;
	Assay__ChipReport report;
	struct attester *a = NULL;
	struct arena *arena;
	/* One SHA-1 record, which says nothing of the SHA-256 bank. */
	static const uint8_t log[32] = { 4, 0, 0, 0, 5 };
	FILE *f;

	needs_swtpm();
	p = policy_of("sha256", ZERO_PCR, bytes_view(&roots));
	swtpm_path(&chip, "log-of-boot", file, sizeof(file));
	f = fopen(file, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(log, sizeof(log), 1, f), 1);
	fclose(f);
	config = config_of(&chip, NULL);
	config.event_log = file;
	assert_int_equal(attester_pick("tpm", &config, why, sizeof(why))
				 ->open(&config, &a, why, sizeof(why)),
			 0);
	assert_int_equal(arena_new(1024 * 1024, &arena), 0);
	assay__chip_report__init(&report);
	assert_int_equal(a->ops->report(a, claims(), arena, &report), 0);
	assert_int_equal(report.event_log.len, sizeof(log));
	judge(a, &report, claims(), p, rule, &result);
	assert_string_equal(rule, ""); /* the policy does not ask for one: a warning */
	assert_false(result.event_log_replayed);
	a->ops->close(a);
	arena_free(arena);
	policy_free(p);
}

static void socket_of_no_one(struct attester_config *config)
{
	config->tcti = "swtpm:path=/nonexistent/assay-tpm";
}

static void device_of_no_one(struct attester_config *config)
{
	config->tcti = "device:/nonexistent/tpmrm0";
}

static void no_such_tcti(struct attester_config *config)
{
	config->tcti = "nonsense:";
}

static void runtime_16(struct attester_config *config)
{
	config->runtime_pcr = 16;
}

static void runtime_23(struct attester_config *config)
{
	config->runtime_pcr = 23;
}

static void pcr_24(struct attester_config *config)
{
	config->pcrs |= 1u << 24;
}

static void bank_not_there(struct attester_config *config)
{
	config->bank = HASH_SHA384;
}

static void bank_unknown(struct attester_config *config)
{
	config->bank = (enum hash_alg)0x7777;
}

static void log_is_a_directory(struct attester_config *config)
{
	config->event_log = "/";
}

static void state_under_a_file(struct attester_config *config)
{
	config->state = "/dev/null/state";
}

static const struct {
	const char *what;
	void (*change)(struct attester_config *config);
	int error;
	const char *why;
} refusals[] = {
	{ "no socket", socket_of_no_one, -ENODEV, "is there a TPM 2.0" },
	{ "no device", device_of_no_one, -ENODEV, "is there a TPM 2.0" },
	{ "no such TCTI", no_such_tcti, -ENODEV, "is the TCTI string right" },
	{ "PCR 16 can be reset", runtime_16, -EINVAL, "must be 0 to 15" },
	{ "PCR 23 can be reset", runtime_23, -EINVAL, "must be 0 to 15" },
	{ "PCR 24", pcr_24, -EINVAL, "0 to 23" },
	{ "a bank that the TPM does not have", bank_not_there, -EOPNOTSUPP, "its banks: sha256" },
	{ "a bank that no one knows", bank_unknown, -EINVAL, "no PCR bank 0x7777" },
	{ "an event log that cannot be read", log_is_a_directory, -EISDIR, "directory" },
	{ "nowhere to keep the key", state_under_a_file, -ENOTDIR, "/dev/null/state" },
};

static void what_cannot_work_says_why(void **state)
{
	needs_swtpm();
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		struct attester_config config = config_of(&chip, NULL);
		struct attester *a = NULL;
		char why[512] = "";
		int r;

		refusals[i].change(&config);
		r = attester_pick("tpm", &config, why, sizeof(why))
			    ->open(&config, &a, why, sizeof(why));
		if (r != refusals[i].error || !strstr(why, refusals[i].why) || a)
			fail_msg("%s: %d: %s", refusals[i].what, r, why);
	}
}

static void auto_finds_the_tpm_and_never_soft(void **state)
{
	struct attester_config config = config_of(&chip, NULL);
	const struct attester_ops *ops;
	char why[512];

	needs_swtpm();
	ops = attester_pick("auto", &config, why, sizeof(why));
	assert_non_null(ops);
	assert_string_equal(ops->platform, "tpm");
	assert_non_null(strstr(why, chip.tcti));
	device_of_no_one(&config);
	config.key = "/nonexistent/key.pem";
	assert_null(attester_pick("auto", &config, why, sizeof(why)));
	assert_non_null(strstr(why, "tpm: cannot talk to a TPM"));
	assert_null(attester_pick("toaster", &config, why, sizeof(why)));
	assert_non_null(strstr(why, "tpm, soft"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ak_outlives_a_restart),
		cmocka_unit_test(without_a_state_directory_the_ak_is_the_same),
		cmocka_unit_test(a_key_file_that_is_not_this_tpms_is_replaced),
		cmocka_unit_test(a_quote_is_judged_by_the_other_side),
		cmocka_unit_test(an_extend_shows_in_the_quote),
		cmocka_unit_test(a_credential_opens_in_its_tpm_alone),
		cmocka_unit_test(a_credential_opens_under_an_ecc_ek),
		cmocka_unit_test(nothing_is_left_in_the_tpm),
		cmocka_unit_test(an_ak_that_the_tpm_forgot_is_loaded_again),
		cmocka_unit_test(an_event_log_is_shipped_and_judged),
		cmocka_unit_test(what_cannot_work_says_why),
		cmocka_unit_test(auto_finds_the_tpm_and_never_soft),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
