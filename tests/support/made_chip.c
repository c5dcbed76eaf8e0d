/* SPDX-License-Identifier: Apache-2.0 */
#include "made_chip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>

#include "cca_fixture.h"
#include "csv_fixture.h"
#include "digest.h"
#include "snp_fixture.h"
#include "tdx_fixture.h"

#define PATH_MAX_HERE 512
#define PAGE	      4096
#define RTMRS	      4
#define RTMR	      48
#define CSV_RTMRS     5
#define CSV_RTMR      32

struct made_chip {
	const struct made_chip_ops *ops;
	struct snp_fixture_keys snp_keys;
	struct snp_fixture snp;
	struct tdx_fixture tdx;
	struct csv_fixture csv;
	uint8_t csv_registers[CSV_RTMRS][CSV_RTMR];
	bool csv_debug;
	struct cca_fixture cca;
};

struct made_chip_ops {
	const char *platform, *provider;
	void (*make)(struct made_chip *c);
	void (*end)(struct made_chip *c);
	void (*report)(struct made_chip *c, const uint8_t *data, struct bytes *report,
		       struct bytes *aux);
	void (*debug)(struct made_chip *c, bool on);
	const struct x509_pin *(*root)(const struct made_chip *c);
	void (*endorse)(struct made_chip *c, struct endorsements *e);
	void (*write)(struct made_chip *c, const char *folder);
};

static void append(struct bytes *to, const void *data, size_t len)
{
	assert_int_equal(bytes_append(to, data, len), 0);
}

static void append_le32(struct bytes *to, size_t n)
{
	const uint8_t le[] = { (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16),
			       (uint8_t)(n >> 24) };

	append(to, le, sizeof(le));
}

static void write_pem(const char *folder, const char *name, X509 *x)
{
	char path[PATH_MAX_HERE];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, x), 1);
	assert_int_equal(fclose(f), 0);
}

/* AMD SEV-SNP */

static void snp_make(struct made_chip *c)
{
	snp_fixture_make_keys(&c->snp_keys);
	snp_fixture_init(&c->snp, &c->snp_keys, "Genoa");
	snp_fixture_certify(&c->snp, &c->snp.vcek);
}

static void snp_end(struct made_chip *c)
{
	snp_fixture_done(&c->snp);
	snp_fixture_free_keys(&c->snp_keys);
}

/* GHCB 2.03, 4.1.8.1: entries of GUID, offset, length; an empty one ends them; whole pages. */
static void snp_certificates(struct made_chip *c, struct bytes *ret)
{
	static const char *const guids[] = {
		"63da758de6644564adc5f4b93be8accd", /* VCEK */
		"4ab7b379bbac4fe4a02f05aef327c782", /* ASK */
		"c0b406a4a803495297433fb6014cd0ae", /* ARK */
	};
	X509 *certificates[] = { c->snp.vcek.x, c->snp.ask, c->snp.ark };
	unsigned char *der[3] = { NULL };
	size_t at = 24 * (ARRAY_LEN(guids) + 1), len[3];
	const uint8_t zero[PAGE] = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(guids); i++) {
		int n = i2d_X509(certificates[i], &der[i]);
		uint8_t guid[16];

		assert_true(n > 0);
		len[i] = (size_t)n;
		assert_int_equal(hex_decode_exact(guids[i], guid, sizeof(guid)), 0);
		append(ret, guid, sizeof(guid));
		append_le32(ret, at);
		append_le32(ret, len[i]);
		at += len[i];
	}
	append(ret, zero, 24);
	for (size_t i = 0; i < ARRAY_LEN(guids); i++) {
		append(ret, der[i], len[i]);
		OPENSSL_free(der[i]);
	}
	append(ret, zero, (PAGE - ret->len % PAGE) % PAGE);
}

static void snp_report(struct made_chip *c, const uint8_t *data, struct bytes *report,
		       struct bytes *aux)
{
	memcpy(c->snp.report + 0x50, data, MADE_CHIP_DATA);
	snp_fixture_sign(&c->snp, c->snp.vcek.key);
	append(report, c->snp.report, sizeof(c->snp.report));
	snp_certificates(c, aux);
}

static void snp_debug(struct made_chip *c, bool on)
{
	c->snp.report[0x00a] = (uint8_t)((c->snp.report[0x00a] & ~(1 << 3)) | on << 3);
}

static const struct x509_pin *snp_root(const struct made_chip *c)
{
	return &c->snp.root;
}

static void snp_endorse(struct made_chip *c, struct endorsements *e)
{
	snp_fixture_endorse(e, c->snp.vcek.x);
	snp_fixture_endorse(e, c->snp.ask);
	snp_fixture_endorse(e, c->snp.ark);
}

static void snp_write(struct made_chip *c, const char *folder)
{
	write_pem(folder, "root.pem", c->snp.ark);
	write_pem(folder, "ask.pem", c->snp.ask);
	write_pem(folder, "vcek.pem", c->snp.vcek.x);
}

/* Intel TDX */

static void tdx_make(struct made_chip *c)
{
	tdx_fixture_init(&c->tdx);
}

static void tdx_end(struct made_chip *c)
{
	tdx_fixture_done(&c->tdx);
}

static void tdx_report(struct made_chip *c, const uint8_t *data, struct bytes *report,
		       struct bytes *aux)
{
	struct bytes quote;

	tdx_fixture_report_data(&c->tdx, view_of(data, MADE_CHIP_DATA));
	tdx_fixture_quote(&c->tdx, &quote);
	append(report, quote.data, quote.len);
	bytes_done(&quote);
}

static void tdx_debug(struct made_chip *c, bool on)
{
	c->tdx.body[TDX_FIXTURE_ATTRIBUTES] = on;
}

static const struct x509_pin *tdx_root(const struct made_chip *c)
{
	return &c->tdx.pin;
}

static void tdx_endorse(struct made_chip *c, struct endorsements *e)
{
	tdx_fixture_endorse(&c->tdx, e);
}

static void tdx_write(struct made_chip *c, const char *folder)
{
	tdx_fixture_write(&c->tdx, folder);
}

/* Hygon CSV */

static void csv_make(struct made_chip *c)
{
	csv_fixture_init(&c->csv);
}

static void csv_end(struct made_chip *c)
{
	csv_fixture_done(&c->csv);
}

void made_chip_csv_page(struct made_chip *c, uint32_t version, const uint8_t data[MADE_CHIP_DATA],
			const uint8_t mnonce[MADE_CHIP_MNONCE], uint8_t page[MADE_CHIP_PAGE])
{
	csv_fixture_report(&c->csv, version, data);
	memcpy(c->csv.plain + 128, mnonce, MADE_CHIP_MNONCE);
	if (c->csv_debug)
		c->csv.plain[176] &= (uint8_t)~1;
	if (version > 1)
		memcpy(c->csv.plain + 208 + CSV_RTMR, c->csv_registers[1],
		       (CSV_RTMRS - 1) * CSV_RTMR);
	csv_fixture_sign(&c->csv);
	memcpy(page, c->csv.report, MADE_CHIP_PAGE);
}

static void csv_report(struct made_chip *c, const uint8_t *data, struct bytes *report,
		       struct bytes *aux)
{
	static const uint8_t mnonce[MADE_CHIP_MNONCE];
	uint8_t page[MADE_CHIP_PAGE];

	made_chip_csv_page(c, 1, data, mnonce, page);
	append(report, page, sizeof(page));
}

static void csv_debug(struct made_chip *c, bool on)
{
	c->csv_debug = on;
}

static const struct x509_pin *csv_root(const struct made_chip *c)
{
	return &c->csv.root;
}

static void csv_endorse(struct made_chip *c, struct endorsements *e)
{
	csv_fixture_endorse(&c->csv, e);
}

static void write_parts(const char *folder, const char *name, const void *first, size_t first_len,
			const void *second, size_t second_len)
{
	char path[PATH_MAX_HERE];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(first, 1, first_len, f), first_len);
	assert_int_equal(fwrite(second, 1, second_len, f), second_len);
	assert_int_equal(fclose(f), 0);
}

/* As Hygon's service gives them: HSK and CEK in one file. */
static void csv_write(struct made_chip *c, const char *folder)
{
	write_parts(folder, "root.cert", c->csv.hrk_certificate, sizeof(c->csv.hrk_certificate), "",
		    0);
	write_parts(folder, "hsk_cek.cert", c->csv.hsk_certificate, sizeof(c->csv.hsk_certificate),
		    c->csv.cek_certificate, sizeof(c->csv.cek_certificate));
}

/* Arm CCA: the root is the platform's key, and there is nothing besides. */

static void cca_make(struct made_chip *c)
{
	cca_fixture_init(&c->cca);
}

static void cca_end(struct made_chip *c)
{
	cca_fixture_done(&c->cca);
}

static void cca_report(struct made_chip *c, const uint8_t *data, struct bytes *report,
		       struct bytes *aux)
{
	struct bytes token;

	memcpy(c->cca.challenge, data, MADE_CHIP_DATA);
	cca_fixture_token(&c->cca, &token);
	append(report, token.data, token.len);
	bytes_done(&token);
}

/* The platform: of a realm nothing says so. */
static void cca_debug(struct made_chip *c, bool on)
{
	c->cca.lifecycle = on ? 0x4000 : 0x3003;
}

static const struct x509_pin *cca_root(const struct made_chip *c)
{
	return &c->cca.root;
}

static void cca_endorse(struct made_chip *c, struct endorsements *e)
{
	cca_fixture_endorse(&c->cca, e);
}

static void cca_write(struct made_chip *c, const char *folder)
{
	struct bytes pem;

	cca_fixture_public_pem(c->cca.cpak, &pem);
	write_parts(folder, "root.pem", pem.data, pem.len, "", 0);
	bytes_done(&pem);
}

/* Registers */

static bool is_csv(const struct made_chip *c)
{
	return strcmp(c->ops->platform, "csv") == 0;
}

size_t made_chip_registers(const struct made_chip *c)
{
	return is_csv(c) ? CSV_RTMRS : RTMRS;
}

size_t made_chip_register_size(const struct made_chip *c)
{
	return is_csv(c) ? CSV_RTMR : RTMR;
}

const uint8_t *made_chip_register(const struct made_chip *c, size_t index)
{
	assert_true(index < made_chip_registers(c));
	return is_csv(c) ? c->csv_registers[index] : c->tdx.body + TDX_FIXTURE_RTMR0 + index * RTMR;
}

void made_chip_extend(struct made_chip *c, size_t index, const uint8_t *data)
{
	size_t size = made_chip_register_size(c);
	uint8_t *value = is_csv(c) ? c->csv_registers[index]
				   : c->tdx.body + TDX_FIXTURE_RTMR0 + index * RTMR;
	struct digest d;

	assert_true(index < made_chip_registers(c));
	assert_int_equal(digest_from(is_csv(c) ? HASH_SM3 : HASH_SHA384, view_of(value, size), &d),
			 0);
	assert_int_equal(digest_extend(&d, view_of(data, size)), 0);
	memcpy(value, d.bytes, size);
}

static const struct made_chip_ops chips[] = {
	{ "sev-snp", "sev_guest", snp_make, snp_end, snp_report, snp_debug, snp_root, snp_endorse,
	  snp_write },
	{ "tdx", "tdx_guest", tdx_make, tdx_end, tdx_report, tdx_debug, tdx_root, tdx_endorse,
	  tdx_write },
	{ "csv", NULL, csv_make, csv_end, csv_report, csv_debug, csv_root, csv_endorse, csv_write },
	{ "cca", "arm_cca_guest", cca_make, cca_end, cca_report, cca_debug, cca_root, cca_endorse,
	  cca_write },
};

struct made_chip *made_chip_new(const char *platform)
{
	for (size_t i = 0; i < ARRAY_LEN(chips); i++) {
		struct made_chip *c;

		if (strcmp(chips[i].platform, platform) != 0)
			continue;
		c = calloc(1, sizeof(*c));
		assert_non_null(c);
		c->ops = &chips[i];
		c->ops->make(c);
		return c;
	}
	return NULL;
}

void made_chip_free(struct made_chip *c)
{
	if (!c)
		return;
	c->ops->end(c);
	free(c);
}

const char *made_chip_platform(const struct made_chip *c)
{
	return c->ops->platform;
}

const char *made_chip_provider(const struct made_chip *c)
{
	return c->ops->provider;
}

void made_chip_report(struct made_chip *c, const uint8_t data[MADE_CHIP_DATA], struct bytes *report,
		      struct bytes *aux)
{
	c->ops->report(c, data, report, aux);
}

void made_chip_debug(struct made_chip *c, bool on)
{
	c->ops->debug(c, on);
}

const struct x509_pin *made_chip_root(const struct made_chip *c)
{
	return c->ops->root(c);
}

void made_chip_endorse(struct made_chip *c, struct endorsements *e)
{
	c->ops->endorse(c, e);
}

void made_chip_write(struct made_chip *c, const char *folder)
{
	c->ops->write(c, folder);
}
