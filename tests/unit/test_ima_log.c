/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>

#include "cleanup.h"
#include "ima_log.h"
#include "tests/support/shared_evidence.h"

static const enum hash_alg banks[] = { HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512 };

/* The values of PCR 10 that a kernel and its TPM had, and those that the evidence's README lists.
 */
#define KERNEL_SHA1   "9be6bac02bf18d09d17e726c2df00bca4e8831ea"
#define KERNEL_SHA256 "7fac48c81837d6d29046008aef0cdad8c2745cc98c3340cbba9bfdf39b4124b8"
#define KERNEL_SHA384                                                                              \
	"e8923687b18847064ff3af89fd7ed088fa03c8b2467f7f8648bab264684575beb92e707d813ed561189492bb" \
	"4b6e5c8b"
#define KERNEL_SHA512                                                                              \
	"698dab0fbb7c4ae0ec4ecae0d3890e9635cc2ba97b9dec459f9ef867b96d858843697c701e580931d6f2cf1e" \
	"18acb2b3192eb660e871a37cf5b45392086ce807"
#define KERNEL                                                                                     \
	{                                                                                          \
		KERNEL_SHA1, KERNEL_SHA256, KERNEL_SHA384, KERNEL_SHA512                           \
	}

static const struct {
	const char *file;
	size_t entries;
	const char *values[4]; /* by banks[]; NULL: not stated */
} genuine[] = {
	{ "ascii-ima-ng-826.txt",
	  826,
	  { "82231c67a69da98dc5b3aa10f6343d33109225fc",
	    "c4a065637fc6a7c55f2811dd06cb45dd037133be2b3dc5c3e6fbe6bf061db724" } },
	{ "ascii-ima-sig-nosig.txt",
	  3,
	  { "dff39e2db052e00d11f45770bb127c4053e14f32",
	    "a5c115cd8f5541458408147536f632174d2b0a9f329e7c4ddea9a12642b4d74b" } },
	{ "ascii-ima-sig-signed.txt",
	  2,
	  { "5bfd7d5ca54868d443d09b9e3c4fca6d7d2c1d15",
	    "adf756f0642da2cd21e354072cc2edf800780683d11272bce852fc9b1c7670f8" } },
	{ "ascii-ima-buf-keyring.txt", 1, { "e654f343e8f86bd20bc8a0b4c3df3a86801a35ac" } },
	{ "ascii-ima-ng-sha256-template.txt", 0, { NULL } },
	{ "binary-ima-sig-sha1.log", 362, KERNEL },
	{ "binary-ima-sig-sha256.log", 362, KERNEL },
	{ "binary-ima-sig-sha384.log", 362, KERNEL },
	{ "binary-ima-sig-sha512.log", 362, KERNEL },
};

static void genuine_lists_replay_to_their_registers(void **state)
{
	(void)state;
	shared_evidence_needed();

	for (size_t i = 0; i < ARRAY_LEN(genuine); i++) {
		CLEANUP(bytes_cleanup) struct bytes log = shared_evidence("ima", genuine[i].file);

		for (size_t b = 0; b < ARRAY_LEN(banks); b++) {
			struct ima_replay replay, again;
			char hex[DIGEST_HEX_MAX];
			const char *why = "";

			if (ima_replay(bytes_view(&log), IMA_PCR, banks[b], NULL, &replay, &why) <
			    0)
				fail_msg("%s: %s", genuine[i].file, why);
			if (genuine[i].entries)
				assert_int_equal(replay.entries, genuine[i].entries);
			assert_true(replay.entries > 0);
			assert_false(replay.matched);
			digest_hex(&replay.value, hex);
			if (genuine[i].values[b] && strcmp(hex, genuine[i].values[b]) != 0)
				fail_msg("%s: %s is %s", genuine[i].file, hash_name(banks[b]), hex);
			assert_int_equal(ima_replay(bytes_view(&log), IMA_PCR, banks[b],
						    &replay.value, &again, &why),
					 0);
			assert_true(again.matched);
			assert_int_equal(again.proven, replay.entries);
			assert_int_equal(again.ended_at, log.len);
		}
	}
}

static EVP_PKEY *read_key(const char *file)
{
	CLEANUP(bytes_cleanup) struct bytes pem = shared_evidence("ima/keys", file);
	BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(key);
	return key;
}

static void signatures_hold_with_their_keys_only(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes log = { 0 };
	static const char *const ids[] = { "f3452d23", "531f4025" };
	struct ima_signature s;
	struct ima_entry e;
	EVP_PKEY *keys[2];
	struct ima_log l;
	const char *why = "";

	(void)state;
	shared_evidence_needed();
	log = shared_evidence("ima", "ascii-ima-sig-signed.txt");
	keys[0] = read_key("ima-rsa2048.pub.pem");
	keys[1] = read_key("ima-secp256k1.pub.pem");
	assert_int_equal(ima_log_open(bytes_view(&log), &l, &why), 0);
	for (int i = 0; i < 2; i++) {
		uint8_t changed[1024], id[4];
		char hex[9];

		assert_int_equal(ima_log_next(&l, &e, &why), 1);
		assert_int_equal(ima_signature_parse(e.signature, &s, &why), 0);
		hex_encode(s.key_id, 4, hex);
		assert_string_equal(hex, ids[i]);
		assert_int_equal(ima_key_id(keys[i], id), 0);
		assert_memory_equal(id, s.key_id, 4);
		assert_int_equal(ima_signature_verify(&e, keys[i], &why), 1);
		assert_int_equal(ima_signature_verify(&e, keys[1 - i], &why), 0);
		/* One bit of the signature, and one byte less. */
		assert_true(e.signature.len <= sizeof(changed));
		memcpy(changed, e.signature.data, e.signature.len);
		changed[e.signature.len - 1] ^= 1;
		e.signature.data = changed;
		assert_int_equal(ima_signature_verify(&e, keys[i], &why), 0);
		e.signature.len--;
		assert_int_equal(ima_signature_verify(&e, keys[i], &why), -EBADMSG);
	}
	assert_int_equal(ima_log_next(&l, &e, &why), 0);
	ima_log_done(&l);
	EVP_PKEY_free(keys[0]);
	EVP_PKEY_free(keys[1]);
}

static void a_bad_length_in_a_signature_is_refused(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes log = { 0 };
	struct ima_signature s;
	struct ima_entry e;
	struct ima_log l;
	const char *why = "";

	(void)state;
	shared_evidence_needed();
	log = shared_evidence("ima/bad", "ascii-ima-sig-bad-length.txt");
	assert_int_equal(ima_log_open(bytes_view(&log), &l, &why), 0);
	assert_int_equal(ima_log_next(&l, &e, &why), -EBADMSG);
	assert_string_equal(why, "a template hash that is not of its data");
	/* The entry was read whole before its hash was compared. */
	assert_int_equal(ima_signature_parse(e.signature, &s, &why), -EBADMSG);
	assert_string_equal(why, "a signature of another length than it says");
	ima_log_done(&l);
}

/* A list of our own, in both forms, so that these hold where no genuine one is at hand. */
static const char made[] = "10 0000000000000000000000000000000000000000 ima-ng sha256:"
			   "0000000000000000000000000000000000000000 /var/log/open\n";

static void append_le32(struct bytes *b, size_t n)
{
	uint8_t le[4] = { n & 0xff, n >> 8 & 0xff, 0, 0 };

	assert_int_equal(bytes_append(b, le, 4), 0);
}

static struct bytes make_list(size_t n, bool violation_at_end)
{
	struct bytes log = BYTES_INIT(IMA_LOG_MAX);

	for (size_t i = 0; i < n; i++) {
		CLEANUP(bytes_cleanup) struct bytes data = BYTES_INIT(IMA_DATA_MAX);
		bool violation = violation_at_end && i + 1 == n;
		struct digest d, zero = digest_zero(HASH_SHA256);
		char name[32];

		snprintf(name, sizeof(name), "/usr/bin/program%zu", i);
		append_le32(&data, 8 + 32);
		assert_int_equal(bytes_append(&data, "sha256:", 8), 0);
		assert_int_equal(digest_of(HASH_SHA256, view_text(name), &d), 0);
		assert_int_equal(bytes_append_view(&data, digest_view(&d)), 0);
		append_le32(&data, strlen(name) + 1);
		assert_int_equal(bytes_append(&data, name, strlen(name) + 1), 0);
		assert_int_equal(digest_of(HASH_SHA256, bytes_view(&data), &d), 0);
		append_le32(&log, IMA_PCR);
		assert_int_equal(bytes_append_view(&log, digest_view(violation ? &zero : &d)), 0);
		append_le32(&log, 6);
		assert_int_equal(bytes_append_text(&log, "ima-ng"), 0);
		append_le32(&log, data.len);
		assert_int_equal(bytes_append_view(&log, bytes_view(&data)), 0);
	}
	return log;
}

static void entries_after_the_quote_are_unproven(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes three = make_list(3, false);
	CLEANUP(bytes_cleanup) struct bytes five = make_list(5, true);
	struct ima_replay at_quote, later;
	const char *why = "";

	(void)state;
	assert_int_equal(
		ima_replay(bytes_view(&three), IMA_PCR, HASH_SHA384, NULL, &at_quote, &why), 0);
	assert_int_equal(
		ima_replay(bytes_view(&five), IMA_PCR, HASH_SHA384, &at_quote.value, &later, &why),
		0);
	assert_true(later.matched);
	assert_int_equal(later.proven, 3);
	assert_int_equal(later.entries, 5);
	assert_int_equal(later.violations, 0);
	assert_int_equal(later.ended_at, three.len);
	/* The violation counts once it is proven. */
	assert_int_equal(
		ima_replay(bytes_view(&five), IMA_PCR, HASH_SHA384, &later.value, &at_quote, &why),
		0);
	assert_int_equal(at_quote.proven, 5);
	assert_int_equal(at_quote.violations, 1);
	/* Of another PCR nothing is there. */
	assert_int_equal(ima_replay(bytes_view(&five), 11, HASH_SHA384, NULL, &later, &why), 0);
	assert_int_equal(later.entries, 0);
}

static void a_violation_extends_ones(void **state)
{
	struct digest expected = digest_zero(HASH_SHA1);
	struct ima_replay replay;
	const char *why = "";
	uint8_t ones[20];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(digest_extend(&expected, view_of(ones, sizeof(ones))), 0);
	assert_int_equal(ima_replay(view_text(made), IMA_PCR, HASH_SHA1, &expected, &replay, &why),
			 0);
	assert_true(replay.matched);
	assert_int_equal(replay.violations, 1);
}

/* Each bit of a list is either in a digest, or what tells where things are: none may be changed. */
static void any_bit_changed_is_noticed(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes log = make_list(4, false);
	struct ima_replay before, after;
	const char *why = "";
	size_t refused = 0, unmatched = 0;

	(void)state;
	assert_int_equal(ima_replay(bytes_view(&log), IMA_PCR, HASH_SHA256, NULL, &before, &why),
			 0);
	for (size_t bit = 0; bit < 8 * log.len; bit++) {
		log.data[bit / 8] ^= 1 << bit % 8;
		if (ima_replay(bytes_view(&log), IMA_PCR, HASH_SHA256, &before.value, &after,
			       &why) < 0)
			refused++;
		else if (!after.matched)
			unmatched++;
		else
			fail_msg("bit %zu changed and the replay matches", bit);
		log.data[bit / 8] ^= 1 << bit % 8;
	}
	assert_true(refused > unmatched);
}

static void a_list_cut_short_is_refused_or_proves_less(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes log = make_list(3, false);
	struct ima_replay whole, part;
	const char *why = "";

	(void)state;
	assert_int_equal(ima_replay(bytes_view(&log), IMA_PCR, HASH_SHA256, NULL, &whole, &why), 0);
	for (size_t len = 0; len < log.len; len++) {
		int r = ima_replay(view_of(log.data, len), IMA_PCR, HASH_SHA256, &whole.value,
				   &part, &why);

		if (r == 0 && part.matched)
			fail_msg("%zu bytes of %zu are proven whole", len, log.len);
	}
}

static void two_entries_in_another_order_do_not_match(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes log = make_list(2, false);
	CLEANUP(bytes_cleanup) struct bytes turned = BYTES_INIT(IMA_LOG_MAX);
	struct ima_replay before, after;
	const char *why = "";

	(void)state;
	assert_int_equal(ima_replay(bytes_view(&log), IMA_PCR, HASH_SHA256, NULL, &before, &why),
			 0);
	assert_int_equal(bytes_append(&turned, log.data + log.len / 2, log.len / 2), 0);
	assert_int_equal(bytes_append(&turned, log.data, log.len / 2), 0);
	assert_int_equal(
		ima_replay(bytes_view(&turned), IMA_PCR, HASH_SHA256, &before.value, &after, &why),
		0);
	assert_false(after.matched);
}

static const struct {
	const char *what, *text, *why;
} refused[] = {
	{ "no template hash", "10 12 ima-ng sha1:00 /x\n", "a template hash that is none" },
	{ "no such template", "10 0000000000000000000000000000000000000000 mine x y\n",
	  "a template that is not known" },
	{ "words missing",
	  "10 0000000000000000000000000000000000000000 ima-sig "
	  "sha1:0000000000000000000000000000000000000000\n",
	  "a line with too few words" },
	{ "a digest without its algorithm",
	  "10 0000000000000000000000000000000000000000 ima-ng 00 /x\n",
	  "a digest without its algorithm" },
	{ "a digest too short", "10 0000000000000000000000000000000000000000 ima-ng sha256:00 /x\n",
	  "a digest of another length than its algorithm's" },
	{ "not hex", "10 0000000000000000000000000000000000000000 ima-ng sha1:zz /x\n",
	  "a digest that is not hex" },
	{ "a hash of something else",
	  "10 1111111111111111111111111111111111111111 ima-ng "
	  "sha1:0000000000000000000000000000000000000000 /x\n",
	  "a template hash that is not of its data" },
};

static void bad_lines_are_refused_in_words(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct ima_replay replay;
		const char *why = "";

		if (ima_replay(view_text(refused[i].text), IMA_PCR, HASH_SHA1, NULL, &replay,
			       &why) != -EBADMSG ||
		    strcmp(why, refused[i].why) != 0)
			fail_msg("%s: %s", refused[i].what, why);
	}
	assert_false(ima_log_detect(view_text("0 nothing of that kind\n")));
	assert_true(ima_log_detect(view_text(made)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genuine_lists_replay_to_their_registers),
		cmocka_unit_test(signatures_hold_with_their_keys_only),
		cmocka_unit_test(a_bad_length_in_a_signature_is_refused),
		cmocka_unit_test(entries_after_the_quote_are_unproven),
		cmocka_unit_test(a_violation_extends_ones),
		cmocka_unit_test(any_bit_changed_is_noticed),
		cmocka_unit_test(a_list_cut_short_is_refused_or_proves_less),
		cmocka_unit_test(two_entries_in_another_order_do_not_match),
		cmocka_unit_test(bad_lines_are_refused_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
