/* SPDX-License-Identifier: Apache-2.0 */
#include "pem.h"

#include <limits.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "cleanup.h"

#define BEGIN "-----BEGIN "
#define END   "-----END "
#define TAIL  "-----"

static bool blank(uint8_t c)
{
	return c == '\n' || c == '\r' || c == '\0';
}

static void skip_blank(struct reader *r)
{
	uint8_t c;

	while (r->left > 0 && blank(*r->at) && read_u8(r, &c) == 0)
		;
}

static bool starts_with(const struct reader *r, const char *text)
{
	return r->left >= strlen(text) && memcmp(r->at, text, strlen(text)) == 0;
}

bool pem_begins(struct view v)
{
	struct reader r = reader_of(v);

	skip_blank(&r);
	return starts_with(&r, BEGIN);
}

/* The label of a line "-----BEGIN label-----", which the reader is moved past. */
static int read_boundary(struct reader *r, const char *head, struct view *ret)
{
	struct view skipped, label;
	int e;

	if (!starts_with(r, head))
		return -EBADMSG;
	e = read_view(r, strlen(head), &skipped);
	if (e < 0)
		return e;
	e = read_until(r, '-', &label);
	if (e < 0)
		return e;
	if (!starts_with(r, &TAIL[1]))
		return -EBADMSG;
	e = read_view(r, strlen(TAIL) - 1, &skipped);
	if (e < 0)
		return e;
	*ret = label;
	return 0;
}

/* The base64 text without its line ends. */
static int read_text(struct reader *r, struct bytes *ret)
{
	uint8_t c;
	int e;

	while (r->left > 0 && *r->at != '-') {
		e = read_u8(r, &c);
		if (e < 0)
			return e;
		if (c == '\n' || c == '\r')
			continue;
		e = bytes_append_u8(ret, c);
		if (e < 0)
			return e == -EMSGSIZE ? -EBADMSG : e;
	}
	return 0;
}

int base64_decode(struct view text, struct bytes *ret)
{
	CLEANUP(bytes_cleanup) struct bytes again = BYTES_INIT(text.len + 1);
	uint8_t *to;
	int n, e;

	if (text.len == 0 || text.len % 4 != 0 || text.len > INT_MAX)
		return -EBADMSG;
	e = bytes_reserve(ret, text.len / 4 * 3, &to);
	if (e < 0)
		return e == -EMSGSIZE ? -EBADMSG : e;
	n = EVP_DecodeBlock(to, text.data, (int)text.len);
	if (n < 0) {
		ERR_clear_error();
		return -EBADMSG;
	}
	/* EVP_DecodeBlock counts the padding. */
	n -= text.data[text.len - 1] == '=';
	n -= text.data[text.len - 2] == '=';
	ret->len = (size_t)n;

	/* It skips blanks and does not look at unused bits; only the one true form is ours. */
	e = bytes_reserve(&again, text.len + 1, &to);
	if (e < 0)
		return e;
	if ((size_t)EVP_EncodeBlock(to, ret->data, n) != text.len ||
	    memcmp(to, text.data, text.len) != 0)
		return -EBADMSG;
	return 0;
}

int pem_next(struct reader *r, struct view *ret_label, struct bytes *ret)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(2 * PEM_DER_MAX);
	struct view label, end;
	int e;

	skip_blank(r);
	if (r->left == 0)
		return 0;
	e = read_boundary(r, BEGIN, &label);
	if (e < 0)
		return e;
	e = read_text(r, &text);
	if (e < 0)
		return e;
	e = read_boundary(r, END, &end);
	if (e < 0)
		return e;
	if (!view_equal(label, end))
		return -EBADMSG;
	bytes_reset(ret);
	e = base64_decode(bytes_view(&text), ret);
	if (e < 0)
		return e;
	*ret_label = label;
	return 1;
}

static int base64url_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int base64url_decode(const char *text, uint8_t *to, size_t size, size_t *ret_len)
{
	size_t len = strlen(text), n = 0;
	uint32_t bits = 0;
	unsigned int held = 0;

	if (len % 4 == 1)
		return -EBADMSG;
	for (size_t i = 0; i < len; i++) {
		int digit = base64url_digit(text[i]);

		if (digit < 0)
			return -EBADMSG;
		bits = bits << 6 | (uint32_t)digit;
		held += 6;
		if (held < 8)
			continue;
		held -= 8;
		if (n == size)
			return -EBADMSG;
		to[n++] = (uint8_t)(bits >> held);
		bits &= (1u << held) - 1;
	}
	if (bits)
		return -EBADMSG;
	*ret_len = n;
	return 0;
}
