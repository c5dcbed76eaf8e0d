/* SPDX-License-Identifier: Apache-2.0 */
#include "tdx_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/asn1t.h>
#include <openssl/conf.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "quantity.h"
#include "tdx_fixture_sign.h"

#define PCK_EXTENSION "1.2.840.113741.1.13.1"
#define PART_MAX      (64 * 1024)

enum serial { SERIAL_ROOT = 1, SERIAL_CA, SERIAL_SIGNER, SERIAL_PCK };

static ASN1_TIME *asn1_time(const char *text)
{
	ASN1_TIME *t;
	int64_t at;

	assert_int_equal(quantity_instant(text, &at), 0);
	t = ASN1_TIME_set(NULL, (time_t)at);
	assert_non_null(t);
	return t;
}

static void set_name(X509_NAME *name, const char *common_name)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
						    (const unsigned char *)"Test Corporation", -1,
						    -1, 0),
			 1);
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
						    (const unsigned char *)common_name, -1, -1, 0),
			 1);
}

static void add_conf(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* Not signed yet. */
static X509 *describe(const char *subject, X509 *issuer, EVP_PKEY *key, enum serial serial,
		      const char *from, const char *until)
{
	ASN1_TIME *not_before = asn1_time(from), *not_after = asn1_time(until);
	X509 *x = X509_new();

	assert_non_null(x);
	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), serial), 1);
	assert_int_equal(X509_set1_notBefore(x, not_before), 1);
	assert_int_equal(X509_set1_notAfter(x, not_after), 1);
	set_name(X509_get_subject_name(x), subject);
	assert_int_equal(X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x)), 1);
	assert_int_equal(X509_set_pubkey(x, key), 1);
	ASN1_TIME_free(not_before);
	ASN1_TIME_free(not_after);
	return x;
}

static X509 *issue_ca(const char *subject, X509 *issuer, EVP_PKEY *issuer_key, EVP_PKEY *key,
		      enum serial serial)
{
	X509 *x = describe(subject, issuer, key, serial, TDX_FIXTURE_NOT_BEFORE,
			   TDX_FIXTURE_NOT_AFTER);

	add_conf(x, NID_basic_constraints,
		 issuer ? "critical,CA:TRUE,pathlen:0" : "critical,CA:TRUE,pathlen:1");
	add_conf(x, NID_key_usage, "critical,keyCertSign,cRLSign");
	assert_true(X509_sign(x, issuer_key, EVP_sha256()) > 0);
	return x;
}

static X509 *issue_signer(const struct tdx_fixture *f)
{
	X509 *x = describe("Intel SGX TCB Signing", f->root, f->signer_key, SERIAL_SIGNER,
			   TDX_FIXTURE_NOT_BEFORE, TDX_FIXTURE_NOT_AFTER);

	add_conf(x, NID_basic_constraints, "critical,CA:FALSE");
	add_conf(x, NID_key_usage, "critical,digitalSignature,nonRepudiation");
	assert_true(X509_sign(x, f->root_key, EVP_sha256()) > 0);
	return x;
}

/* The SGX extension's value, described in the language of OpenSSL's ASN1_generate_nconf. */
static void describe_extension(const struct tdx_fixture *f, struct bytes *to)
{
	char ppid[33], fmspc[13], pceid[5], svn[33];

	hex_encode(f->ppid, sizeof(f->ppid), ppid);
	hex_encode(f->fmspc, sizeof(f->fmspc), fmspc);
	hex_encode(f->pceid, sizeof(f->pceid), pceid);
	hex_encode(f->svn, sizeof(f->svn), svn);
	assert_int_equal(
		bytes_printf(to,
			     "[sgx]\n1=SEQUENCE:ppid\n2=SEQUENCE:tcb\n3=SEQUENCE:pceid\n"
			     "4=SEQUENCE:fmspc\n5=SEQUENCE:type\n"
			     "[ppid]\n1=OID:" PCK_EXTENSION ".1\n2=FORMAT:HEX,OCTETSTRING:%s\n"
			     "[pceid]\n1=OID:" PCK_EXTENSION ".3\n2=FORMAT:HEX,OCTETSTRING:%s\n"
			     "[fmspc]\n1=OID:" PCK_EXTENSION ".4\n2=FORMAT:HEX,OCTETSTRING:%s\n"
			     "[type]\n1=OID:" PCK_EXTENSION ".5\n2=ENUMERATED:0\n"
			     "[tcb]\n1=OID:" PCK_EXTENSION ".2\n2=SEQUENCE:components\n"
			     "[pcesvn]\n1=OID:" PCK_EXTENSION ".2.17\n2=INTEGER:%u\n"
			     "[cpusvn]\n1=OID:" PCK_EXTENSION ".2.18\n"
			     "2=FORMAT:HEX,OCTETSTRING:%s\n",
			     ppid, pceid, fmspc, f->pcesvn, svn),
		0);
	for (unsigned int i = 0; i < sizeof(f->svn); i++)
		assert_int_equal(
			bytes_printf(to, "[svn%u]\n1=OID:" PCK_EXTENSION ".2.%u\n2=INTEGER:%u\n", i,
				     i + 1, f->svn[i]),
			0);
	assert_int_equal(bytes_printf(to, "[components]\n"), 0);
	for (unsigned int i = 0; i < sizeof(f->svn); i++)
		assert_int_equal(bytes_printf(to, "%u=SEQUENCE:svn%u\n", i + 1, i), 0);
	assert_int_equal(bytes_printf(to, "17=SEQUENCE:pcesvn\n18=SEQUENCE:cpusvn\n"), 0);
}

static void add_extension(const struct tdx_fixture *f, X509 *x)
{
	struct bytes text = BYTES_INIT(PART_MAX);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	ASN1_OBJECT *oid = OBJ_txt2obj(PCK_EXTENSION, 1);
	CONF *conf = NCONF_new(NULL);
	unsigned char *der = NULL;
	X509_EXTENSION *e;
	ASN1_TYPE *type;
	BIO *bio;
	int len;

	describe_extension(f, &text);
	bio = BIO_new_mem_buf(text.data, (int)text.len);
	assert_true(value && oid && conf && bio && NCONF_load_bio(conf, bio, NULL) == 1);
	type = ASN1_generate_nconf("SEQUENCE:sgx", conf);
	assert_non_null(type);
	len = i2d_ASN1_TYPE(type, &der);
	assert_true(len > 0);
	assert_int_equal(ASN1_OCTET_STRING_set(value, der, len), 1);
	e = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, value);
	assert_true(e && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
	OPENSSL_free(der);
	ASN1_TYPE_free(type);
	BIO_free(bio);
	NCONF_free(conf);
	ASN1_OBJECT_free(oid);
	ASN1_OCTET_STRING_free(value);
	bytes_done(&text);
}

void tdx_fixture_certify(struct tdx_fixture *f)
{
	X509_free(f->pck);
	f->pck = describe("Intel SGX PCK Certificate", f->ca, f->pck_key, SERIAL_PCK, f->pck_from,
			  f->pck_until);
	add_conf(f->pck, NID_basic_constraints, "critical,CA:FALSE");
	add_conf(f->pck, NID_key_usage, "critical,digitalSignature,nonRepudiation");
	add_extension(f, f->pck);
	assert_true(X509_sign(f->pck, f->ca_key, EVP_sha256()) > 0);
}

static void make_pki(struct tdx_fixture *f)
{
	EVP_PKEY **keys[] = { &f->root_key, &f->ca_key, &f->pck_key, &f->signer_key };
	unsigned int n;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		*keys[i] = EVP_EC_gen("P-256");
		assert_non_null(*keys[i]);
	}
	f->root = issue_ca("Intel SGX Root CA", NULL, f->root_key, f->root_key, SERIAL_ROOT);
	f->ca = issue_ca("Intel SGX PCK Platform CA", f->root, f->root_key, f->ca_key, SERIAL_CA);
	f->signer = issue_signer(f);
	f->pin.name = "the fixture's root CA";
	assert_int_equal(X509_digest(f->root, EVP_sha256(), f->pin.sha256, &n), 1);
	tdx_fixture_certify(f);
}

static json_t *svns(const uint8_t svn[16])
{
	json_t *list = json_array();

	for (size_t i = 0; i < 16; i++)
		assert_int_equal(json_array_append_new(list, json_pack("{s:i}", "svn", svn[i])), 0);
	return list;
}

/* A level that the platform and this TEE_TCB_SVN just reach. */
static json_t *platform_level(const struct tdx_fixture *f, const uint8_t tee_tcb_svn[16],
			      const char *status)
{
	return json_pack("{s:{s:o,s:i,s:o},s:s,s:s,s:[s]}", "tcb", "sgxtcbcomponents", svns(f->svn),
			 "pcesvn", (int)f->pcesvn, "tdxtcbcomponents", svns(tee_tcb_svn), "tcbDate",
			 "2025-11-13T00:00:00Z", "tcbStatus", status, "advisoryIDs",
			 "INTEL-SA-00001");
}

static void set_levels(struct tdx_fixture *f, json_t *first, json_t *second)
{
	json_t *levels = json_array();

	assert_int_equal(json_array_append_new(levels, first), 0);
	if (second)
		assert_int_equal(json_array_append_new(levels, second), 0);
	assert_int_equal(json_object_set_new(f->tcb_info, "tcbLevels", levels), 0);
}

static void make_collateral(struct tdx_fixture *f)
{
	static const char zero96[] = "0000000000000000000000000000000000000000000000000000000000"
				     "00000000000000000000000000000000000000";
	const char *zero16 = zero96 + 80, *ones16 = "ffffffffffffffff";
	char fmspc[13], pceid[5], mrsigner[65];

	hex_encode(f->fmspc, sizeof(f->fmspc), fmspc);
	hex_encode(f->pceid, sizeof(f->pceid), pceid);
	hex_encode(f->qe_report + 128, 32, mrsigner);
	f->tcb_info = json_pack("{s:s,s:i,s:s,s:s,s:s,s:s,s:i,s:i,"
				"s:{s:s,s:s,s:s},s:[{s:s,s:s,s:s,s:s,s:[{s:{s:i},s:s,s:s}]}]}",
				"id", "TDX", "version", 3, "issueDate", TDX_FIXTURE_NOT_BEFORE,
				"nextUpdate", TDX_FIXTURE_NOT_AFTER, "fmspc", fmspc, "pceId", pceid,
				"tcbType", 0, "tcbEvaluationDataNumber", 18, "tdxModule",
				"mrsigner", zero96, "attributes", zero16, "attributesMask", ones16,
				"tdxModuleIdentities", "id", "TDX_01", "mrsigner", zero96,
				"attributes", zero16, "attributesMask", ones16, "tcbLevels", "tcb",
				"isvsvn", f->body[TDX_FIXTURE_TEE_TCB_SVN], "tcbDate",
				"2025-11-13T00:00:00Z", "tcbStatus", "UpToDate");
	f->qe_identity = json_pack(
		"{s:s,s:i,s:s,s:s,s:i,s:s,s:s,s:s,s:s,s:s,s:i,s:[{s:{s:i},s:s,s:s}]}", "id",
		"TD_QE", "version", 2, "issueDate", TDX_FIXTURE_NOT_BEFORE, "nextUpdate",
		TDX_FIXTURE_NOT_AFTER, "tcbEvaluationDataNumber", 18, "miscselect", "00000000",
		"miscselectMask", "FFFFFFFF", "attributes", "11000000000000000000000000000000",
		"attributesMask", "FBFFFFFFFFFFFFFF0000000000000000", "mrsigner", mrsigner,
		"isvprodid", 2, "tcbLevels", "tcb", "isvsvn", 4, "tcbDate", "2025-11-13T00:00:00Z",
		"tcbStatus", "UpToDate");
	assert_true(f->tcb_info && f->qe_identity);
	tdx_fixture_status(f, "UpToDate");
}

void tdx_fixture_status(struct tdx_fixture *f, const char *status)
{
	uint8_t launch[16], now[16];

	memcpy(launch, f->body + TDX_FIXTURE_TEE_TCB_SVN, sizeof(launch));
	memcpy(now, launch, sizeof(now));
	now[2]++;
	if (strcmp(status, "TCB not supported") == 0) {
		set_levels(f, platform_level(f, now, "UpToDate"), NULL);
	} else if (strncmp(status, "TDRelaunchAdvised", strlen("TDRelaunchAdvised")) == 0) {
		bool configure = strstr(status, "Configuration") != NULL;

		tdx_fixture_form(f, 5, 3);
		memcpy(f->body + TDX_FIXTURE_TEE_TCB_SVN_2, now, sizeof(now));
		set_levels(f,
			   platform_level(f, now, configure ? "ConfigurationNeeded" : "UpToDate"),
			   platform_level(f, launch, "OutOfDate"));
	} else {
		set_levels(f, platform_level(f, launch, status), NULL);
	}
}

void tdx_fixture_init(struct tdx_fixture *f)
{
	*f = (struct tdx_fixture){ .pcesvn = 13, .version = 4, .body_type = 2 };
	for (size_t i = 0; i < sizeof(f->svn); i++)
		f->svn[i] = (uint8_t)(i + 2);
	memset(f->ppid, 0x99, sizeof(f->ppid));
	memcpy(f->fmspc, "\xf0\xc0\x6f\x00\x00\x01", sizeof(f->fmspc));
	strcpy(f->pck_from, TDX_FIXTURE_NOT_BEFORE);
	strcpy(f->pck_until, TDX_FIXTURE_NOT_AFTER);
	strcpy(f->crl_from, TDX_FIXTURE_NOT_BEFORE);
	strcpy(f->crl_until, TDX_FIXTURE_NOT_AFTER);
	tdx_fixture_describe_quote(f);
	tdx_fixture_new_attestation_key(f);
	make_pki(f);
	make_collateral(f);
}

void tdx_fixture_done(struct tdx_fixture *f)
{
	EVP_PKEY *keys[] = { f->root_key, f->ca_key, f->pck_key, f->signer_key,
			     f->attestation_key };
	X509 *certificates[] = { f->root, f->ca, f->pck, f->signer };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		EVP_PKEY_free(keys[i]);
	for (size_t i = 0; i < ARRAY_LEN(certificates); i++)
		X509_free(certificates[i]);
	json_decref(f->tcb_info);
	json_decref(f->qe_identity);
	*f = (struct tdx_fixture){ 0 };
}

static void make_crl(const struct tdx_fixture *f, X509 *issuer, EVP_PKEY *key, X509 *revoked,
		     struct bytes *to)
{
	ASN1_TIME *from = asn1_time(f->crl_from), *until = asn1_time(f->crl_until);
	X509_CRL *crl = X509_CRL_new();
	unsigned char *der = NULL;
	X509_REVOKED *r;
	int len;

	assert_non_null(crl);
	assert_int_equal(X509_CRL_set_version(crl, X509_CRL_VERSION_2), 1);
	assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)), 1);
	assert_int_equal(X509_CRL_set1_lastUpdate(crl, from), 1);
	assert_int_equal(X509_CRL_set1_nextUpdate(crl, until), 1);
	if (revoked) {
		r = X509_REVOKED_new();
		assert_non_null(r);
		assert_int_equal(X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(revoked)),
				 1);
		assert_int_equal(X509_REVOKED_set_revocationDate(r, from), 1);
		assert_int_equal(X509_CRL_add0_revoked(crl, r), 1);
	}
	assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
	len = i2d_X509_CRL(crl, &der);
	assert_true(len > 0);
	assert_int_equal(bytes_append(to, der, (size_t)len), 0);
	OPENSSL_free(der);
	X509_CRL_free(crl);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
}

void tdx_fixture_append_pem(struct bytes *to, X509 *x)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long len;

	assert_true(bio && PEM_write_bio_X509(bio, x) == 1);
	len = BIO_get_mem_data(bio, &data);
	assert_int_equal(bytes_append(to, data, (size_t)len), 0);
	BIO_free(bio);
}

/* {"NAME":{...},"signature":"..."}: the signature covers the inner text as it stands. */
static void sign_document(const struct tdx_fixture *f, const char *name, const json_t *inner,
			  struct bytes *to)
{
	char *text = json_dumps(inner, JSON_COMPACT), hex[129];
	uint8_t signature[64];

	assert_non_null(text);
	tdx_fixture_sign(f->signer_key, view_text(text), signature);
	hex_encode(signature, sizeof(signature), hex);
	assert_int_equal(bytes_printf(to, "{\"%s\":", name), 0);
	assert_int_equal(bytes_append_text(to, text), 0);
	assert_int_equal(bytes_printf(to, ",\"signature\":\"%s\"}", hex), 0);
	free(text);
}

void tdx_fixture_part(struct tdx_fixture *f, enum tdx_fixture_part part, struct bytes *ret)
{
	struct bytes b = BYTES_INIT(PART_MAX);

	if (part == TDX_FIXTURE_TCB_INFO) {
		sign_document(f, "tcbInfo", f->tcb_info, &b);
	} else if (part == TDX_FIXTURE_QE_IDENTITY) {
		sign_document(f, "enclaveIdentity", f->qe_identity, &b);
	} else if (part == TDX_FIXTURE_SIGNERS) {
		tdx_fixture_append_pem(&b, f->signer);
		tdx_fixture_append_pem(&b, f->root);
	} else if (part == TDX_FIXTURE_PCK_CRL) {
		make_crl(f, f->ca, f->ca_key, f->ca_revokes, &b);
	} else {
		assert_int_equal(part, TDX_FIXTURE_ROOT_CRL);
		make_crl(f, f->root, f->root_key, f->root_revokes, &b);
	}
	*ret = b;
}

void tdx_fixture_endorse(struct tdx_fixture *f, struct endorsements *e)
{
	const char *why = "";
	struct bytes b;

	for (unsigned int i = 0; i < TDX_FIXTURE_PARTS; i++) {
		tdx_fixture_part(f, (enum tdx_fixture_part)i, &b);
		if (endorsements_add(e, bytes_view(&b), &why) != 0)
			fail_msg("%s", why);
		bytes_done(&b);
	}
}

static void write_file(const char *folder, const char *name, const struct bytes *content)
{
	char path[TDX_FIXTURE_PATH_MAX];
	FILE *file;

	assert_true(snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path));
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(content->data, 1, content->len, file), content->len);
	assert_int_equal(fclose(file), 0);
}

void tdx_fixture_write(struct tdx_fixture *f, const char *folder)
{
	static const char *const names[TDX_FIXTURE_PARTS] = {
		[TDX_FIXTURE_TCB_INFO] = "tcb_info.json",
		[TDX_FIXTURE_QE_IDENTITY] = "qe_identity.json",
		[TDX_FIXTURE_SIGNERS] = "signers.pem",
		[TDX_FIXTURE_PCK_CRL] = "pck.crl",
		[TDX_FIXTURE_ROOT_CRL] = "root.crl",
	};
	struct bytes b, root = BYTES_INIT(PART_MAX);

	for (unsigned int i = 0; i < TDX_FIXTURE_PARTS; i++) {
		tdx_fixture_part(f, (enum tdx_fixture_part)i, &b);
		write_file(folder, names[i], &b);
		bytes_done(&b);
	}
	tdx_fixture_append_pem(&root, f->root);
	write_file(folder, "root.pem", &root);
	bytes_done(&root);
}
