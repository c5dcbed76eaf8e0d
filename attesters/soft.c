/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "arena.h"
#include "cleanup.h"
#include "table.h"

/*
 * No chip: a key in a file signs. It proves who holds the file and nothing about the
 * machine; for development only.
 */

#define KEY_FILE_MAX  4096
#define SIGNATURE_MAX 256

struct soft {
	struct attester base; /* first */
	EVP_PKEY *key;
	uint8_t *spki;
	int spki_len;
};

static void cleanup_bio(BIO **b)
{
	BIO_free(*b);
}

static void cleanup_pkey(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}

static void cleanup_md_ctx(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

static void soft_close(struct attester *a)
{
	struct soft *s = (struct soft *)a;

	if (!s)
		return;
	OPENSSL_free(s->spki);
	EVP_PKEY_free(s->key);
	free(s);
}

static void soft_closep(struct soft **s)
{
	soft_close(*s ? &(*s)->base : NULL);
}

static int soft_probe(const struct attester_config *config, char *ret_why, size_t size)
{
	snprintf(ret_why, size, "a key in a file is no chip: it is used where it is asked for");
	return -EOPNOTSUPP;
}

static bool key_accepted(EVP_PKEY *key)
{
	char group[32];
	size_t len;

	if (EVP_PKEY_is_a(key, "ED25519"))
		return true;
	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
	       strcmp(group, "prime256v1") == 0;
}

/* Never asks on a terminal for the password of an encrypted key. */
static int no_password(char *buffer, int size, int writing, void *data)
{
	return -1;
}

static int key_read(int fd, const char *file, EVP_PKEY **ret, char *ret_why, size_t size)
{
	struct bytes pem = BYTES_INIT(KEY_FILE_MAX);
	CLEANUP(cleanup_pkey) EVP_PKEY *key = NULL;
	CLEANUP(cleanup_bio) BIO *bio = NULL;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return neg_errno();
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077)) {
		snprintf(ret_why, size,
			 "%s: must be a file that only its owner can read: chmod 600", file);
		return -EPERM;
	}
	r = bytes_read_fd(&pem, fd);
	if (r == 0) {
		bio = BIO_new_mem_buf(pem.data, (int)pem.len);
		key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
		ERR_clear_error();
	}
	if (pem.data)
		OPENSSL_cleanse(pem.data, pem.room);
	bytes_done(&pem);
	if (r < 0 && r != -EMSGSIZE)
		return r;
	if (!key || !key_accepted(key)) {
		snprintf(ret_why, size, "%s: must hold one Ed25519 or P-256 private key (PEM)",
			 file);
		return -EINVAL;
	}
	*ret = TAKE(key);
	return 0;
}

/* Written beside and linked into place: no one ever sees half a key, or loses one to a race. */
static int key_create(const char *file, char *ret_why, size_t size)
{
	CLEANUP(cleanup_pkey) EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	CLEANUP(cleanup_mem) char *beside = NULL;
	CLEANUP(cleanup_fd) int fd = -1;
	CLEANUP(cleanup_bio) BIO *bio = NULL;
	int r = 0;

	if (!key || asprintf(&beside, "%s.new-XXXXXX", file) < 0) {
		beside = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(beside, O_CLOEXEC); /* mode 0600 */
	if (fd < 0) {
		r = neg_errno();
		snprintf(ret_why, size, "%s: cannot be created: %s", file, strerror(-r));
		return r;
	}
	bio = BIO_new_fd(fd, BIO_NOCLOSE);
	if (!bio || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1 ||
	    fsync(fd) < 0 || (link(beside, file) < 0 && errno != EEXIST))
		r = neg_errno();
	unlink(beside);
	if (r < 0)
		snprintf(ret_why, size, "%s: cannot be written: %s", file, strerror(-r));
	return r;
}

static int key_open(const char *file, EVP_PKEY **ret, char *ret_why, size_t size)
{
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		r = key_create(file, ret_why, size);
		if (r < 0)
			return r;
		fd = open(file, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0) {
		r = neg_errno();
		snprintf(ret_why, size, "%s: %s", file, strerror(-r));
		return r;
	}
	return key_read(fd, file, ret, ret_why, size);
}

static int soft_open(const struct attester_config *config, struct attester **ret, char *ret_why,
		     size_t size)
{
	CLEANUP(soft_closep) struct soft *s = NULL;
	int r;

	ret_why[0] = '\0';
	if (!config->key) {
		snprintf(ret_why, size, "soft needs a key file: say where it is, or is to be");
		return -EINVAL;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->base.ops = &attester_soft;
	r = key_open(config->key, &s->key, ret_why, size);
	if (r < 0)
		return r;
	s->spki_len = i2d_PUBKEY(s->key, &s->spki);
	if (s->spki_len <= 0)
		return -ENOMEM;
	*ret = &TAKE(s)->base;
	return 0;
}

static int soft_identity(struct attester *a, struct attester_identity *ret)
{
	struct soft *s = (struct soft *)a;
	struct attester_identity i = { .key_name = BYTES_INIT(DIGEST_MAX),
				       .ak_public = BYTES_INIT((size_t)s->spki_len) };
	struct digest name;
	int r;

	r = digest_of(HASH_SHA256, view_of(s->spki, (size_t)s->spki_len), &name);
	if (r < 0)
		return r;
	r = bytes_append_view(&i.key_name, digest_view(&name));
	if (r == 0)
		r = bytes_append(&i.ak_public, s->spki, (size_t)s->spki_len);
	if (r < 0) {
		attester_identity_done(&i);
		return r;
	}
	*ret = i;
	return 0;
}

static int sign(struct soft *s, struct view data, uint8_t *to, size_t *len)
{
	CLEANUP(cleanup_md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const char *hash = EVP_PKEY_is_a(s->key, "EC") ? "SHA256" : NULL; /* Ed25519 has its own */

	if (!ctx)
		return -ENOMEM;
	if (EVP_DigestSignInit_ex(ctx, NULL, hash, NULL, NULL, s->key, NULL) != 1 ||
	    EVP_DigestSign(ctx, to, len, data.data, data.len) != 1) {
		ERR_clear_error();
		return -EIO;
	}
	return 0;
}

static int soft_report(struct attester *a, struct view claims, struct arena *arena,
		       Assay__ChipReport *report)
{
	struct soft *s = (struct soft *)a;
	uint8_t signature[SIGNATURE_MAX];
	size_t len = sizeof(signature);
	struct digest data;
	int r;

	r = claims_hash(claims, &data);
	if (r < 0)
		return r;
	r = sign(s, digest_view(&data), signature, &len);
	if (r < 0)
		return r;
	report->platform = arena_text(arena, attester_soft.platform);
	report->report.data = arena_copy(arena, data.bytes, data.size);
	report->report.len = data.size;
	report->signature.data = arena_copy(arena, signature, len);
	report->signature.len = len;
	report->key.data = arena_copy(arena, s->spki, (size_t)s->spki_len);
	report->key.len = (size_t)s->spki_len;
	if (!report->platform || !report->report.data || !report->signature.data ||
	    !report->key.data)
		return -ENOMEM;
	return 0;
}

const struct attester_ops attester_soft = {
	.platform = "soft",
	.insecure = true,
	.probe = soft_probe,
	.open = soft_open,
	.identity = soft_identity,
	.report = soft_report,
	.close = soft_close,
};
