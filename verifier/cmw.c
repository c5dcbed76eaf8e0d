/* SPDX-License-Identifier: Apache-2.0 */
#include "cmw.h"

#include "cbor_reader.h"
#include "cbor_writer.h"

#define COLLECTION_TYPE "__cmwc_t" /* a key that labels no message */
#define TAG_FIRST	1668546817 /* RFC 9277, 4.3: content format 0 */
#define TAG_LAST	1668612095
#define INDICATORS	0xf
#define TYPE_MAX	256

/* What is still to be looked at. Nothing recurses: a wrapper in another waits here. */
struct queue {
	struct {
		struct view label, item;
	} at[CMW_MESSAGES_MAX];
	size_t n;
};

static int push(struct queue *q, struct view label, struct view item, const char **ret_why)
{
	*ret_why = "a CMW of more messages than are looked at";
	if (q->n == CMW_MESSAGES_MAX)
		return -EBADMSG;
	q->at[q->n].label = label;
	q->at[q->n++].item = item;
	return 0;
}

/* RFC 6838, 4.2: a slash in it, and no tunnel's "#". */
static bool is_media_type(struct view t)
{
	bool slash = false;

	if (t.len == 0 || t.len > TYPE_MAX || t.data[0] == '#')
		return false;
	for (size_t i = 0; i < t.len; i++) {
		if (t.data[i] < ' ' || t.data[i] > '~')
			return false;
		slash |= t.data[i] == '/' && i > 0 && i + 1 < t.len;
	}
	return slash;
}

static int read_type(struct reader *r, struct cmw_message *m)
{
	struct cbor_head h;

	if (cbor_reader_head(r, &h) < 0)
		return -EBADMSG;
	m->type = view_of(NULL, 0);
	if (h.kind == CBOR_IS_TEXT) {
		m->type = h.string;
		return is_media_type(h.string) ? 0 : -EBADMSG;
	}
	if (h.kind != CBOR_IS_UINT || h.number > UINT16_MAX)
		return -EBADMSG;
	m->format = (uint16_t)h.number;
	return 0;
}

static int read_record(struct reader *r, size_t n, struct cmw_message *m, const char **ret_why)
{
	uint64_t indicator = 0;

	*ret_why = "a CMW record that is not [type, value] or [type, value, indicator]";
	if ((n != 2 && n != 3) || read_type(r, m) < 0 || cbor_reader_bytes(r, &m->value) < 0)
		return -EBADMSG;
	if (n == 3 && cbor_reader_uint(r, &indicator) < 0)
		return -EBADMSG;
	*ret_why = "a CMW indicator of no meaning";
	if (n == 3 && (indicator == 0 || indicator > INDICATORS))
		return -EBADMSG;
	m->indicator = (uint32_t)indicator;
	return 0;
}

static int read_tag(struct reader *r, uint64_t tag, struct cmw_message *m, const char **ret_why)
{
	*ret_why = "a CBOR tag that is of no content format, or not on bytes";
	if (tag < TAG_FIRST || tag > TAG_LAST || (tag - TAG_FIRST) % 256 == 255)
		return -EBADMSG;
	/* Of 256 tags the last is of no format, so that no byte of a tag is zero. */
	m->format = (uint16_t)((tag - TAG_FIRST) / 256 * 255 + (tag - TAG_FIRST) % 256);
	return cbor_reader_bytes(r, &m->value);
}

static int read_collection(struct view raw, struct queue *q, const char **ret_why)
{
	struct reader r = reader_of(raw);
	struct cbor_map m;
	size_t before = q->n;
	int e;

	*ret_why = "a CMW collection that has a label twice, or is no map";
	if (cbor_reader_map(&r, &m) < 0 || r.left > 0)
		return -EBADMSG;
	for (size_t i = 0; i < m.n; i++) {
		const struct cbor_entry *entry = &m.entries[i];

		if (entry->by_text && view_is(entry->text, COLLECTION_TYPE))
			continue;
		e = push(q, entry->by_text ? entry->text : view_of(NULL, 0), entry->value, ret_why);
		if (e < 0)
			return e;
	}
	*ret_why = "a CMW collection of nothing";
	return q->n == before ? -EBADMSG : 0;
}

/* 1: a message; 0: a collection, whose members wait in q. */
static int read_one(struct queue *q, size_t at, struct cmw_message *ret, const char **ret_why)
{
	struct reader r = reader_of(q->at[at].item);
	struct cmw_message m = { .label = q->at[at].label };
	struct cbor_head h;

	*ret_why = "no CMW";
	if (cbor_reader_head(&r, &h) < 0)
		return -EBADMSG;
	if (h.kind == CBOR_IS_MAP)
		return read_collection(q->at[at].item, q, ret_why);
	if (h.kind == CBOR_IS_ARRAY) {
		if (read_record(&r, (size_t)h.number, &m, ret_why) < 0)
			return -EBADMSG;
	} else if (h.kind != CBOR_IS_TAG || read_tag(&r, h.number, &m, ret_why) < 0) {
		return -EBADMSG;
	}
	*ret_why = "bytes behind a CMW";
	if (r.left > 0)
		return -EBADMSG;
	*ret = m;
	return 1;
}

int cmw_read(struct view raw, struct cmw_message to[CMW_MESSAGES_MAX], size_t *ret_n,
	     const char **ret_why)
{
	struct queue q = { .n = 0 };
	size_t n = 0;
	int r;

	*ret_why = "larger than a CMW may be";
	if (raw.len > CMW_BYTES_MAX)
		return -EBADMSG;
	r = push(&q, view_of(NULL, 0), raw, ret_why);
	for (size_t at = 0; r == 0 && at < q.n; at++) {
		r = read_one(&q, at, &to[n], ret_why);
		if (r < 0)
			return r;
		n += (size_t)r;
		r = 0;
	}
	*ret_n = n;
	return r;
}

int cmw_write(struct bytes *to, const struct cmw_message *m)
{
	int r;

	r = cbor_writer_array(to, m->indicator ? 3 : 2);
	if (r == 0 && m->type.len > 0)
		r = cbor_writer_text_view(to, m->type);
	else if (r == 0)
		r = cbor_writer_int(to, m->format);
	if (r == 0)
		r = cbor_writer_bytes(to, m->value);
	if (r == 0 && m->indicator)
		r = cbor_writer_int(to, m->indicator);
	return r;
}

int cmw_write_collection(struct bytes *to, const struct cmw_message *m, size_t n)
{
	int r;

	r = cbor_writer_map(to, n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = cbor_writer_text_view(to, m[i].label);
		if (r == 0)
			r = cmw_write(to, &m[i]);
	}
	return r;
}
