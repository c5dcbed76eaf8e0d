/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mtree(5) text of a manifest.
 *
 * Why not libarchive's reader, which reads more of mtree(5)? It cannot be made
 * safe or exact enough for text that comes from outside (3.6.2):
 *  - Before it yields a first entry it has taken in the whole text, and copies
 *    every /set keyword to every line: 364 KB of text made it take 2.5 GB and 25 s.
 *    Lines with one path are chained in time quadratic in their number.
 *  - It merges lines with one path into one entry, keyword by keyword, cuts
 *    names at \000, reads uid=-1 as a number and an unknown type as a file.
 *    What it saw is then not what the text says.
 * So this reader takes what the writer below writes and what bsdtar writes by
 * default (mtree(5) with full paths): any order of keywords, others passed over.
 */
#include "manifest.h"

#include <string.h>

#include "cleanup.h"

#define SIGNATURE "#mtree"

static const char *const type_names[] = {
	[MANIFEST_FILE] = "file",
	[MANIFEST_DIR] = "dir",
	[MANIFEST_LINK] = "link",
	[MANIFEST_OTHER] = "other",
};

/* Bytes that stand for themselves in a name. No isgraph(3): it asks the locale. */
static bool plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '\\' && c != '#' && c != '=';
}

static int append_name(struct bytes *to, const char *name)
{
	const unsigned char *s = (const unsigned char *)name;
	int r;

	while (*s) {
		const uint8_t octal[] = { '\\', '0' + (*s >> 6), '0' + (*s >> 3 & 7),
					  '0' + (*s & 7) };
		size_t run = 0;

		/* Nearly every name is one run; byte by byte this was half of a measurement's text.
		 */
		while (plain(s[run]))
			run++;
		r = run > 0 ? bytes_append(to, s, run) : bytes_append(to, octal, sizeof(octal));
		if (r < 0)
			return r;
		s += run > 0 ? run : 1;
	}
	return 0;
}

/* " name=number"; base 8 at least four digits wide. No printf: it took most of a text's time. */
static int append_number(struct bytes *to, const char *name, uint64_t n, unsigned int base)
{
	char digits[32], *at = digits + sizeof(digits);
	int r;

	do {
		*--at = (char)('0' + n % base);
		n /= base;
	} while (n > 0);
	while (base == 8 && digits + sizeof(digits) - at < 4)
		*--at = '0';
	r = bytes_append_text(to, name);
	if (r < 0)
		return r;
	return bytes_append(to, at, (size_t)(digits + sizeof(digits) - at));
}

static int write_file(const struct manifest_entry *e, struct bytes *to)
{
	char hex[DIGEST_HEX_MAX];
	int r;

	if (e->sha256.alg != HASH_SHA256 || e->sha256.size != hash_size(HASH_SHA256))
		return -EINVAL;
	r = append_number(to, " size=", e->size, 10);
	if (r < 0)
		return r;
	r = bytes_append_text(to, " sha256digest=");
	if (r < 0)
		return r;
	return bytes_append_text(to, digest_hex(&e->sha256, hex));
}

static int write_link(const struct manifest_entry *e, struct bytes *to)
{
	int r;

	if (!e->link || !e->link[0])
		return -EINVAL;
	r = bytes_append_text(to, " link=");
	if (r < 0)
		return r;
	return append_name(to, e->link);
}

static int write_nothing(const struct manifest_entry *e, struct bytes *to)
{
	return 0;
}

static int (*const write_rest[])(const struct manifest_entry *e, struct bytes *to) = {
	[MANIFEST_FILE] = write_file,
	[MANIFEST_DIR] = write_nothing,
	[MANIFEST_LINK] = write_link,
	[MANIFEST_OTHER] = write_nothing,
};

static int write_entry(const struct manifest_entry *e, struct bytes *to)
{
	int r;

	if ((size_t)e->type >= ARRAY_LEN(type_names) || e->mode > 07777)
		return -EINVAL;
	r = bytes_append_u8(to, '.');
	if (r < 0)
		return r;
	r = append_name(to, e->path);
	if (r < 0)
		return r;
	r = bytes_append_text(to, " type=");
	if (r == 0)
		r = bytes_append_text(to, type_names[e->type]);
	if (r == 0)
		r = append_number(to, " mode=", e->mode, 8);
	if (r == 0)
		r = append_number(to, " uid=", e->uid, 10);
	if (r == 0)
		r = append_number(to, " gid=", e->gid, 10);
	if (r < 0)
		return r;
	r = write_rest[e->type](e, to);
	if (r < 0)
		return r;
	return bytes_append_u8(to, '\n');
}

int manifest_write(const struct manifest *m, struct bytes *ret)
{
	size_t before = ret->len;
	int r;

	r = bytes_append_text(ret, SIGNATURE "\n");
	for (size_t i = 0; r == 0 && i < m->n; i++) {
		if (i > 0 && strcmp(m->entries[i - 1].path, m->entries[i].path) >= 0)
			r = -EINVAL;
		else
			r = write_entry(&m->entries[i], ret);
	}
	if (r < 0)
		ret->len = before;
	return r;
}

/* A line as it is read; the names in its entry are in the two buffers, which lines share. */
struct line {
	struct manifest_entry e;
	struct bytes path, link;
	unsigned int seen; /* keywords, by their bit */
};

static int read_number(struct view v, unsigned int base, uint64_t max, uint64_t *ret)
{
	struct reader r = reader_of(v);
	uint64_t n = 0;
	uint8_t c;

	if (v.len == 0)
		return -EBADMSG;
	while (read_u8(&r, &c) == 0) {
		if (c < '0' || c >= '0' + base)
			return -EBADMSG;
		c -= '0';
		if (n > (max - c) / base)
			return -EBADMSG;
		n = n * base + c;
	}
	*ret = n;
	return 0;
}

/* The bytes that a name stands for, with a final NUL. */
static int read_name(struct view v, struct bytes *ret)
{
	struct reader r = reader_of(v);
	uint64_t octal;
	struct view digits;
	uint8_t c;
	int e;

	bytes_reset(ret);
	while (read_u8(&r, &c) == 0) {
		if (c == '\\') {
			e = read_view(&r, 3, &digits);
			if (e == 0)
				e = read_number(digits, 8, 0xff, &octal);
			if (e < 0)
				return e;
			/* No file system has it in a name; a C string would end there. */
			if (octal == 0)
				return -EBADMSG;
			c = (uint8_t)octal;
		} else if (!plain(c)) {
			return -EBADMSG;
		}
		e = bytes_append_u8(ret, c);
		if (e < 0)
			return e;
	}
	return bytes_append_u8(ret, '\0');
}

static int read_type(struct view v, struct line *l)
{
	/* mtree(5) has a word for each of these; a manifest only says that it is neither. */
	static const char *const other[] = { "block", "char", "fifo", "socket" };

	for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
		if (view_is(v, type_names[i])) {
			l->e.type = (enum manifest_type)i;
			return 0;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		if (view_is(v, other[i])) {
			l->e.type = MANIFEST_OTHER;
			return 0;
		}
	}
	return -EBADMSG;
}

static int read_mode(struct view v, struct line *l)
{
	uint64_t n;
	int r = read_number(v, 8, 07777, &n);

	if (r == 0)
		l->e.mode = (mode_t)n;
	return r;
}

static int read_uid(struct view v, struct line *l)
{
	uint64_t n;
	int r = read_number(v, 10, UINT32_MAX, &n);

	if (r == 0)
		l->e.uid = (uid_t)n;
	return r;
}

static int read_gid(struct view v, struct line *l)
{
	uint64_t n;
	int r = read_number(v, 10, UINT32_MAX, &n);

	if (r == 0)
		l->e.gid = (gid_t)n;
	return r;
}

static int read_size(struct view v, struct line *l)
{
	return read_number(v, 10, UINT64_MAX, &l->e.size);
}

static int read_sha256(struct view v, struct line *l)
{
	struct bytes raw = BYTES_INIT(hash_size(HASH_SHA256));
	int r;

	if (v.len != 2 * raw.max)
		return -EBADMSG;
	r = hex_decode((const char *)v.data, v.len, &raw);
	if (r == 0)
		r = digest_from(HASH_SHA256, bytes_view(&raw), &l->e.sha256);
	bytes_done(&raw);
	return r == -EINVAL ? -EBADMSG : r;
}

static int read_link(struct view v, struct line *l)
{
	if (v.len == 0)
		return -EBADMSG;
	return read_name(v, &l->link);
}

enum {
	SEEN_TYPE = 1 << 0,
	SEEN_MODE = 1 << 1,
	SEEN_UID = 1 << 2,
	SEEN_GID = 1 << 3,
	SEEN_SIZE = 1 << 4,
	SEEN_SHA256 = 1 << 5,
	SEEN_LINK = 1 << 6,
};

static const struct {
	const char *name;
	unsigned int bit;
	int (*read)(struct view v, struct line *l);
} keywords[] = {
	{ "type", SEEN_TYPE, read_type },	{ "mode", SEEN_MODE, read_mode },
	{ "uid", SEEN_UID, read_uid },		{ "gid", SEEN_GID, read_gid },
	{ "size", SEEN_SIZE, read_size },	{ "sha256digest", SEEN_SHA256, read_sha256 },
	{ "sha256", SEEN_SHA256, read_sha256 }, { "link", SEEN_LINK, read_link },
};

#define NEEDED_BY_ALL (SEEN_TYPE | SEEN_MODE | SEEN_UID | SEEN_GID)

/* An entry that leaves one of these open would vouch for what it does not say. */
static const unsigned int needed[] = {
	[MANIFEST_FILE] = NEEDED_BY_ALL | SEEN_SIZE | SEEN_SHA256,
	[MANIFEST_DIR] = NEEDED_BY_ALL,
	[MANIFEST_LINK] = NEEDED_BY_ALL | SEEN_LINK,
	[MANIFEST_OTHER] = NEEDED_BY_ALL,
};

static int read_keyword(struct view word, struct line *l)
{
	struct reader r = reader_of(word);
	struct view name;
	int e;

	e = read_until(&r, '=', &name);
	if (e < 0)
		return e;
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		if (!view_is(name, keywords[i].name))
			continue;
		/* Twice: which of the two would the next reader believe? */
		if (l->seen & keywords[i].bit)
			return -EBADMSG;
		l->seen |= keywords[i].bit;
		return keywords[i].read(view_of(r.at, r.left), l);
	}
	return 0;
}

/* "./usr/bin/x" is /usr/bin/x and "." the root; a name without a slash would be mtree's other form.
 */
static int read_path(struct view word, struct line *l)
{
	struct reader r = reader_of(word);
	uint8_t dot;
	int e;

	e = read_u8(&r, &dot);
	if (e < 0 || dot != '.')
		return -EBADMSG;
	return read_name(r.left > 0 ? view_of(r.at, r.left) : view_text("/"), &l->path);
}

/* Keeps to what the type has, so that what the text says beside it makes no difference. */
static void drop_unneeded(struct line *l)
{
	if (l->e.type != MANIFEST_FILE) {
		l->e.size = 0;
		l->e.sha256 = (struct digest){ 0 };
	}
	l->e.path = (char *)l->path.data;
	l->e.link = l->e.type == MANIFEST_LINK ? (char *)l->link.data : NULL;
}

static int read_line(struct view text, struct line *l, struct manifest *to)
{
	struct reader r = reader_of(text);
	struct view word;
	bool first = true;
	int e;

	l->e = (struct manifest_entry){ 0 };
	l->seen = 0;
	while (r.left > 0) {
		e = read_until(&r, ' ', &word);
		if (e < 0)
			return e;
		if (word.len == 0)
			continue;
		e = first ? read_path(word, l) : read_keyword(word, l);
		if (e < 0)
			return e;
		first = false;
	}
	if (first)
		return 0; /* an empty line */
	if ((l->seen & needed[l->e.type]) != needed[l->e.type])
		return -EBADMSG;
	drop_unneeded(l);
	return manifest_add(to, &l->e);
}

static int read_lines(struct view text, struct line *l, struct manifest *to)
{
	struct reader r = reader_of(text);
	struct view line;
	int e;

	e = read_until(&r, '\n', &line);
	if (e < 0 || !view_is(line, SIGNATURE))
		return -EBADMSG;
	while (r.left > 0) {
		e = read_until(&r, '\n', &line);
		if (e < 0)
			return e;
		if (line.len > 0 && line.data[0] == '#')
			continue;
		e = read_line(line, l, to);
		if (e < 0)
			return e;
	}
	return 0;
}

int manifest_read(struct view text, struct manifest *ret)
{
	CLEANUP(manifest_done) struct manifest m = { 0 };
	struct line l = { .path = BYTES_INIT(MANIFEST_MAX), .link = BYTES_INIT(MANIFEST_MAX) };
	int r;

	if (text.len > MANIFEST_MAX)
		return -EMSGSIZE;
	/* A text that was cut short within its last line. */
	if (text.len == 0 || text.data[text.len - 1] != '\n')
		return -EBADMSG;
	r = read_lines(text, &l, &m);
	bytes_done(&l.path);
	bytes_done(&l.link);
	if (r == 0)
		r = manifest_sort(&m);
	if (r == -EINVAL || r == -EEXIST)
		return -EBADMSG;
	if (r < 0)
		return r;
	*ret = m;
	manifest_init(&m);
	return 0;
}
