/* SPDX-License-Identifier: Apache-2.0 */
#include "cbor_reader.h"
#include "cbor_writer.h"
#include "cmw.h"

static int value_of(const struct cbor_map *m, const char *name, struct reader *ret)
{
	const struct view *v = cbor_map_named(m, name);

	if (!v)
		return -EBADMSG;
	*ret = reader_of(*v);
	return 0;
}

/* The file ends its line. */
static struct view trimmed(struct view v)
{
	while (v.len > 0 && (v.data[v.len - 1] == '\n' || v.data[v.len - 1] == '\0'))
		v.len--;
	return v;
}

int tsm_report_read(struct view raw, struct tsm_report *ret)
{
	struct tsm_report t = { 0 };
	struct reader r = reader_of(raw), at;
	struct cbor_map m;

	if (cbor_reader_map(&r, &m) < 0 || r.left > 0)
		return -EBADMSG;
	if (value_of(&m, "provider", &at) < 0 || cbor_reader_text(&at, &t.provider) < 0 ||
	    value_of(&m, "outblob", &at) < 0 || cbor_reader_bytes(&at, &t.outblob) < 0)
		return -EBADMSG;
	if (value_of(&m, "auxblob", &at) == 0 && cbor_reader_bytes(&at, &t.auxblob) < 0)
		return -EBADMSG;
	t.provider = trimmed(t.provider);
	*ret = t;
	return 0;
}

int tsm_report_write(struct bytes *to, const struct tsm_report *t)
{
	int r;

	r = cbor_writer_map(to, t->auxblob.len > 0 ? 3 : 2);
	if (r == 0 && t->auxblob.len > 0) {
		r = cbor_writer_text(to, "auxblob");
		if (r == 0)
			r = cbor_writer_bytes(to, t->auxblob);
	}
	if (r == 0)
		r = cbor_writer_text(to, "outblob");
	if (r == 0)
		r = cbor_writer_bytes(to, t->outblob);
	if (r == 0)
		r = cbor_writer_text(to, "provider");
	return r < 0 ? r : cbor_writer_text_view(to, t->provider);
}
