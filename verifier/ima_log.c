/* SPDX-License-Identifier: Apache-2.0 */
#include "ima_log.h"

#include <string.h>

#include "cleanup.h"
#include "ima_fields.h"

static int refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

static const enum hash_alg hashes[] = { HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512,
					HASH_SM3 };

/* Of binary lists: the size with which the first entry's template has a name that is known. */
static size_t find_digest_size(struct view log)
{
	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		size_t size = hash_size(hashes[i]);
		struct reader r = reader_of(log);
		struct ima_fields fields;
		struct view skipped, name;
		uint32_t len;

		if (read_view(&r, 4 + size, &skipped) == 0 && read_le32(&r, &len) == 0 &&
		    len <= IMA_TEMPLATE_MAX && read_view(&r, len, &name) == 0 &&
		    ima_fields_of(name, &fields) == 0)
			return size;
	}
	return 0;
}

int ima_log_open(struct view log, struct ima_log *ret, const char **ret_why)
{
	struct ima_log l = { .at = reader_of(log), .built = BYTES_INIT(IMA_DATA_MAX) };

	if (log.len > IMA_LOG_MAX)
		return refuse(ret_why, "larger than a list of IMA may be");
	if (log.len < 4)
		return refuse(ret_why, "too short for a list of IMA");
	/* A PCR's number in four bytes has three zeros; text has none. */
	l.ascii = log.data[3] != 0;
	if (!l.ascii) {
		l.digest_size = find_digest_size(log);
		if (l.digest_size == 0)
			return refuse(ret_why, "no template of IMA in its first entry");
	}
	*ret = l;
	return 0;
}

void ima_log_done(struct ima_log *log)
{
	bytes_done(&log->built);
}

static int read_pcr(struct view word, uint32_t *ret)
{
	uint32_t n = 0;

	if (word.len == 0 || word.len > 2)
		return -EBADMSG;
	for (size_t i = 0; i < word.len; i++) {
		if (word.data[i] < '0' || word.data[i] > '9')
			return -EBADMSG;
		n = 10 * n + (word.data[i] - '0');
	}
	*ret = n;
	return 0;
}

static int next_ascii(struct ima_log *log, struct ima_entry *e, const char **ret_why)
{
	struct ima_fields fields;
	char hex[2 * DIGEST_MAX + 1];
	struct view line, word;
	struct reader r;
	size_t size = 0;

	if (read_until(&log->at, '\n', &line) < 0)
		return refuse(ret_why, "a line cannot be read");
	r = reader_of(line);
	while (r.left > 0 && *r.at == ' ')
		(void)!read_until(&r, ' ', &word); /* the kernel writes the number two wide */
	if (read_until(&r, ' ', &word) < 0 || read_pcr(word, &e->pcr) < 0)
		return refuse(ret_why, "a line that does not begin with a PCR");
	if (read_until(&r, ' ', &word) < 0 || word.len >= sizeof(hex))
		return refuse(ret_why, "a line without a template hash");
	memcpy(hex, word.data, word.len);
	hex[word.len] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		if (word.len == 2 * hash_size(hashes[i]))
			size = hash_size(hashes[i]);
	}
	if (size == 0 || hex_decode_exact(hex, e->logged_bytes, size) < 0)
		return refuse(ret_why, "a template hash that is none");
	e->logged = view_of(e->logged_bytes, size);
	if (read_until(&r, ' ', &e->template_name) < 0 ||
	    ima_fields_of(e->template_name, &fields) < 0)
		return refuse(ret_why, "a template that is not known");
	if (ima_fields_build(&fields, view_of(r.at, r.left), &log->built, ret_why) < 0)
		return -EBADMSG;
	e->data = bytes_view(&log->built);
	return ima_fields_read(&fields, e, ret_why);
}

/* "ima" carries its digest bare and its name by length; both are hashed padded to their places. */
static int build_unframed(struct ima_log *log, struct ima_entry *e, const char **ret_why)
{
	static const uint8_t zeros[256];
	struct view digest, name;
	uint32_t len;
	int r;

	if (read_view(&log->at, hash_size(HASH_SHA1), &digest) < 0 ||
	    read_le32(&log->at, &len) < 0 || len >= sizeof(zeros) ||
	    read_view(&log->at, len, &name) < 0)
		return refuse(ret_why, "an entry of the template ima is cut short");
	bytes_reset(&log->built);
	r = bytes_append_view(&log->built, digest);
	if (r == 0)
		r = bytes_append_view(&log->built, name);
	if (r == 0)
		r = bytes_append(&log->built, zeros, sizeof(zeros) - len);
	e->data = bytes_view(&log->built);
	return r;
}

static int next_binary(struct ima_log *log, struct ima_entry *e, const char **ret_why)
{
	struct ima_fields fields;
	uint32_t len;
	int r;

	if (read_le32(&log->at, &e->pcr) < 0 ||
	    read_view(&log->at, log->digest_size, &e->logged) < 0 ||
	    read_le32(&log->at, &len) < 0 || len > IMA_TEMPLATE_MAX ||
	    read_view(&log->at, len, &e->template_name) < 0)
		return refuse(ret_why, "an entry is cut short");
	if (ima_fields_of(e->template_name, &fields) < 0)
		return refuse(ret_why, "a template that is not known");
	if (fields.unframed) {
		r = build_unframed(log, e, ret_why);
		return r < 0 ? r : ima_fields_read(&fields, e, ret_why);
	}
	if (read_le32(&log->at, &len) < 0 || len > IMA_DATA_MAX ||
	    read_view(&log->at, len, &e->data) < 0)
		return refuse(ret_why,
			      "an entry reaches past the end of the list, or is too large");
	return ima_fields_read(&fields, e, ret_why);
}

static bool all_zero(struct view v)
{
	for (size_t i = 0; i < v.len; i++) {
		if (v.data[i] != 0)
			return false;
	}
	return true;
}

/*
 * Whatever bank is replayed, an entry whose hash is not its data's was not written by a kernel.
 * Where two algorithms have digests of that length either may have made it.
 */
static int check_hash(const struct ima_entry *e, const char **ret_why)
{
	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		struct digest d;
		int r;

		if (hash_size(hashes[i]) != e->logged.len)
			continue;
		r = digest_of(hashes[i], e->data, &d);
		if (r < 0)
			return r;
		if (view_equal(digest_view(&d), e->logged))
			return 0;
	}
	return refuse(ret_why, "a template hash that is not of its data");
}

int ima_log_next(struct ima_log *log, struct ima_entry *ret, const char **ret_why)
{
	int r;

	if (log->at.left == 0)
		return 0;
	if (log->entries == IMA_ENTRIES_MAX)
		return refuse(ret_why, "more entries than a list of IMA may have");
	*ret = (struct ima_entry){ 0 };
	r = log->ascii ? next_ascii(log, ret, ret_why) : next_binary(log, ret, ret_why);
	if (r < 0)
		return r;
	ret->violation = all_zero(ret->logged);
	r = ret->violation ? 0 : check_hash(ret, ret_why);
	if (r < 0)
		return r;
	log->entries++;
	return 1;
}

bool ima_log_detect(struct view bytes)
{
	struct ima_log log;
	struct ima_entry entry;
	const char *why;
	bool is;

	if (ima_log_open(bytes, &log, &why) < 0)
		return false;
	/* A list that is damaged further on is one all the same, and is refused by its name. */
	is = ima_log_next(&log, &entry, &why) == 1;
	ima_log_done(&log);
	return is;
}

static int extend(struct digest *value, const struct ima_entry *e)
{
	uint8_t ones[DIGEST_MAX];
	struct digest d;
	int r;

	if (e->violation) {
		/* ima_add_violation: the bank gets what no file's entry can be. */
		memset(ones, 0xff, sizeof(ones));
		return digest_extend(value, view_of(ones, value->size));
	}
	r = digest_of(value->alg, e->data, &d);
	return r < 0 ? r : digest_extend(value, digest_view(&d));
}

/* The kernel's digest of the boot registers, with which every list of it begins. */
static void take_aggregate(const struct ima_entry *e, struct digest *ret)
{
	if (view_is(e->path, "boot_aggregate") && digest_from(e->file_alg, e->file_digest, ret) < 0)
		*ret = (struct digest){ 0 };
}

static int replay(struct ima_log *l, size_t size, uint32_t pcr, const struct digest *quoted,
		  struct ima_replay *p, const char **ret_why)
{
	struct ima_entry entry;
	size_t violations = 0;
	int r;

	while ((r = ima_log_next(l, &entry, ret_why)) == 1) {
		if (entry.pcr != pcr)
			continue;
		if (p->entries == 0)
			take_aggregate(&entry, &p->boot_aggregate);
		r = extend(&p->value, &entry);
		if (r < 0)
			break;
		p->entries++;
		violations += entry.violation;
		if (quoted && !p->matched && digest_equal(&p->value, quoted)) {
			p->matched = true;
			p->proven = p->entries;
			p->violations = violations;
			p->ended_at = size - l->at.left;
		}
	}
	return r;
}

int ima_replay(struct view log, uint32_t pcr, enum hash_alg bank, const struct digest *quoted,
	       struct ima_replay *ret, const char **ret_why)
{
	struct ima_replay p = { .value = digest_zero(bank) };
	struct ima_log l;
	int r;

	if (hash_size(bank) == 0)
		return refuse(ret_why, "a bank that is not known");
	r = ima_log_open(log, &l, ret_why);
	if (r < 0)
		return r;
	r = replay(&l, log.len, pcr, quoted, &p, ret_why);
	ima_log_done(&l);
	if (r == 0)
		*ret = p;
	return r;
}

int ima_replay_from(struct view log, uint32_t pcr, const struct digest *from,
		    const struct digest *quoted, struct ima_replay *ret, const char **ret_why)
{
	struct ima_replay p = { .value = *from };
	struct ima_log l;
	int r = 0;

	p.matched = quoted && digest_equal(from, quoted);
	if (log.len > 0) {
		r = ima_log_open(log, &l, ret_why);
		if (r < 0)
			return r;
		r = replay(&l, log.len, pcr, quoted, &p, ret_why);
		ima_log_done(&l);
	}
	if (r == 0)
		*ret = p;
	return r;
}
