/* SPDX-License-Identifier: Apache-2.0 */
#include "ima_made.h"

#include <stdlib.h>
#include <string.h>

#define LIST_MAX (16 * 1024 * 1024)

static void must(int r)
{
	if (r < 0)
		abort();
}

static void append_le32(struct bytes *b, size_t n)
{
	uint8_t le[4] = { n & 0xff, n >> 8 & 0xff, n >> 16 & 0xff, n >> 24 & 0xff };

	must(bytes_append(b, le, sizeof(le)));
}

void ima_made_begin(struct ima_made *m)
{
	*m = (struct ima_made){ .list = BYTES_INIT(LIST_MAX), .pcr = digest_zero(HASH_SHA256) };
}

void ima_made_done(struct ima_made *m)
{
	bytes_done(&m->list);
}

/* ima_template_lib.c: length and "alg:" NUL digest, length and name NUL. */
static void append(struct ima_made *m, const char *path, const char *alg, struct view digest,
		   bool violation)
{
	struct bytes data = BYTES_INIT(64 * 1024);
	struct digest hash = digest_zero(HASH_SHA1), value;

	append_le32(&data, strlen(alg) + 2 + digest.len);
	must(bytes_append_text(&data, alg));
	must(bytes_append(&data, ":", 2));
	must(bytes_append_view(&data, digest));
	append_le32(&data, strlen(path) + 1);
	must(bytes_append(&data, path, strlen(path) + 1));

	if (!violation)
		must(digest_of(HASH_SHA1, bytes_view(&data), &hash));
	append_le32(&m->list, 10);
	must(bytes_append_view(&m->list, digest_view(&hash)));
	append_le32(&m->list, strlen("ima-ng"));
	must(bytes_append_text(&m->list, "ima-ng"));
	append_le32(&m->list, data.len);
	must(bytes_append_view(&m->list, bytes_view(&data)));

	if (violation) {
		value = digest_zero(HASH_SHA256);
		memset(value.bytes, 0xff, value.size);
	} else {
		must(digest_of(HASH_SHA256, bytes_view(&data), &value));
	}
	must(digest_extend(&m->pcr, digest_view(&value)));
	bytes_done(&data);
}

void ima_made_entry(struct ima_made *m, const char *path, const char *alg, struct view digest)
{
	append(m, path, alg, digest, false);
}

void ima_made_file(struct ima_made *m, const char *path, int byte)
{
	uint8_t digest[32];

	memset(digest, byte, sizeof(digest));
	append(m, path, "sha256", view_of(digest, sizeof(digest)), false);
}

void ima_made_violation(struct ima_made *m, const char *path)
{
	uint8_t zeros[20] = { 0 };

	append(m, path, "sha256", view_of(zeros, sizeof(zeros)), true);
}
