/* SPDX-License-Identifier: Apache-2.0 */
#include "signed_json.h"

#include <string.h>

#define SIGNATURE "signature"

static void skip_space(struct reader *r)
{
	uint8_t c;

	while (r->left > 0 &&
	       (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t') &&
	       read_u8(r, &c) == 0)
		;
}

/* Past one character, which must be that one. */
static int expect(struct reader *r, uint8_t c)
{
	uint8_t seen;

	skip_space(r);
	return read_u8(r, &seen) < 0 || seen != c ? -EBADMSG : 0;
}

/* A string without escapes: neither the members' names nor a signature need any. */
static int read_plain_string(struct reader *r, struct view *ret)
{
	struct view v;
	int e;

	e = expect(r, '"');
	if (e < 0)
		return e;
	e = read_until(r, '"', &v);
	if (e < 0)
		return e;
	/* read_until also stops where there is no quote. */
	if (r->at[-1] != '"' || memchr(v.data, '\\', v.len))
		return -EBADMSG;
	*ret = v;
	return 0;
}

/* Past a string whose quote was read; it may hold braces. */
static int skip_string(struct reader *r)
{
	uint8_t c;

	for (;;) {
		if (read_u8(r, &c) < 0)
			return -EBADMSG;
		if (c == '"')
			return 0;
		if (c == '\\' && read_u8(r, &c) < 0)
			return -EBADMSG;
	}
}

/* From { to its }, however it is nested within the limit. Whether it is JSON, jansson says. */
static int read_object(struct reader *r, struct view *ret)
{
	struct reader start;
	size_t depth = 0;
	uint8_t c;

	skip_space(r);
	start = *r;
	if (r->left == 0 || *r->at != '{')
		return -EBADMSG;
	do {
		if (read_u8(r, &c) < 0)
			return -EBADMSG;
		if (c == '"' && skip_string(r) < 0)
			return -EBADMSG;
		if ((c == '{' || c == '[') && ++depth > SIGNED_JSON_DEPTH_MAX)
			return -EBADMSG;
		if (c == '}' || c == ']')
			depth--;
	} while (depth > 0);
	return read_view(&start, start.left - r->left, ret);
}

static int read_signature(struct reader *r, uint8_t ret[64])
{
	char hex[129];
	struct view v;
	int e;

	e = read_plain_string(r, &v);
	if (e < 0)
		return e;
	if (v.len != 128)
		return -EBADMSG;
	memcpy(hex, v.data, v.len);
	hex[128] = '\0';
	e = hex_decode_exact(hex, ret, 64);
	return e == -EINVAL ? -EBADMSG : e;
}

int signed_json_cut(struct view text, struct signed_json *ret)
{
	struct reader r = reader_of(text);
	struct signed_json j = { 0 };
	bool has_signature = false;
	struct view name;
	int e;

	e = expect(&r, '{');
	for (int i = 0; e == 0 && i < 2; i++) {
		if (i == 1)
			e = expect(&r, ',');
		if (e == 0)
			e = read_plain_string(&r, &name);
		if (e == 0)
			e = expect(&r, ':');
		if (e < 0)
			return e;
		if (view_is(name, SIGNATURE)) {
			e = has_signature ? -EBADMSG : read_signature(&r, j.signature);
			has_signature = true;
		} else {
			e = j.object.len > 0 ? -EBADMSG : read_object(&r, &j.object);
			j.name = name;
		}
	}
	if (e == 0)
		e = expect(&r, '}');
	if (e < 0)
		return e;
	skip_space(&r);
	if (r.left > 0)
		return -EBADMSG;
	*ret = j;
	return 0;
}

int signed_json_parse(const struct signed_json *j, json_t **ret)
{
	json_t *object = json_loadb((const char *)j->object.data, j->object.len,
				    JSON_REJECT_DUPLICATES, NULL);

	if (!object)
		return -EBADMSG;
	if (!json_is_object(object)) {
		json_decref(object);
		return -EBADMSG;
	}
	*ret = object;
	return 0;
}
