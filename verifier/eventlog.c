/* SPDX-License-Identifier: Apache-2.0 */
#include "eventlog.h"

#include <string.h>

#include "cleanup.h"

/* The zero bytes at their ends are part of them. */
#define SPEC_ID_AGILE	 "Spec ID Event03"
#define STARTUP_LOCALITY "StartupLocality"

/* Without a zero byte at their ends. */
#define EXIT_INVOKED   "Exit Boot Services Invocation"
#define EXIT_SUCCEEDED "Exit Boot Services Returned with Success"

#define SHA1_HEADER  32 /* index, type, digest, size */
#define AGILE_HEADER 16 /* index, type, count of digests, size: the least that a record has */

static int refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

static bool starts_with(struct view v, const char *text)
{
	size_t len = strlen(text) + 1;

	return v.len >= len && memcmp(v.data, text, len) == 0;
}

static bool all_are(struct view v, uint8_t value)
{
	for (size_t i = 0; i < v.len; i++) {
		if (v.data[i] != value)
			return false;
	}
	return true;
}

/*
 * 1: only padding is left, as an ACPI area has it behind its last record; 0: a record
 * follows. Bytes behind the padding could be shown to people as events that nothing extended.
 */
static int at_end(const struct eventlog *log, const char **ret_why)
{
	struct view rest = view_of(log->at.at, log->at.left);
	size_t header = log->agile ? AGILE_HEADER : SHA1_HEADER;
	struct view head = view_of(rest.data, rest.len < header ? rest.len : header);
	struct view mark = view_of(rest.data, rest.len < 8 ? rest.len : 8);

	if (rest.len == 0)
		return 1;
	if (all_are(head, 0x00))
		return all_are(rest, 0x00) ? 1 : refuse(ret_why, "bytes behind the zero padding");
	if (all_are(mark, 0xff))
		return all_are(rest, 0xff) ? 1 : refuse(ret_why, "bytes behind the 0xff padding");
	return 0;
}

/* Every number in a log is little-endian. */
static int read_sha1_record(struct reader *r, struct eventlog_event *ret, const char **ret_why)
{
	struct eventlog_event e = { 0 };
	uint32_t size;

	if (read_le32(r, &e.index) < 0 || read_le32(r, &e.type) < 0 ||
	    read_view(r, hash_size(HASH_SHA1), &e.digests[0]) < 0 || read_le32(r, &size) < 0)
		return refuse(ret_why, "a record is cut short");
	if (read_view(r, size, &e.data) < 0)
		return refuse(ret_why, "a record's data reaches past the end of the log");
	*ret = e;
	return 0;
}

static int read_digests(struct eventlog *log, uint32_t count, struct eventlog_event *e,
			const char **ret_why)
{
	uint16_t alg;
	size_t bank;

	if (count > log->n_banks)
		return refuse(ret_why, "a record has more digests than the log has banks");
	for (uint32_t i = 0; i < count; i++) {
		if (read_le16(&log->at, &alg) < 0)
			return refuse(ret_why, "a record is cut short");
		for (bank = 0; bank < log->n_banks; bank++) {
			if (log->banks[bank].alg == alg)
				break;
		}
		if (bank == log->n_banks)
			return refuse(ret_why, "a digest's algorithm is not in the Spec ID header");
		if (e->digests[bank].len > 0)
			return refuse(ret_why, "a record has two digests for one bank");
		if (read_view(&log->at, log->banks[bank].size, &e->digests[bank]) < 0)
			return refuse(ret_why, "a record is cut short");
	}
	return 0;
}

static int read_agile_record(struct eventlog *log, struct eventlog_event *ret, const char **ret_why)
{
	struct eventlog_event e = { 0 };
	uint32_t count, size;
	int r;

	if (read_le32(&log->at, &e.index) < 0 || read_le32(&log->at, &e.type) < 0 ||
	    read_le32(&log->at, &count) < 0)
		return refuse(ret_why, "a record is cut short");
	r = read_digests(log, count, &e, ret_why);
	if (r < 0)
		return r;
	if (read_le32(&log->at, &size) < 0)
		return refuse(ret_why, "a record is cut short");
	if (read_view(&log->at, size, &e.data) < 0)
		return refuse(ret_why, "a record's data reaches past the end of the log");
	*ret = e;
	return 0;
}

static int add_bank(struct eventlog *log, uint16_t alg, uint16_t size, const char **ret_why)
{
	size_t known = hash_size((enum hash_alg)alg);

	for (size_t i = 0; i < log->n_banks; i++) {
		if (log->banks[i].alg == alg)
			return refuse(ret_why, "the Spec ID header names a bank twice");
	}
	if (size == 0 || size > DIGEST_MAX || (known > 0 && known != size))
		return refuse(ret_why, "the Spec ID header gives a wrong digest size");
	log->banks[log->n_banks++] = (struct eventlog_bank){ alg, size };
	return 0;
}

/* TCG_EfiSpecIDEvent. */
static int read_spec_id(struct eventlog *log, struct view data, const char **ret_why)
{
	static const char short_header[] = "the Spec ID header is cut short";
	struct reader r = reader_of(data);
	uint16_t alg, size;
	struct view skipped;
	uint32_t count;
	uint8_t vendor;
	int e;

	/* Signature, platform class, minor, major, errata, size of UINTN. */
	if (read_view(&r, sizeof(SPEC_ID_AGILE) + 4 + 4, &skipped) < 0 || read_le32(&r, &count) < 0)
		return refuse(ret_why, short_header);
	if (count == 0 || count > EVENTLOG_BANKS_MAX)
		return refuse(ret_why, "the Spec ID header has no bank, or too many");
	for (uint32_t i = 0; i < count; i++) {
		if (read_le16(&r, &alg) < 0 || read_le16(&r, &size) < 0)
			return refuse(ret_why, short_header);
		e = add_bank(log, alg, size, ret_why);
		if (e < 0)
			return e;
	}
	if (read_u8(&r, &vendor) < 0 || read_view(&r, vendor, &skipped) < 0)
		return refuse(ret_why, short_header);
	if (r.left > 0)
		return refuse(ret_why, "bytes behind the Spec ID header");
	return 0;
}

int eventlog_open(struct view log, struct eventlog *ret, const char **ret_why)
{
	struct eventlog l = { .at = reader_of(log) };
	struct eventlog_event first;
	struct reader again = l.at;
	int r;

	r = at_end(&l, ret_why);
	if (r != 0)
		return r < 0 ? r : refuse(ret_why, "the log has no records");
	r = read_sha1_record(&l.at, &first, ret_why);
	if (r < 0)
		return r;
	if (first.type == EVENTLOG_NO_ACTION && starts_with(first.data, SPEC_ID_AGILE)) {
		l.agile = true;
		r = read_spec_id(&l, first.data, ret_why);
		if (r < 0)
			return r;
		l.events = 1;
		l.end = log.len - l.at.left;
	} else {
		l.at = again;
		l.banks[0] = (struct eventlog_bank){ HASH_SHA1, (uint16_t)hash_size(HASH_SHA1) };
		l.n_banks = 1;
	}
	*ret = l;
	return 0;
}

int eventlog_next(struct eventlog *log, struct eventlog_event *ret, const char **ret_why)
{
	size_t before = log->at.left;
	int r;

	r = at_end(log, ret_why);
	if (r != 0)
		return r < 0 ? r : 0;
	if (log->events == EVENTLOG_EVENTS_MAX)
		return refuse(ret_why, "the log has too many records");
	r = log->agile ? read_agile_record(log, ret, ret_why)
		       : read_sha1_record(&log->at, ret, ret_why);
	if (r < 0)
		return r;
	log->events++;
	log->end += before - log->at.left;
	return 1;
}

/* One bank's registers and the hasher that extends them. */
struct replaying {
	struct eventlog_registers *to;
	struct hasher *hasher;
	size_t column;	       /* of its digests in an event */
	uint32_t exit_invoked; /* bitmap of the registers that were told so */
};

struct replayer {
	struct eventlog log;
	struct eventlog_replay *replay;
	struct replaying banks[EVENTLOG_BANKS_MAX];
	bool started; /* a StartupLocality event was seen */
};

static void replayer_done(struct replayer *p)
{
	for (size_t i = 0; i < EVENTLOG_BANKS_MAX; i++)
		hasher_free(p->banks[i].hasher);
}

static int replayer_add_bank(struct replayer *p, size_t column)
{
	struct eventlog_replay *replay = p->replay;
	enum hash_alg alg = (enum hash_alg)p->log.banks[column].alg;
	struct replaying *b = &p->banks[replay->n_banks];

	b->column = column;
	b->to = &replay->banks[replay->n_banks];
	b->to->alg = alg;
	for (size_t i = 0; i < EVENTLOG_REGISTERS; i++)
		b->to->registers[i] = digest_zero(alg);
	replay->n_banks++;
	return hasher_new(alg, &b->hasher);
}

/*
 * EV_NO_ACTION is never extended; of its kinds only StartupLocality changes a value: PCR 0
 * then began as 00..locality (TPM 2.0 part 1, 17.5.2). It must be the only one, before any extend.
 */
static int replay_no_action(struct replayer *p, const struct eventlog_event *e,
			    const char **ret_why)
{
	struct reader r = reader_of(e->data);
	struct view text;
	uint8_t locality;

	if (!starts_with(e->data, STARTUP_LOCALITY))
		return 0;
	if (read_view(&r, sizeof(STARTUP_LOCALITY), &text) < 0 || read_u8(&r, &locality) < 0 ||
	    r.left > 0 || e->index != 0)
		return refuse(ret_why, "a StartupLocality event is malformed");
	if (locality != 0 && locality != 3 && locality != 4)
		return refuse(ret_why, "a StartupLocality event names no start-up locality");
	if (p->started)
		return refuse(ret_why, "there are two StartupLocality events");
	p->started = true;
	p->replay->locality = locality;
	for (size_t i = 0; i < p->replay->n_banks; i++) {
		struct eventlog_registers *to = p->banks[i].to;

		if (to->touched & 1)
			return refuse(ret_why, "StartupLocality comes after PCR 0 was extended");
		to->registers[0].bytes[to->registers[0].size - 1] = locality;
		to->touched |= 1;
	}
	return 0;
}

static int replay_extend(struct replaying *b, const struct eventlog_event *e)
{
	struct digest *reg = &b->to->registers[e->index];
	struct view digest = e->digests[b->column];
	int r;

	b->to->touched |= 1u << e->index;
	if (digest.len == 0) {
		b->to->incomplete = true;
		return 0;
	}
	r = hasher_begin(b->hasher);
	if (r < 0)
		return r;
	r = hasher_add(b->hasher, reg->bytes, reg->size);
	if (r < 0)
		return r;
	r = hasher_add(b->hasher, digest.data, digest.len);
	if (r < 0)
		return r;
	return hasher_end(b->hasher, reg);
}

/* 1: the record extends this text, and its digest says so; 0: another; or a negative errno. */
static int is_action(const struct replaying *b, const struct eventlog_event *e, const char *text)
{
	struct view digest = e->digests[b->column];
	struct digest of_text;
	int r;

	if (e->type != EVENTLOG_EFI_ACTION || !view_equal(e->data, view_of(text, strlen(text))))
		return 0;
	r = digest_of(b->to->alg, e->data, &of_text);
	if (r < 0)
		return r;
	return view_equal(digest, view_of(of_text.bytes, of_text.size));
}

static int note_exit(struct replaying *b, const struct eventlog_event *e)
{
	uint32_t bit = 1u << e->index;
	int r;

	r = is_action(b, e, EXIT_INVOKED);
	if (r > 0)
		b->exit_invoked |= bit;
	if (r != 0 || !(b->exit_invoked & bit))
		return r < 0 ? r : 0;
	r = is_action(b, e, EXIT_SUCCEEDED);
	if (r > 0)
		b->to->boot_services_left |= bit;
	return r < 0 ? r : 0;
}

static int replay_event(struct replayer *p, const struct eventlog_event *e, const char **ret_why)
{
	int r;

	if (e->type == EVENTLOG_NO_ACTION)
		return replay_no_action(p, e, ret_why);
	if (e->index >= EVENTLOG_REGISTERS)
		return refuse(ret_why, "a record extends a register that does not exist");
	for (size_t i = 0; i < p->replay->n_banks; i++) {
		r = replay_extend(&p->banks[i], e);
		if (r < 0)
			return r;
		r = note_exit(&p->banks[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

int eventlog_replay(struct view log, struct eventlog_replay *ret, const char **ret_why)
{
	struct eventlog_replay replay = { 0 };
	CLEANUP(replayer_done) struct replayer p = { .replay = &replay };
	struct eventlog_event e;
	int r;

	r = eventlog_open(log, &p.log, ret_why);
	if (r < 0)
		return r;
	for (size_t i = 0; i < p.log.n_banks; i++) {
		if (hash_size((enum hash_alg)p.log.banks[i].alg) == 0)
			continue;
		r = replayer_add_bank(&p, i);
		if (r < 0)
			return r;
	}
	while ((r = eventlog_next(&p.log, &e, ret_why)) > 0) {
		r = replay_event(&p, &e, ret_why);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	replay.events = p.log.events;
	replay.end = p.log.end;
	*ret = replay;
	return 0;
}

const struct eventlog_registers *eventlog_bank_of(const struct eventlog_replay *replay,
						  enum hash_alg alg)
{
	for (size_t i = 0; i < replay->n_banks; i++) {
		if (replay->banks[i].alg == alg)
			return &replay->banks[i];
	}
	return NULL;
}
