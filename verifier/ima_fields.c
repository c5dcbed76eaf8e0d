/* SPDX-License-Identifier: Apache-2.0 */
#include "ima_fields.h"

#include <string.h>

#include "cleanup.h"

/* Template "ima": a SHA-1 digest and a name in a field of this size, padded with zeros. */
#define UNFRAMED_DIGEST 20
#define UNFRAMED_NAME	256

static const struct {
	const char *name, *fields;
} templates[] = {
	{ "ima", "d|n" },
	{ "ima-ng", "d-ng|n-ng" },
	{ "ima-ngv2", "d-ngv2|n-ng" },
	{ "ima-sig", "d-ng|n-ng|sig" },
	{ "ima-sigv2", "d-ngv2|n-ng|sig" },
	{ "ima-buf", "d-ng|n-ng|buf" },
	{ "ima-modsig", "d-ng|n-ng|sig|d-modsig|modsig" },
	{ "evm-sig", "d-ng|n-ng|evmsig|xattrnames|xattrlengths|xattrvalues|iuid|igid|imode" },
};

/* What the fields are made of, in the binary form. */
enum form { DIGEST, DIGEST_V2, NAME, RAW, NUMBER, WORDS };

static const struct {
	const char *name;
	enum form form;
} forms[] = {
	{ "d", DIGEST },    { "d-ng", DIGEST }, { "d-modsig", DIGEST },	 { "d-ngv2", DIGEST_V2 },
	{ "n", NAME },	    { "n-ng", NAME },	{ "sig", RAW },		 { "buf", RAW },
	{ "modsig", RAW },  { "evmsig", RAW },	{ "xattrlengths", RAW }, { "xattrvalues", RAW },
	{ "iuid", NUMBER }, { "igid", NUMBER }, { "imode", NUMBER },	 { "xattrnames", WORDS },
};

static int refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

static int form_of(struct view field, enum form *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		if (view_is(field, forms[i].name)) {
			*ret = forms[i].form;
			return 0;
		}
	}
	return -EBADMSG;
}

int ima_fields_of(struct view template_name, struct ima_fields *ret)
{
	struct ima_fields f = { .unframed = view_is(template_name, "ima") };
	struct view text = template_name;
	struct reader r;
	enum form form;

	for (size_t i = 0; i < ARRAY_LEN(templates); i++) {
		if (view_is(template_name, templates[i].name))
			text = view_text(templates[i].fields);
	}
	if (text.len == 0 || text.len > IMA_TEMPLATE_MAX)
		return -EBADMSG;
	r = reader_of(text);
	while (r.left > 0) {
		if (f.n == IMA_FIELDS_MAX || read_until(&r, '|', &f.name[f.n]) < 0 ||
		    form_of(f.name[f.n], &form) < 0)
			return -EBADMSG;
		f.n++;
	}
	*ret = f;
	return 0;
}

/* "sha256:" NUL digest; in its second form with the word "ima:" or "verity:" before. */
static int read_digest(struct view field, enum form form, struct ima_entry *entry,
		       const char **ret_why)
{
	struct reader r = reader_of(field);
	struct view word;
	char name[16];

	if (field.len == 0)
		return 0; /* d-modsig, where there is no such signature */
	if (form == DIGEST_V2) {
		if (read_until(&r, ':', &word) < 0 ||
		    !(view_is(word, "ima") || view_is(word, "verity")))
			return refuse(ret_why, "a digest of neither ima nor verity");
		entry->verity = view_is(word, "verity");
	}
	if (read_until(&r, ':', &word) < 0 || word.len == 0 || word.len >= sizeof(name) ||
	    r.left == 0 || *r.at != '\0')
		return refuse(ret_why, "a digest without its algorithm");
	memcpy(name, word.data, word.len);
	name[word.len] = '\0';
	entry->file_alg = hash_by_name(name);
	entry->file_digest = view_of(r.at + 1, r.left - 1);
	/* Where a file could not be read in time, as many zeros as SHA-1 has stand there. */
	if (entry->file_alg != HASH_NONE && entry->file_digest.len != hash_size(entry->file_alg) &&
	    entry->file_digest.len != hash_size(HASH_SHA1))
		return refuse(ret_why, "a digest of another length than its algorithm's");
	return 0;
}

static int read_name(struct view field, struct ima_entry *entry, const char **ret_why)
{
	const uint8_t *nul = field.len ? memchr(field.data, '\0', field.len) : NULL;

	if (!nul || nul != field.data + field.len - 1)
		return refuse(ret_why, "a name that does not end with its one zero byte");
	entry->path = view_of(field.data, field.len - 1);
	return 0;
}

static int read_field(struct view name, struct view field, struct ima_entry *entry,
		      const char **ret_why)
{
	enum form form = RAW;

	if (form_of(name, &form) < 0)
		return refuse(ret_why, "a field that is not known");
	switch (form) {
	case DIGEST:
	case DIGEST_V2:
		/* d-modsig is of the file without its signature: not the file's digest. */
		if (view_is(name, "d-modsig"))
			return 0;
		return read_digest(field, form, entry, ret_why);
	case NAME:
		return read_name(field, entry, ret_why);
	case RAW:
	case NUMBER:
	case WORDS:
		break;
	}
	if (view_is(name, "sig"))
		entry->signature = field;
	return 0;
}

static int read_unframed(struct ima_entry *entry, const char **ret_why)
{
	struct reader r = reader_of(entry->data);
	const uint8_t *nul;

	entry->file_alg = HASH_SHA1;
	if (read_view(&r, UNFRAMED_DIGEST, &entry->file_digest) < 0 || r.left != UNFRAMED_NAME)
		return refuse(ret_why, "an entry of another size than the template ima has");
	nul = memchr(r.at, '\0', r.left);
	entry->path = view_of(r.at, nul ? (size_t)(nul - r.at) : r.left);
	return 0;
}

int ima_fields_read(const struct ima_fields *fields, struct ima_entry *entry, const char **ret_why)
{
	struct reader r = reader_of(entry->data);
	int e;

	if (fields->unframed)
		return read_unframed(entry, ret_why);
	for (size_t i = 0; i < fields->n; i++) {
		struct view field;
		uint32_t len;

		if (read_le32(&r, &len) < 0 || read_view(&r, len, &field) < 0)
			return refuse(ret_why, "a field reaches past the end of its entry");
		e = read_field(fields->name[i], field, entry, ret_why);
		if (e < 0)
			return e;
	}
	return r.left == 0 ? 0 : refuse(ret_why, "bytes behind the last field of an entry");
}

static int append_le32(struct bytes *to, size_t n)
{
	uint8_t le[4] = { n & 0xff, n >> 8 & 0xff, n >> 16 & 0xff, n >> 24 & 0xff };

	return bytes_append(to, le, sizeof(le));
}

static int append_field(struct bytes *to, struct view field)
{
	int r = append_le32(to, field.len);

	return r < 0 ? r : bytes_append_view(to, field);
}

/* Hex behind the last colon becomes bytes, and the colon gets its zero byte. */
static int build_digest(struct view word, bool bare, struct bytes *ret, const char **ret_why)
{
	size_t colon = word.len;
	int r = 0;

	while (colon > 0 && word.data[colon - 1] != ':')
		colon--;
	if (!bare && colon == 0 && word.len > 0)
		return refuse(ret_why, "a digest without its algorithm");
	if (!bare && colon > 0) {
		r = bytes_append(ret, word.data, colon);
		if (r == 0)
			r = bytes_append_u8(ret, 0);
	}
	if (r == 0)
		r = hex_decode((const char *)word.data + colon, word.len - colon, ret);
	return r == -EINVAL ? refuse(ret_why, "a digest that is not hex") : r;
}

static int build_field(struct view name, struct view word, struct bytes *ret, const char **ret_why)
{
	enum form form = RAW;
	int r;

	if (form_of(name, &form) < 0 || form == NUMBER || form == WORDS)
		return refuse(ret_why, "a field that the ASCII form does not carry whole: the "
				       "binary list has it");
	if (form == DIGEST || form == DIGEST_V2)
		return build_digest(word, false, ret, ret_why);
	if (form == RAW) {
		r = hex_decode((const char *)word.data, word.len, ret);
		return r == -EINVAL ? refuse(ret_why, "a field that is not hex") : r;
	}
	r = bytes_append_view(ret, word);
	return r < 0 ? r : bytes_append_u8(ret, 0);
}

static int build_unframed(struct reader r, struct bytes *ret, const char **ret_why)
{
	static const uint8_t zeros[UNFRAMED_NAME];
	struct view word;
	int e;

	if (read_until(&r, ' ', &word) < 0 || word.len != 2 * UNFRAMED_DIGEST || r.left == 0 ||
	    r.left > UNFRAMED_NAME)
		return refuse(ret_why, "a line that is not of the template ima");
	e = build_digest(word, true, ret, ret_why);
	if (e == 0)
		e = bytes_append(ret, r.at, r.left);
	if (e == 0)
		e = bytes_append(ret, zeros, UNFRAMED_NAME - r.left);
	return e;
}

int ima_fields_build(const struct ima_fields *fields, struct view words, struct bytes *ret,
		     const char **ret_why)
{
	CLEANUP(bytes_cleanup) struct bytes field = BYTES_INIT(IMA_DATA_MAX);
	struct reader r = reader_of(words);
	int e = 0;

	bytes_reset(ret);
	if (fields->unframed)
		e = build_unframed(r, ret, ret_why);
	for (size_t i = 0; !fields->unframed && e == 0 && i < fields->n; i++) {
		struct view word = view_of(r.at, r.left);

		/* The last word has no blank behind it, and may be empty. */
		if (i + 1 < fields->n && read_until(&r, ' ', &word) < 0)
			return refuse(ret_why, "a line with too few words");
		bytes_reset(&field);
		e = build_field(fields->name[i], word, &field, ret_why);
		if (e == 0)
			e = append_field(ret, bytes_view(&field));
	}
	return e == -EMSGSIZE ? refuse(ret_why, "an entry that is too large") : e;
}
