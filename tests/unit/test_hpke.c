/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "cleanup.h"
#include "core/hpke_suite.h"

static const struct hpke_suite aes_128_gcm = { 0x0001, "AES-128-GCM", 16 };

#define INFO  "4f6465206f6e2061204772656369616e2055726e"
#define PLAIN "4265617574792069732074727574682c20747275746820626561757479"
#define AAD   "436f756e742d30"

/* Sequence number 0 of the published vectors. */
static const struct {
	const char *what;
	const struct hpke_suite *suite;
	const char *sk_e, *pk_e, *sk_r, *pk_r, *shared, *key, *nonce, *ct;
} vectors[] = {
	{ "RFC 9180, A.1.1: AES-128-GCM", &aes_128_gcm,
	  "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736",
	  "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
	  "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
	  "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
	  "fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc",
	  "4531685d41d65f03dc48f6b8302c05b0", "56d890e5accaaf011cff4b7d",
	  "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c51"
	  "2a" },
	/* In the test-vectors.json that the RFC's appendix A names; not printed in the RFC. */
	{ "CFRG, mode 0, KEM 0x0020, KDF 1, AEAD 2: AES-256-GCM", &hpke_aes_256_gcm,
	  "179d4b53b6365c45b600c4163b61d95cbc2f4d9e36f1695558dce265ab8bab11",
	  "6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256",
	  "497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d",
	  "430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c",
	  "3101c54c3a4f87439eaac080699ed9bbcc726ffe44e860c0424ccb7e3e2ead7b",
	  "f50b0609186798729ed0564b36ef2ef8044f1f9d05636874d1f46c819c7a669f",
	  "151d9929e2449747889bc923",
	  "e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b"
	  "7a" },
};

static struct secret secret_of_hex(const char *hex)
{
	struct secret s;

	assert_int_equal(secret_new(strlen(hex) / 2, &s), 0);
	assert_int_equal(hex_decode_exact(hex, s.data, s.len), 0);
	return s;
}

static void assert_hex(const char *what, const char *field, const void *data, size_t len,
		       const char *expected)
{
	char hex[256];

	assert_true(2 * len < sizeof(hex));
	hex_encode(data, len, hex);
	if (strcmp(hex, expected) != 0)
		fail_msg("%s: %s is %s, not %s", what, field, hex, expected);
}

static void the_published_vectors_hold(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct secret info = secret_of_hex(INFO), aad = secret_of_hex(AAD);
		struct secret plain = secret_of_hex(PLAIN), sk_e = secret_of_hex(vectors[i].sk_e);
		struct secret sk_r = secret_of_hex(vectors[i].sk_r), shared, again, key, opened;
		uint8_t pk[HPKE_PUBLIC_SIZE], enc[HPKE_PUBLIC_SIZE], nonce[HPKE_NONCE_SIZE];
		struct bytes ct = BYTES_INIT(256);
		const char *what = vectors[i].what;

		assert_int_equal(hpke_public(&sk_r, pk), 0);
		assert_hex(what, "pkRm", pk, sizeof(pk), vectors[i].pk_r);

		assert_int_equal(hpke_encap(pk, &sk_e, enc, &shared), 0);
		assert_hex(what, "enc", enc, sizeof(enc), vectors[i].pk_e);
		assert_hex(what, "shared_secret", shared.data, shared.len, vectors[i].shared);
		assert_int_equal(hpke_decap(enc, &sk_r, &again), 0);
		assert_true(secret_equal(&shared, &again));

		assert_int_equal(hpke_key_schedule(vectors[i].suite, &shared, secret_view(&info),
						   &key, nonce),
				 0);
		assert_hex(what, "key", key.data, key.len, vectors[i].key);
		assert_hex(what, "base_nonce", nonce, sizeof(nonce), vectors[i].nonce);

		assert_int_equal(hpke_seal_with(vectors[i].suite, &sk_e, pk, secret_view(&info),
						secret_view(&aad), secret_view(&plain), enc, &ct),
				 0);
		assert_hex(what, "enc", enc, sizeof(enc), vectors[i].pk_e);
		assert_hex(what, "ct", ct.data, ct.len, vectors[i].ct);
		assert_int_equal(hpke_open_with(vectors[i].suite, &sk_r, enc, secret_view(&info),
						secret_view(&aad), bytes_view(&ct), &opened),
				 0);
		assert_true(secret_equal(&opened, &plain));

		bytes_done(&ct);
		secret_done(&info);
		secret_done(&aad);
		secret_done(&plain);
		secret_done(&sk_e);
		secret_done(&sk_r);
		secret_done(&shared);
		secret_done(&again);
		secret_done(&key);
		secret_done(&opened);
	}
}

/* A sealed message with everything that is needed to open it. */
struct sealed {
	struct secret private_key;
	uint8_t enc[HPKE_PUBLIC_SIZE];
	uint8_t info[4], aad[4];
	struct bytes ct;
};

static void seal_one(struct sealed *s, const char *plain)
{
	uint8_t public_key[HPKE_PUBLIC_SIZE];

	*s = (struct sealed){ .info = "info", .aad = "aad.", .ct = BYTES_INIT(1024) };
	assert_int_equal(hpke_keypair(public_key, &s->private_key), 0);
	assert_int_equal(hpke_seal(public_key, view_of(s->info, 4), view_of(s->aad, 4),
				   view_text(plain), s->enc, &s->ct),
			 0);
}

static void sealed_done(struct sealed *s)
{
	secret_done(&s->private_key);
	bytes_done(&s->ct);
}

static int open_one(const struct sealed *s, struct secret *ret)
{
	return hpke_open(&s->private_key, s->enc, view_of(s->info, 4), view_of(s->aad, 4),
			 bytes_view(&s->ct), ret);
}

static void what_is_sealed_opens(void **state)
{
	static const char *const plains[] = { "", "x",
					      "a secret of some length, longer than a block" };

	for (size_t i = 0; i < ARRAY_LEN(plains); i++) {
		struct secret plain;
		struct sealed s;

		seal_one(&s, plains[i]);
		assert_int_equal(s.ct.len, strlen(plains[i]) + HPKE_TAG_SIZE);
		assert_int_equal(open_one(&s, &plain), 0);
		assert_true(view_is(secret_view(&plain), plains[i]));
		secret_done(&plain);
		sealed_done(&s);
	}
}

static void assert_refused(const struct sealed *s, const char *what, size_t bit)
{
	struct secret untouched = { NULL, 77 };
	int r = open_one(s, &untouched);

	if (r != -EBADMSG)
		fail_msg("%s, bit %zu: %d", what, bit, r);
	assert_null(untouched.data);
	assert_int_equal(untouched.len, 77);
	/* A refusal must not be found by somebody else's SSL_get_error(). */
	assert_int_equal(ERR_peek_error(), 0);
}

static void a_flipped_bit_anywhere_is_refused(void **state)
{
	struct sealed s;

	seal_one(&s, "the secret");
	const struct {
		const char *what;
		uint8_t *data;
		size_t len;
	} parts[] = { { "enc", s.enc, sizeof(s.enc) },
		      { "ciphertext and tag", s.ct.data, s.ct.len },
		      { "aad", s.aad, sizeof(s.aad) },
		      { "info", s.info, sizeof(s.info) } };

	for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
		for (size_t bit = 0; bit < 8 * parts[p].len; bit++) {
			/* RFC 7748, section 5: the top bit of a point is ignored; enc itself is
			 * in the KEM's context, so even that one changes the key. */
			parts[p].data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_refused(&s, parts[p].what, bit);
			parts[p].data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	for (size_t len = 0; len < s.ct.len; len++) {
		struct sealed cut = s;

		cut.ct.len = len;
		assert_refused(&cut, "cut short", len);
	}
	sealed_done(&s);
}

static void another_key_does_not_open(void **state)
{
	uint8_t public_key[HPKE_PUBLIC_SIZE];
	struct secret own, plain;
	struct sealed s;

	seal_one(&s, "the secret");
	own = s.private_key;
	assert_int_equal(hpke_keypair(public_key, &s.private_key), 0);
	assert_refused(&s, "another key", 0);
	secret_done(&s.private_key);

	/* X25519 clamps: only a bit outside the clamped ones makes another key of it. */
	assert_int_equal(secret_copy(secret_view(&own), &s.private_key), 0);
	s.private_key.data[5] ^= 1;
	assert_refused(&s, "one bit of the key", 0);
	s.private_key.len--;
	assert_int_equal(open_one(&s, &plain), -EINVAL);
	s.private_key.len++;
	secret_done(&s.private_key);
	secret_done(&own);
	bytes_done(&s.ct);
}

/* RFC 7748 and https://cr.yp.to/ecdh.html: points whose multiples are zero. */
static const char *const small_order[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

static void a_zero_shared_point_is_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(small_order); i++) {
		struct bytes ct = BYTES_INIT(256);
		uint8_t enc[HPKE_PUBLIC_SIZE], point[HPKE_PUBLIC_SIZE];
		struct sealed s;

		assert_int_equal(hex_decode_exact(small_order[i], point, sizeof(point)), 0);
		assert_int_equal(hpke_seal(point, view_text(""), view_text(""), view_text("secret"),
					   enc, &ct),
				 -EINVAL);
		assert_int_equal(ct.len, 0);
		assert_int_equal(ERR_peek_error(), 0);

		seal_one(&s, "the secret");
		memcpy(s.enc, point, sizeof(point));
		assert_refused(&s, small_order[i], 0);
		sealed_done(&s);
		bytes_done(&ct);
	}
}

static void sizes_have_limits(void **state)
{
	static uint8_t big[SECRET_MAX + 1];
	struct bytes ct = BYTES_INIT(2 * SECRET_MAX), small = BYTES_INIT(HPKE_TAG_SIZE);
	uint8_t public_key[HPKE_PUBLIC_SIZE], enc[HPKE_PUBLIC_SIZE];
	struct view none = view_of(NULL, 0);
	struct secret private_key, plain;

	assert_int_equal(hpke_keypair(public_key, &private_key), 0);
	assert_int_equal(hpke_seal(public_key, none, none, view_of(big, sizeof(big)), enc, &ct),
			 -EMSGSIZE);
	assert_int_equal(hpke_seal(public_key, none, none, view_text("x"), enc, &small), -EMSGSIZE);
	assert_int_equal(ct.len + small.len, 0);
	assert_int_equal(hpke_seal(public_key, none, none, view_of(big, SECRET_MAX), enc, &ct), 0);
	assert_int_equal(hpke_open(&private_key, enc, none, none, bytes_view(&ct), &plain), 0);
	assert_int_equal(plain.len, SECRET_MAX);
	secret_done(&plain);
	assert_int_equal(bytes_append_u8(&ct, 0), 0);
	assert_int_equal(hpke_open(&private_key, enc, none, none, bytes_view(&ct), &plain),
			 -EMSGSIZE);
	secret_done(&private_key);
	bytes_done(&ct);
	bytes_done(&small);
}

static void no_two_seals_are_alike(void **state)
{
	struct sealed a, b;

	seal_one(&a, "the secret");
	seal_one(&b, "the secret");
	assert_false(secret_equal(&a.private_key, &b.private_key));
	assert_memory_not_equal(a.enc, b.enc, sizeof(a.enc));
	assert_memory_not_equal(a.ct.data, b.ct.data, a.ct.len);
	sealed_done(&a);
	sealed_done(&b);
}

static int open_heap(void **state)
{
	return secret_heap_open();
}

static int close_heap(void **state)
{
	secret_heap_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_vectors_hold),
		cmocka_unit_test(what_is_sealed_opens),
		cmocka_unit_test(a_flipped_bit_anywhere_is_refused),
		cmocka_unit_test(another_key_does_not_open),
		cmocka_unit_test(a_zero_shared_point_is_refused),
		cmocka_unit_test(sizes_have_limits),
		cmocka_unit_test(no_two_seals_are_alike),
	};

	return cmocka_run_group_tests(tests, open_heap, close_heap);
}
