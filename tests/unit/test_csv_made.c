/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "endorsement_store.h"
#include "tests/support/alone_try.h"
#include "tests/support/csv_fixture.h"
#include "tests/support/shared_evidence.h"

/*
 * What no genuine evidence at hand shows: reports of both versions that are good but for one
 * thing, and signed as they are, by a Hygon of our own.
 */

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)
CLEANUP_FUNCTION(struct policy *, policy_free)

#define AT	"2026-09-01T00:00:00Z"
#define V1_SIZE 2548
#define V2_SIZE 3380
#define WRAPPED 4116
#define HEX32	"3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e"
#define RTMR1	"1111111111111111111111111111111111111111111111111111111111111111"
#define RTMR2	"2222222222222222222222222222222222222222222222222222222222222222"
#define VM_ID	"1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d"

struct making {
	struct csv_fixture f;
	uint8_t bytes[WRAPPED]; /* what is handed in */
	size_t len;
	const uint8_t *log;
	size_t log_len;
};

/* Made once: a test takes them back by copying. */
static struct csv_fixture maker;

static int make_keys(void **state)
{
	(void)state;
	csv_fixture_init(&maker);
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	csv_fixture_done(&maker);
	return 0;
}

static void put_le32(uint8_t *to, uint32_t v)
{
	for (size_t i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> 8 * i);
}

/* Changes before the report is signed ... */

static void debuggable(struct making *m)
{
	m->f.plain[176] &= (uint8_t)~1u;
}

static void without_csv3(struct making *m)
{
	m->f.plain[176] &= (uint8_t)~0x40u;
}

static void other_usage(struct making *m)
{
	put_le32(m->f.plain + 180, 0x1001);
}

static void other_algorithm(struct making *m)
{
	put_le32(m->f.plain + 184, 3);
}

static void no_mask(struct making *m)
{
	put_le32(m->f.plain + 188, 0);
}

static void no_registers(struct making *m)
{
	memset(m->f.plain + 192, 0, 2);
	memset(m->f.plain + 208, 0, 5 * 32);
}

static void later_registers(struct making *m)
{
	m->f.plain[192] = 2;
}

static void register_0_of_another(struct making *m)
{
	m->f.plain[208] ^= 1;
}

static void reserved_before_registers(struct making *m)
{
	m->f.plain[207] = 1;
}

static void reserved_before_signature(struct making *m)
{
	m->f.plain[1023] = 1;
}

/* ... in the certificates, which are signed afterwards ... */

static void pek_of_another_usage(struct making *m)
{
	put_le32(m->f.pek_certificate + 8, 0x1003);
}

static void pek_that_a_pek_signed(struct making *m)
{
	put_le32(m->f.pek_certificate + 1044, 0x1002);
}

static void pek_without_a_signature(struct making *m)
{
	memset(m->f.pek_certificate + 1048, 0, 516);
	put_le32(m->f.pek_certificate + 1044, 0x1000);
}

static void pek_with_a_long_user_id(struct making *m)
{
	m->f.pek_certificate[164] = 0xff;
}

static void pek_without_a_user_id(struct making *m)
{
	m->f.pek_certificate[164] = 0;
}

static void pek_of_another_curve(struct making *m)
{
	put_le32(m->f.pek_certificate + 16, 2);
}

static void pek_off_the_curve(struct making *m)
{
	m->f.pek_certificate[20] ^= 1;
}

static void pek_with_a_wide_number(struct making *m)
{
	m->f.pek_certificate[20 + 32] = 1;
}

static void cek_of_another_hsk(struct making *m)
{
	m->f.cek_certificate[420] ^= 1;
}

static void hsk_of_another_root(struct making *m)
{
	m->f.hsk_certificate[20] ^= 1;
}

static void hsk_as_root(struct making *m)
{
	put_le32(m->f.hsk_certificate + 36, 0);
}

/* ... and in what comes out. */

static void restored(struct making *m)
{
	csv_fixture_restore(&m->f);
}

static void other_mac(struct making *m)
{
	m->f.report[m->f.report_size - 1] ^= 1;
}

static void other_serial(struct making *m)
{
	m->f.report[m->f.report_size - 100] ^= 1;
}

static void restored_with_another_serial(struct making *m)
{
	restored(m);
	other_serial(m);
}

static void number_that_does_not_fit(struct making *m)
{
	m->f.report[(m->f.version == 1 ? 192 : 1024) + 32] = 1;
}

static void signature_of_zero(struct making *m)
{
	memset(m->f.report + (m->f.version == 1 ? 192 : 1024), 0, 144);
}

static void signature_of_another(struct making *m)
{
	m->f.report[(m->f.version == 1 ? 192 : 1024) + 3] ^= 4;
}

static void unsigned_hrk(struct making *m)
{
	struct digest d;

	m->f.hrk_certificate[576] ^= 1;
	assert_int_equal(digest_of(HASH_SHA256, view_of(m->f.hrk_certificate, 832), &d), 0);
	memcpy(m->f.root.sha256, d.bytes, 32);
}

static void hrk_not_pinned(struct making *m)
{
	m->f.root.sha256[0] ^= 1;
}

static void hsk_not_signed(struct making *m)
{
	m->f.hsk_certificate[576 + 5] ^= 1;
}

static void bytes_behind_an_hsk(struct making *m)
{
	m->f.hsk_certificate[831] = 1;
}

/* How it is handed in. */

static void as_page(struct making *m)
{
	memcpy(m->bytes, m->f.report, CSV_FIXTURE_PAGE);
	m->len = CSV_FIXTURE_PAGE;
}

static void page_with_a_tail(struct making *m)
{
	as_page(m);
	memset(m->bytes + m->f.report_size, 0xee, CSV_FIXTURE_PAGE - m->f.report_size);
}

static void wrap(struct making *m, const char *magic, uint32_t flags)
{
	memset(m->bytes, 0, 20);
	memcpy(m->bytes, magic, strlen(magic));
	put_le32(m->bytes + 16, flags);
	memcpy(m->bytes + 20, m->f.report, CSV_FIXTURE_PAGE);
	m->len = WRAPPED;
}

static void wrapped_legacy(struct making *m)
{
	wrap(m, "", 0);
}

static void wrapped_extended(struct making *m)
{
	wrap(m, "ATTESTATION_EXT", 1);
}

static void wrapped_extended_without_flag(struct making *m)
{
	wrap(m, "ATTESTATION_EXT", 0);
}

static void wrapped_unknown_flag(struct making *m)
{
	wrap(m, "ATTESTATION_EXT", 2);
}

static void wrapped_unknown_magic(struct making *m)
{
	wrap(m, "ATTESTATION_NEW", 1);
}

typedef void change(struct making *m);

static const struct {
	const char *what;
	uint32_t version;
	change *plain, *certificates, *made, *handed_in;
	const char *policy;
	enum evidence_verdict verdict;
	const char *rule, *seen; /* of one reason; NULL: there is none at all */
	bool warns;		 /* it is a warning, and valid */
} cases[] = {
	{ "version 1", 1, NULL, NULL, NULL, NULL, NULL, EVIDENCE_VALID, NULL, NULL, false },
	{ "version 2", 2, NULL, NULL, NULL, NULL, NULL, EVIDENCE_VALID, NULL, NULL, false },
	{ "version 1 in its page", 1, NULL, NULL, NULL, as_page, NULL, EVIDENCE_VALID, NULL, NULL,
	  false },
	{ "version 2 in its page", 2, NULL, NULL, NULL, as_page, NULL, EVIDENCE_VALID, NULL, NULL,
	  false },
	{ "a page with something behind version 1", 1, NULL, NULL, NULL, page_with_a_tail, NULL,
	  EVIDENCE_VALID, NULL, NULL, false },
	{ "a page with something behind version 2", 2, NULL, NULL, NULL, page_with_a_tail, NULL,
	  EVIDENCE_VALID, NULL, NULL, false },
	{ "version 1 that was wrapped", 1, NULL, NULL, NULL, wrapped_legacy, NULL, EVIDENCE_VALID,
	  NULL, NULL, false },
	{ "version 1 that was wrapped, asked for in the new way", 1, NULL, NULL, NULL,
	  wrapped_extended_without_flag, NULL, EVIDENCE_VALID, NULL, NULL, false },
	{ "version 2 that was wrapped", 2, NULL, NULL, NULL, wrapped_extended, NULL, EVIDENCE_VALID,
	  NULL, NULL, false },
	{ "version 1 whose wrapper says 2", 1, NULL, NULL, NULL, wrapped_extended, NULL,
	  EVIDENCE_INVALID, NULL, NULL, false },
	{ "version 2 whose wrapper says 1", 2, NULL, NULL, NULL, wrapped_legacy, NULL,
	  EVIDENCE_INVALID, NULL, NULL, false },
	{ "a wrapper with another flag", 2, NULL, NULL, NULL, wrapped_unknown_flag, NULL,
	  EVIDENCE_INVALID, NULL, NULL, false },
	{ "a wrapper with another magic", 2, NULL, NULL, NULL, wrapped_unknown_magic, NULL,
	  EVIDENCE_INVALID, NULL, NULL, false },
	{ "a mask of zero", 1, no_mask, NULL, NULL, NULL, NULL, EVIDENCE_VALID, NULL, NULL, false },

	/* What a guest's library leaves cannot be checked by its MAC, and that is said. */
	{ "version 1 that was unmasked", 1, NULL, NULL, restored, NULL, NULL, EVIDENCE_VALID,
	  "evidence.mac", "could not be checked", true },
	{ "version 2 whose reserved bytes were cleared", 2, NULL, NULL, restored, NULL, NULL,
	  EVIDENCE_VALID, "evidence.mac", "could not be checked", true },
	{ "version 1 that was unmasked, another serial", 1, NULL, NULL,
	  restored_with_another_serial, NULL, NULL, EVIDENCE_VALID, "evidence.mac",
	  "could not be checked", true },
	{ "version 1 with another MAC", 1, NULL, NULL, other_mac, NULL, NULL, EVIDENCE_INVALID,
	  "evidence.mac", "another", false },
	{ "version 2 with another MAC", 2, NULL, NULL, other_mac, NULL, NULL, EVIDENCE_INVALID,
	  "evidence.mac", "another", false },
	{ "version 1 with another serial", 1, NULL, NULL, other_serial, NULL, NULL,
	  EVIDENCE_INVALID, "evidence.mac", "another", false },

	/* The report. */
	{ "a usage that is not PEK", 1, other_usage, NULL, NULL, NULL, NULL, EVIDENCE_INVALID, NULL,
	  NULL, false },
	{ "a usage that is not PEK, version 2", 2, other_usage, NULL, NULL, NULL, NULL,
	  EVIDENCE_INVALID, NULL, NULL, false },
	{ "another algorithm", 1, other_algorithm, NULL, NULL, NULL, NULL, EVIDENCE_INVALID, NULL,
	  NULL, false },
	{ "registers of a later version", 2, later_registers, NULL, NULL, NULL, NULL,
	  EVIDENCE_INVALID, "evidence.report", "version of its registers", false },
	{ "a register 0 that is not the measurement", 2, register_0_of_another, NULL, NULL, NULL,
	  NULL, EVIDENCE_INVALID, "evidence.report", "register 0", false },
	{ "reserved bytes before the registers", 2, reserved_before_registers, NULL, NULL, NULL,
	  NULL, EVIDENCE_INVALID, "evidence.report", "before its registers", false },
	{ "reserved bytes before the signature", 2, reserved_before_signature, NULL, NULL, NULL,
	  NULL, EVIDENCE_INVALID, "evidence.report", "before the signature", false },
	{ "no registers", 2, no_registers, NULL, NULL, NULL, NULL, EVIDENCE_VALID, NULL, NULL,
	  false },
	{ "a number too large, version 1", 1, NULL, NULL, number_that_does_not_fit, NULL, NULL,
	  EVIDENCE_INVALID, "evidence.report", "does not fit", false },
	{ "a number too large, version 2", 2, NULL, NULL, number_that_does_not_fit, NULL, NULL,
	  EVIDENCE_INVALID, "evidence.report", "does not fit", false },
	{ "a signature of zeros", 2, NULL, NULL, signature_of_zero, NULL, NULL, EVIDENCE_INVALID,
	  "evidence.signature", "does not verify", false },
	{ "another signature", 1, NULL, NULL, signature_of_another, NULL, NULL, EVIDENCE_INVALID,
	  "evidence.signature", "does not verify", false },

	/* Certificates. */
	{ "a PEK of another usage", 2, NULL, pek_of_another_usage, NULL, NULL, NULL,
	  EVIDENCE_INVALID, NULL, NULL, false },
	{ "a PEK signed by a PEK", 2, NULL, pek_that_a_pek_signed, NULL, NULL, NULL,
	  EVIDENCE_INVALID, "evidence.chain", "of 1 that did not sign it", false },
	{ "a PEK with a user id past its field", 1, NULL, pek_with_a_long_user_id, NULL, NULL, NULL,
	  EVIDENCE_INVALID, "evidence.report", "user id", false },
	{ "a PEK without a user id", 1, NULL, pek_without_a_user_id, NULL, NULL, NULL,
	  EVIDENCE_INVALID, "evidence.report", "user id", false },
	{ "a PEK of another curve", 1, NULL, pek_of_another_curve, NULL, NULL, NULL,
	  EVIDENCE_INVALID, "evidence.report", "not of SM2", false },
	{ "a PEK that is no point of the curve", 1, NULL, pek_off_the_curve, NULL, NULL, NULL,
	  EVIDENCE_INVALID, "evidence.signature", "does not verify", false },
	{ "a PEK with a number too large", 1, NULL, pek_with_a_wide_number, NULL, NULL, NULL,
	  EVIDENCE_INVALID, "evidence.report", "does not fit", false },
	{ "a CEK that names another HSK", 1, NULL, cek_of_another_hsk, NULL, NULL, NULL,
	  EVIDENCE_INVALID, "evidence.chain", "the HSK that signed", false },
	{ "an HSK that names another root", 1, NULL, hsk_of_another_root, NULL, NULL, NULL,
	  EVIDENCE_INVALID, "evidence.chain", "is not", false },
	{ "an HSK that calls itself a root", 1, NULL, hsk_as_root, NULL, NULL, NULL,
	  EVIDENCE_INVALID, "evidence.chain", "the HSK that signed", false },
	{ "a pinned root that did not sign itself", 1, NULL, NULL, unsigned_hrk, NULL, NULL,
	  EVIDENCE_INVALID, "evidence.chain", "did not", false },
	{ "a root that is not pinned", 1, NULL, NULL, hrk_not_pinned, NULL, NULL, EVIDENCE_INVALID,
	  "evidence.chain", "of 1 root", false },
	{ "an HSK that the root did not sign", 1, NULL, NULL, hsk_not_signed, NULL, NULL,
	  EVIDENCE_INVALID, "evidence.chain", "is not", false },

	/* Policy. */
	{ "a guest that may be debugged", 1, debuggable, NULL, NULL, NULL, NULL, EVIDENCE_POLICY,
	  "platforms.csv.debug", "NODBG", false },
	{ "the same in version 2", 2, debuggable, NULL, NULL, NULL, "csv: {}", EVIDENCE_POLICY,
	  "platforms.csv.debug", "NODBG", false },
	{ "a guest that may be debugged, allowed", 2, debuggable, NULL, NULL, NULL,
	  "csv: {debug: allow}", EVIDENCE_VALID, NULL, NULL, false },
	{ "all that a policy can ask for", 2, NULL, NULL, NULL, NULL,
	  "csv: {measurement: [\"" HEX32 "\"], rtmr1: [\"" RTMR1 "\"], rtmr2: [\"" RTMR1
	  "\", \"" RTMR2 "\"], vm_id: [\"" VM_ID
	  "\"], version_min: 2, build_min: 2337, guest_policy: {require: [csv3, es], deny: "
	  "[asid_reuse]}}",
	  EVIDENCE_VALID, NULL, NULL, false },
	{ "another register", 2, NULL, NULL, NULL, NULL, "csv: {rtmr3: [\"" RTMR1 "\"]}",
	  EVIDENCE_POLICY, "platforms.csv.rtmr3", "33333333", false },
	{ "a register of a report without", 1, NULL, NULL, NULL, NULL,
	  "csv: {rtmr1: [\"" RTMR1 "\"]}", EVIDENCE_POLICY, "platforms.csv.rtmr1", "one without",
	  false },
	{ "a register of zeros where there are none", 2, no_registers, NULL, NULL, NULL,
	  "csv: {rtmr4: [\"0000000000000000000000000000000000000000000000000000000000000000\"]}",
	  EVIDENCE_POLICY, "platforms.csv.rtmr4", "one without", false },
	{ "another vm id", 1, NULL, NULL, NULL, NULL,
	  "csv: {vm_id: [\"00000000000000000000000000000000\"]}", EVIDENCE_POLICY,
	  "platforms.csv.vm_id", VM_ID, false },
	{ "another vm version", 1, NULL, NULL, NULL, NULL, "csv: {vm_version: [\"" VM_ID "\"]}",
	  EVIDENCE_POLICY, "platforms.csv.vm_version", "0000", false },
	{ "another key of the guest's owner", 1, NULL, NULL, NULL, NULL,
	  "csv: {user_public_key_digest: [\"" HEX32 "\"]}", EVIDENCE_POLICY,
	  "platforms.csv.user_public_key_digest", "0000", false },
	{ "another chip", 1, NULL, NULL, NULL, NULL, "csv: {chip_id: [\"" HEX32 "\"]}",
	  EVIDENCE_POLICY, "platforms.csv.chip_id", HEX32, false },
	{ "a later firmware", 2, NULL, NULL, NULL, NULL, "csv: {build_min: 2340}", EVIDENCE_POLICY,
	  "platforms.csv.build_min", "2339", false },
	{ "a build of a report that has none", 1, NULL, NULL, NULL, NULL, "csv: {build_min: 1}",
	  EVIDENCE_POLICY, "platforms.csv.build_min", "0", false },
	{ "no CSV3", 2, without_csv3, NULL, NULL, NULL, "csv: {guest_policy: {require: [csv3]}}",
	  EVIDENCE_POLICY, "platforms.csv.guest_policy", "csv3", false },
	{ "a flag that is denied", 2, NULL, NULL, NULL, NULL, "csv: {guest_policy: {deny: [es]}}",
	  EVIDENCE_POLICY, "platforms.csv.guest_policy", "es is set", false },
	{ "an event log that is asked for", 2, NULL, NULL, NULL, NULL, "csv: {event_log: require}",
	  EVIDENCE_POLICY, "platforms.csv.event_log", "none", false },
};

static void apply(change *c, struct making *m)
{
	if (c)
		c(m);
}

static void try_made(struct making *m, const struct endorsements *e, const struct policy *p,
		     struct alone_try *ret)
{
	const struct evidence_file files[] = { { "report", view_of(m->bytes, m->len) },
					       { "log", view_of(m->log, m->log_len) } };
	struct alone_try_in in = { .files = files,
				   .n = m->log ? 2 : 1,
				   .endorsements = e,
				   .at = AT,
				   .policy = p,
				   .roots = &m->f.root,
				   .n_roots = 1 };

	alone_try(&in, ret);
}

static void start(struct making *m, uint32_t version)
{
	uint8_t data[64];

	*m = (struct making){ .f = maker };
	memset(data, 0xda, sizeof(data));
	csv_fixture_report(&m->f, version, data);
}

static void hand_in(struct making *m)
{
	memcpy(m->bytes, m->f.report, m->f.report_size);
	m->len = m->f.report_size;
}

static void one_thing_wrong_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(policy_freep) struct policy *p = alone_try_policy(cases[i].policy);
		CLEANUP(endorsements_freep) struct endorsements *e = NULL;
		struct making m;
		struct alone_try t;

		start(&m, cases[i].version);
		apply(cases[i].plain, &m);
		if (cases[i].certificates) {
			cases[i].certificates(&m);
			csv_fixture_certify(&m.f);
		}
		csv_fixture_sign(&m.f);
		apply(cases[i].made, &m);
		hand_in(&m);
		apply(cases[i].handed_in, &m);
		assert_int_equal(endorsements_new(&e), 0);
		csv_fixture_endorse(&m.f, e);
		try_made(&m, e, p, &t);
		if (cases[i].warns) {
			if (t.verdict != EVIDENCE_VALID || t.a.n != 1 || !t.a.reasons[0].warning ||
			    strcmp(t.a.reasons[0].rule, cases[i].rule) != 0)
				fail_msg("%s", cases[i].what);
		} else if (cases[i].verdict == EVIDENCE_INVALID && !cases[i].rule) {
			/* Not even found to be a report. */
			if (t.verdict != EVIDENCE_INVALID || t.result.signature_good)
				fail_msg("%s", cases[i].what);
		} else {
			alone_try_expect(cases[i].what, &t, cases[i].verdict, cases[i].rule,
					 cases[i].seen);
		}
		appraisal_done(&t.a);
	}
}

/* What cannot be signed again: it is broken after csv_fixture_certify. */
static void a_pek_that_nobody_signed_is_refused(void **state)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	struct making m;
	struct alone_try t;

	(void)state;
	start(&m, 2);
	pek_without_a_signature(&m);
	csv_fixture_sign(&m.f);
	hand_in(&m);
	assert_int_equal(endorsements_new(&e), 0);
	csv_fixture_endorse(&m.f, e);
	try_made(&m, e, NULL, &t);
	alone_try_expect("a PEK that nobody signed", &t, EVIDENCE_INVALID, "evidence.chain",
			 "of 1 that did not sign it");
	appraisal_done(&t.a);
}

static void bytes_that_nobody_signed_make_no_certificate(void **state)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	struct making m;
	const char *why = NULL;

	(void)state;
	start(&m, 1);
	bytes_behind_an_hsk(&m);
	assert_int_equal(endorsements_new(&e), 0);
	assert_int_equal(endorsements_add(e, view_of(m.f.hsk_certificate, 832), &why), -EBADMSG);
	assert_non_null(why);
	assert_int_equal(endorsements_count(e), 0);
}

/* As Hygon serves them, and the whole chain in one; cut anywhere it is nothing. */
static void certificates_may_follow_one_another(void **state)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	uint8_t all[832 + 832 + 2084];
	const char *why;

	(void)state;
	memcpy(all, maker.hrk_certificate, 832);
	memcpy(all + 832, maker.hsk_certificate, 832);
	memcpy(all + 1664, maker.cek_certificate, 2084);
	assert_int_equal(endorsements_new(&e), 0);
	for (size_t len = 1; len < sizeof(all); len++) {
		if (len == 832 || len == 1664)
			continue;
		if (endorsements_add(e, view_of(all, len), &why) != -EBADMSG)
			fail_msg("cut at %zu", len);
	}
	assert_int_equal(endorsements_count(e), 0);
	assert_int_equal(endorsements_add(e, view_of(all, sizeof(all)), &why), 0);
	assert_int_equal(endorsements_count(e), 3);
	assert_int_equal(endorsements_add(e, view_of(all + 832, 832 + 2084), &why), 0);
	assert_int_equal(endorsements_count(e), 5);
}

/* Each certificate is kept as one of the platform's, of no one chip. */
static void certificates_can_be_kept(void **state)
{
	static const char *const what[] = { "HRK of Hygon", "HSK of Hygon", "CEK of Hygon" };
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;

	(void)state;
	assert_int_equal(endorsements_new(&e), 0);
	csv_fixture_endorse(&maker, e);
	for (size_t i = 0; i < ARRAY_LEN(what); i++) {
		struct endorsement_key key;
		const char *why;

		assert_int_equal(endorsement_key_read(endorsements_at(e, i), &key, &why), 0);
		assert_string_equal(key.platform, "csv");
		assert_string_equal(key.what, what[i]);
		assert_int_equal(key.chip_len, 0);
	}
}

/* Bits apart in a run of every test; all with ASSAY_EVERY_BIT. A prime: all places occur. */
static size_t step(void)
{
	return getenv("ASSAY_EVERY_BIT") ? 1 : 53;
}

static void a_flipped_bit_is_refused(void **state)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;

	(void)state;
	assert_int_equal(endorsements_new(&e), 0);
	csv_fixture_endorse(&maker, e);
	for (uint32_t version = 1; version <= 2; version++) {
		struct making m;
		struct alone_try t;

		start(&m, version);
		csv_fixture_sign(&m.f);
		hand_in(&m);
		for (size_t bit = 0; bit < 8 * m.len; bit += step()) {
			m.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			try_made(&m, e, NULL, &t);
			if (t.verdict != EVIDENCE_INVALID || t.result.signature_good)
				fail_msg("version %u: bit %zu of byte %zu", version, bit % 8,
					 bit / 8);
			appraisal_done(&t.a);
			m.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static void a_report_cut_short_is_none(void **state)
{
	(void)state;
	for (uint32_t version = 1; version <= 2; version++) {
		struct making m;
		struct alone_try t;

		start(&m, version);
		csv_fixture_sign(&m.f);
		hand_in(&m);
		for (m.len = 0; m.len < m.f.report_size; m.len++) {
			try_made(&m, NULL, NULL, &t);
			if (t.ops || t.verdict != EVIDENCE_INVALID)
				fail_msg("version %u cut at %zu", version, m.len);
			appraisal_done(&t.a);
		}
	}
}

/*
 * The mask of version 1 is not signed: who changes it, and makes the MAC anew, has a report that
 * verifies and says something else. What keeps him from using it is the measurement, which he
 * changes with all the rest.
 */
static void another_mask_changes_the_measurement_too(void **state)
{
	CLEANUP(policy_freep)
	struct policy *p = alone_try_policy("csv: {measurement: [\"" HEX32 "\"]}");
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	struct making m;
	struct alone_try t;

	(void)state;
	start(&m, 1);
	debuggable(&m);
	csv_fixture_sign(&m.f);
	csv_fixture_restore(&m.f);
	/* NODBG is bit 0 of byte 176; sig_usage and sig_algo are not signed either. */
	m.f.report[188] ^= 1;
	m.f.report[180] ^= 1;
	m.f.report[184] ^= 1;
	hand_in(&m);
	assert_int_equal(endorsements_new(&e), 0);
	csv_fixture_endorse(&m.f, e);
	try_made(&m, e, p, &t);
	assert_false(t.result.debug);
	assert_int_equal(t.verdict, EVIDENCE_POLICY);
	assert_true(alone_try_refused(&t.a, "platforms.csv.measurement", "3f3e3e3e3f3e3e3e"));
	appraisal_done(&t.a);
}

/* A CCEL: the Spec ID record, and one for each register named. */
struct log {
	uint8_t bytes[1024];
	size_t len;
};

static void log_add(struct log *l, const void *data, size_t len)
{
	assert_true(l->len + len <= sizeof(l->bytes));
	memcpy(l->bytes + l->len, data, len);
	l->len += len;
}

static void log_add_u32(struct log *l, uint32_t v)
{
	uint8_t le[4];

	put_le32(le, v);
	log_add(l, le, sizeof(le));
}

static void log_begin(struct log *l, uint16_t alg, uint16_t size)
{
	const uint8_t zeros[20] = { 0 };
	const uint8_t tail[] = { (uint8_t)alg, 0, (uint8_t)size, 0, 0 };

	log_add_u32(l, 0);
	log_add_u32(l, 3);
	log_add(l, zeros, 20);
	log_add_u32(l, 16 + 4 + 4 + 4 + sizeof(tail));
	log_add(l, "Spec ID Event03", 16);
	log_add_u32(l, 0);
	log_add(l, "\0\2\0\2", 4);
	log_add_u32(l, 1);
	log_add(l, tail, sizeof(tail));
}

static void log_event(struct log *l, uint32_t index, uint16_t alg, const uint8_t *digest,
		      size_t size)
{
	const uint8_t id[] = { (uint8_t)alg, 0 };

	log_add_u32(l, index);
	log_add_u32(l, 0x0d);
	log_add_u32(l, 1);
	log_add(l, id, sizeof(id));
	log_add(l, digest, size);
	log_add_u32(l, 0);
}

enum { NO_FAULT, OTHER_DIGEST, REGISTER_0, REGISTER_5, UNSPOKEN, OTHER_BANK, CUT };

static const struct {
	const char *what;
	int fault;
	uint32_t version;
	enum evidence_verdict verdict;
	const char *rule, *seen;
} logs[] = {
	{ "a log that replays", NO_FAULT, 2, EVIDENCE_VALID, NULL, NULL },
	{ "an event that was another", OTHER_DIGEST, 2, EVIDENCE_INVALID, "evidence.event_log",
	  "RTMR2" },
	{ "a log that speaks of register 0", REGISTER_0, 2, EVIDENCE_INVALID, "evidence.event_log",
	  "does not extend" },
	{ "a log that speaks of register 5", REGISTER_5, 2, EVIDENCE_INVALID, "evidence.event_log",
	  "does not extend" },
	{ "a log that leaves a register out", UNSPOKEN, 2, EVIDENCE_INVALID, "evidence.event_log",
	  "RTMR3" },
	{ "a log of another hash", OTHER_BANK, 2, EVIDENCE_INVALID, "evidence.event_log",
	  "no SM3" },
	{ "a log that is cut", CUT, 2, EVIDENCE_INVALID, "evidence.event_log", "" },
	{ "a log for a report without registers", NO_FAULT, 1, EVIDENCE_VALID, "evidence.event_log",
	  "could not be checked" },
};

/* One event into each of registers 1 to 3, and what the registers are then. */
static void make_log(struct log *l, int fault, uint8_t *registers)
{
	uint8_t event[32];

	log_begin(l, fault == OTHER_BANK ? HASH_SHA256 : HASH_SM3, 32);
	for (uint32_t i = 1; i <= 3; i++) {
		struct digest d = digest_zero(HASH_SM3);

		memset(event, (int)i, sizeof(event));
		assert_int_equal(digest_extend(&d, view_of(event, sizeof(event))), 0);
		memcpy(registers + 32 * (i - 1), d.bytes, 32);
		if (fault == UNSPOKEN && i == 3)
			continue;
		event[0] ^= fault == OTHER_DIGEST && i == 2;
		log_event(l, i, fault == OTHER_BANK ? HASH_SHA256 : HASH_SM3, event, 32);
	}
	if (fault == REGISTER_0 || fault == REGISTER_5)
		log_event(l, fault == REGISTER_0 ? 0 : 5, HASH_SM3, event, 32);
	if (fault == CUT)
		l->len -= 5;
}

static void a_log_must_replay_to_the_registers(void **state)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;

	(void)state;
	assert_int_equal(endorsements_new(&e), 0);
	csv_fixture_endorse(&maker, e);
	for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
		CLEANUP(policy_freep)
		struct policy *p = alone_try_policy(
			logs[i].version == 2 ? "csv: {event_log: require}" : "csv: {}");
		struct log l = { .len = 0 };
		uint8_t registers[3 * 32];
		struct making m;
		struct alone_try t;

		start(&m, logs[i].version);
		make_log(&l, logs[i].fault, registers);
		if (logs[i].version == 2)
			memcpy(m.f.plain + 240, registers, sizeof(registers));
		csv_fixture_sign(&m.f);
		hand_in(&m);
		m.log = l.bytes;
		m.log_len = l.len;
		try_made(&m, e, p, &t);
		if (logs[i].version == 1) {
			assert_int_equal(t.verdict, EVIDENCE_VALID);
			assert_int_equal(t.a.n, 1);
			assert_true(t.a.reasons[0].warning);
		} else {
			alone_try_expect(logs[i].what, &t, logs[i].verdict, logs[i].rule,
					 logs[i].seen);
		}
		assert_int_equal(t.result.event_log_replayed,
				 logs[i].version == 2 && logs[i].verdict == EVIDENCE_VALID);
		appraisal_done(&t.a);
	}
}

/* What the firmware of a genuine guest extended, by the log that it left. */
static void a_genuine_log_replays(void **state)
{
	static const char *const values[] = {
		"d76c4b289abcdf0e904ac02df69d48cdc9047723024a605ecb17ecbcb9fb62e3",
		"0559c2040dc2045fe06015787de4d4b4d8636a99d298046c52700a100f1fdb64",
		"287078930b845b372d7a9504f34d09db7a1ca65c17f59c86fb388bdb4a2bb994",
	};
	CLEANUP(policy_freep) struct policy *p = alone_try_policy("csv: {event_log: require}");
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	CLEANUP(bytes_cleanup) struct bytes log = BYTES_INIT(0);
	struct making m;
	struct alone_try t;

	(void)state;
	shared_evidence_needed();
	log = shared_evidence("eventlog", "ccel-coco-ccel_data_csv.bin");
	start(&m, 2);
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		assert_int_equal(hex_decode_exact(values[i], m.f.plain + 240 + 32 * i, 32), 0);
	csv_fixture_sign(&m.f);
	hand_in(&m);
	m.log = log.data;
	m.log_len = log.len;
	assert_int_equal(endorsements_new(&e), 0);
	csv_fixture_endorse(&m.f, e);
	try_made(&m, e, p, &t);
	alone_try_expect("a genuine log", &t, EVIDENCE_VALID, NULL, NULL);
	assert_true(t.result.event_log_replayed);
	appraisal_done(&t.a);
}

static void the_result_has_registers_and_firmware(void **state)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	Assay__ChipReport chip = ASSAY__CHIP_REPORT__INIT;
	struct digest cek;
	struct making m;
	struct alone_try t;
	json_t *shown;

	(void)state;
	start(&m, 2);
	csv_fixture_sign(&m.f);
	hand_in(&m);
	assert_int_equal(endorsements_new(&e), 0);
	csv_fixture_endorse(&m.f, e);
	try_made(&m, e, NULL, &t);
	assert_int_equal(t.verdict, EVIDENCE_VALID);
	assert_int_equal(t.result.version, 2);
	assert_string_equal(t.result.tcb, "api 1.4 build 2339");
	assert_int_equal(t.result.n_registers, 5);
	assert_int_equal(t.result.registers[0].bytes[0], 0x3e);
	assert_int_equal(t.result.registers[3].bytes[31], 0x33);
	assert_int_equal(t.result.registers[4].alg, HASH_SM3);
	assert_int_equal(digest_of(HASH_SHA256, view_of(m.f.cek_certificate, 1044), &cek), 0);
	assert_int_equal(t.result.chip_id_len, 32);
	assert_memory_equal(t.result.chip_id, cek.bytes, 32);
	appraisal_done(&t.a);

	chip.report = (ProtobufCBinaryData){ m.len, m.bytes };
	assert_int_equal(t.ops->show(&chip, &shown), 0);
	assert_int_equal(json_array_size(json_object_get(shown, "registers")), 5);
	assert_int_equal(json_integer_value(json_object_get(shown, "build")), 2339);
	assert_int_equal(json_array_size(json_object_get(shown, "guest_policy")), 2);
	json_decref(shown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_thing_wrong_is_found),
		cmocka_unit_test(a_pek_that_nobody_signed_is_refused),
		cmocka_unit_test(bytes_that_nobody_signed_make_no_certificate),
		cmocka_unit_test(certificates_may_follow_one_another),
		cmocka_unit_test(certificates_can_be_kept),
		cmocka_unit_test(a_flipped_bit_is_refused),
		cmocka_unit_test(a_report_cut_short_is_none),
		cmocka_unit_test(another_mask_changes_the_measurement_too),
		cmocka_unit_test(a_log_must_replay_to_the_registers),
		cmocka_unit_test(a_genuine_log_replays),
		cmocka_unit_test(the_result_has_registers_and_firmware),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
