/* SPDX-License-Identifier: Apache-2.0 */
/* `assay evidence ratls` and `verify --ratls` as their users meet them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "tests/support/command_run.h"
#include "tests/support/snp_fixture.h"

#define REPORT_DATA 0x50
#define CHIP_ROOT   "evidence.chain" /* what is wrong with our fixture: its root is not AMD's */

static char directory[] = P_tmpdir "/assay-test-ratls-XXXXXX";

static const struct command_run assay = { .program = ASSAY_PROGRAM, .word = "evidence" };

#define RUN(...) command_run(&assay, (const char *const[]){ __VA_ARGS__, NULL })

static void write_file(const char *name, const void *data, size_t len)
{
	CLEANUP(cleanup_fd) int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
}

static void make_key(const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	FILE *f = fopen(name, "w");

	assert_true(key && f);
	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
	EVP_PKEY_free(key);
}

static void write_der(const char *name, X509 *x)
{
	unsigned char *der = NULL;
	int len = i2d_X509(x, &der);

	assert_true(len > 0);
	write_file(name, der, (size_t)len);
	OPENSSL_free(der);
}

/* The chip's part: a report over the hex that the program printed. */
static void report_over_out(struct snp_fixture *f)
{
	CLEANUP(bytes_cleanup) struct bytes out = command_file("out");

	assert_int_equal(out.len, 2 * 64 + 1);
	out.data[out.len - 1] = '\0';
	assert_int_equal(hex_decode_exact((const char *)out.data, f->report + REPORT_DATA, 64), 0);
	snp_fixture_sign(f, f->vcek.key);
	write_file("report", f->report, sizeof(f->report));
}

#define KEY   "--key", "key.pem"
#define NONCE "--nonce", "6672657368"
#define JUDGE "verify", "--ratls", "cert.pem", "-e", "chain"

static void set_up(struct snp_fixture_keys *keys, struct snp_fixture *f)
{
	snp_fixture_make_keys(keys);
	snp_fixture_init(f, keys, "Genoa");
	snp_fixture_certify(f, &f->vcek);
	assert_int_equal(mkdir("chain", 0700), 0);
	write_der("chain/ark", f->ark);
	write_der("chain/ask", f->ask);
	write_der("chain/vcek", f->vcek.x);
	make_key("key.pem");
	make_key("other.pem");
}

static void a_certificate_is_made_and_judged(void **state)
{
	struct snp_fixture_keys keys;
	struct snp_fixture f;

	(void)state;
	set_up(&keys, &f);
	assert_int_equal(RUN("ratls", KEY, NONCE, "--claims"), 0);
	report_over_out(&f);

	assert_int_equal(RUN("ratls", KEY, NONCE, "--report", "report", "-o", "cert.pem"), 0);
	assert_int_equal(access("cert.pem", F_OK), 0);

	/* All of it is good, but that the fixture's root is not AMD's; so too at any time. */
	assert_int_equal(RUN(JUDGE, NONCE), 1);
	assert_false(command_file_has("out", "evidence.report_data"));
	assert_true(command_file_has("out", CHIP_ROOT));
	assert_false(command_file_has("out", "evidence.ratls"));
	assert_false(command_file_has("out", "evidence.signature"));

	assert_int_equal(RUN(JUDGE, "--nonce", "00"), 1);
	assert_true(command_file_has("out", "its nonce is missing or another"));
	assert_false(command_file_has("out", CHIP_ROOT));

	/* A report over another key, and one over no nonce. */
	assert_int_equal(
		RUN("ratls", "--key", "other.pem", NONCE, "--report", "report", "-o", "no.pem"), 1);
	assert_true(command_file_has("err", "not over this key and nonce"));
	assert_int_equal(RUN("ratls", KEY, "--report", "report", "-o", "no.pem"), 1);
	assert_true(command_file_has("err", "not over this key and nonce"));
	assert_int_equal(access("no.pem", F_OK), -1);

	/* What is in the file that should be a certificate. */
	assert_int_equal(RUN("verify", "--ratls", "report", "--json"), 1);
	assert_true(command_file_has("out", "it is not one certificate"));
	assert_true(command_file_has("out", "\"invalid\""));
	assert_int_equal(RUN("verify", "--ratls", "chain/vcek"), 1);
	assert_true(command_file_has("out", "no extension 2.23.133.5.4.9"));
	snp_fixture_done(&f);
	snp_fixture_free_keys(&keys);
}

static void wrong_use_is_said(void **state)
{
	(void)state;
	assert_int_equal(RUN("ratls"), 2);
	assert_int_equal(RUN("ratls", KEY), 2);
	assert_int_equal(RUN("ratls", KEY, "--claims", "--report", "report"), 2);
	assert_int_equal(RUN("ratls", KEY, "--claims", "--nonce", "x"), 2);
	assert_int_equal(RUN("ratls", KEY, "--claims", "--days", "0"), 2);
	assert_int_equal(RUN("ratls", "--key", "report", "--claims"), 3);
	assert_int_equal(RUN("ratls", KEY, "--report", "absent"), 3);
	assert_int_equal(RUN("ratls", KEY, "--report", "key.pem"), 1);
	assert_int_equal(RUN("verify", "--ratls", "absent"), 3);
	assert_int_equal(RUN("verify", "--nonce", "00", "report"), 2);
	assert_int_equal(RUN("verify", "--ratls", "cert.pem", "--report-data", "00"), 2);
	assert_int_equal(RUN("verify", "--ratls", "cert.pem", "--nonce", "0"), 2);
	assert_int_equal(RUN("ratls", "--help"), 0);
	assert_true(command_file_has("out", "--claims"));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_is_made_and_judged),
		cmocka_unit_test(wrong_use_is_said),
	};
	int failed;

	if (!mkdtemp(directory) || chdir(directory) < 0)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (chdir("/") < 0 || nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0)
		return 1;
	return failed;
}
