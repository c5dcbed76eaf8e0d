/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "endorsement_key.h"

struct endorsement_store {
	struct endorsement_entry *entries;
	size_t n, room, bytes;
	bool sorted;
	char *problems[ENDORSEMENT_PROBLEMS_MAX];
	size_t n_problems;
};

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)

static void item_done(struct endorsement *i)
{
	X509_free(i->certificate);
	X509_CRL_free(i->crl);
	free((void *)i->bytes.data);
}

void endorsement_store_free(struct endorsement_store *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		item_done(&s->entries[i].item);
	for (size_t i = 0; i < s->n_problems; i++)
		free(s->problems[i]);
	free(s->entries);
	free(s);
}

int endorsement_store_new(struct endorsement_store **ret)
{
	struct endorsement_store *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	*ret = s;
	return 0;
}

/* What kind of file each kind of endorsement is. */
static const char *const suffixes[] = {
	[ENDORSEMENT_CERTIFICATE] = "der",  [ENDORSEMENT_CRL] = "der",
	[ENDORSEMENT_PUBLIC_KEY] = "der",   [ENDORSEMENT_TCB_INFO] = "json",
	[ENDORSEMENT_QE_IDENTITY] = "json", [ENDORSEMENT_CCA_ANCHORS] = "json",
};

int endorsement_name(const struct endorsement *e, char ret[ENDORSEMENT_NAME_MAX])
{
	const char *suffix = (size_t)e->kind < ARRAY_LEN(suffixes) ? suffixes[e->kind] : NULL;
	char hex[DIGEST_HEX_MAX];
	struct digest d;
	int r;

	r = digest_of(HASH_SHA256, e->bytes, &d);
	if (r < 0)
		return r;
	digest_hex(&d, hex);
	snprintf(ret, ENDORSEMENT_NAME_MAX, "%.64s.%s", hex, suffix ? suffix : "bin");
	return 0;
}

static bool has(const struct endorsement_store *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->entries[i].name, name) == 0)
			return true;
	}
	return false;
}

static int make_room(struct endorsement_store *s, size_t bytes)
{
	size_t room = s->room ? 2 * s->room : 64;
	struct endorsement_entry *grown;

	if (s->n == ENDORSEMENT_STORE_MAX || bytes > ENDORSEMENT_STORE_BYTES_MAX - s->bytes)
		return -EMSGSIZE;
	if (s->n < s->room)
		return 0;
	grown = reallocarray(s->entries, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	s->entries = grown;
	s->room = room;
	return 0;
}

static int copy_item(const struct endorsement *from, struct endorsement *ret)
{
	uint8_t *copy = malloc(from->bytes.len + 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, from->bytes.data, from->bytes.len);
	*ret = *from;
	ret->bytes = view_of(copy, from->bytes.len);
	if (ret->certificate)
		X509_up_ref(ret->certificate);
	if (ret->crl)
		X509_CRL_up_ref(ret->crl);
	return 0;
}

int endorsement_store_add(struct endorsement_store *s, const struct endorsement *e,
			  const char **ret_why)
{
	struct endorsement_entry entry = { 0 };
	int r;

	r = endorsement_key_read(e, &entry.key, ret_why);
	if (r == 0)
		r = endorsement_name(e, entry.name);
	if (r < 0)
		return r;
	if (has(s, entry.name))
		return 0;
	r = make_room(s, e->bytes.len);
	if (r == -EMSGSIZE)
		*ret_why = "more than a store holds";
	if (r == 0)
		r = copy_item(e, &entry.item);
	if (r < 0)
		return r;
	s->entries[s->n++] = entry;
	s->bytes += e->bytes.len;
	s->sorted = false;
	return 1;
}

/* One file is one endorsement, under its own name: neither more nor other bytes are looked for. */
int endorsement_store_read_file(struct endorsement_store *s, const char *name, struct view content,
				const char **ret_why)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	char expected[ENDORSEMENT_NAME_MAX];
	const struct endorsement *item;
	int r;

	r = endorsements_new(&e);
	if (r == 0)
		r = endorsements_add(e, content, ret_why);
	if (r < 0)
		return r == -EMSGSIZE ? -EBADMSG : r;
	item = endorsements_at(e, 0);
	*ret_why = "not one endorsement alone, as a store keeps them";
	if (endorsements_count(e) != 1 || !view_equal(item->bytes, content))
		return -EBADMSG;
	r = endorsement_name(item, expected);
	if (r < 0)
		return r;
	*ret_why = "damaged, or misnamed: its name is not the SHA-256 of what is in it";
	if (strcmp(name, expected) != 0)
		return -EBADMSG;
	r = endorsement_store_add(s, item, ret_why);
	return r < 0 ? r : 0;
}

void endorsement_store_note(struct endorsement_store *s, const char *file, const char *why)
{
	if (s->n_problems < ENDORSEMENT_PROBLEMS_MAX &&
	    asprintf(&s->problems[s->n_problems], "%s: %s", file, why) >= 0)
		s->n_problems++;
}

const char *endorsement_store_problem(const struct endorsement_store *s, size_t i)
{
	return i < s->n_problems ? s->problems[i] : NULL;
}

size_t endorsement_store_count(const struct endorsement_store *s)
{
	return s ? s->n : 0;
}

static int compare_bytes(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	int d = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return d ? d : a_len < b_len ? -1 : a_len > b_len;
}

static int in_order(const void *left, const void *right)
{
	const struct endorsement_entry *a = left, *b = right;
	int d = strcmp(a->key.platform, b->key.platform);

	if (d == 0)
		d = compare_bytes(a->key.chip, a->key.chip_len, b->key.chip, b->key.chip_len);
	if (d == 0)
		d = compare_bytes(a->key.tcb, a->key.tcb_len, b->key.tcb, b->key.tcb_len);
	if (d == 0)
		d = strcmp(a->key.what, b->key.what);
	return d ? d : strcmp(a->name, b->name);
}

const struct endorsement_entry *endorsement_store_at(struct endorsement_store *s, size_t i)
{
	if (!s->sorted && s->n > 0)
		qsort(s->entries, s->n, sizeof(*s->entries), in_order);
	s->sorted = true;
	return i < s->n ? &s->entries[i] : NULL;
}

static bool in_force(const struct endorsement_key *k, int64_t now)
{
	return (k->from == 0 && k->until == 0) || (k->from <= now && now <= k->until);
}

bool endorsement_usable(const struct endorsement_key *key, enum endorsement_kind kind, int64_t now)
{
	return kind != ENDORSEMENT_CRL || in_force(key, now);
}

/* Another of the series that counts before this one. */
static bool superseded(const struct endorsement_store *s, const struct endorsement_entry *e,
		       int64_t now)
{
	bool mine = in_force(&e->key, now);

	for (size_t i = 0; e->key.series.size > 0 && i < s->n; i++) {
		const struct endorsement_entry *other = &s->entries[i];
		bool theirs = in_force(&other->key, now);

		if (other == e || !digest_equal(&other->key.series, &e->key.series))
			continue;
		if (theirs != mine ? theirs
				   : other->key.from > e->key.from ||
					     (other->key.from == e->key.from &&
					      strcmp(other->name, e->name) > 0))
			return true;
	}
	return false;
}

enum endorsement_state endorsement_state(const struct endorsement_store *s,
					 const struct endorsement_entry *e, int64_t now)
{
	bool good = in_force(&e->key, now);

	for (size_t i = 0; e->key.series.size > 0 && i < s->n; i++) {
		const struct endorsement_entry *other = &s->entries[i];

		if (other != e && digest_equal(&other->key.series, &e->key.series) &&
		    in_force(&other->key, now) && superseded(s, e, now))
			return ENDORSEMENT_OLD;
	}
	if (good)
		return ENDORSEMENT_IN_FORCE;
	return now < e->key.from ? ENDORSEMENT_NOT_YET : ENDORSEMENT_EXPIRED;
}

const char *endorsement_state_name(enum endorsement_state state)
{
	static const char *const names[] = {
		[ENDORSEMENT_IN_FORCE] = "in force",
		[ENDORSEMENT_OLD] = "old",
		[ENDORSEMENT_NOT_YET] = "not yet valid",
		[ENDORSEMENT_EXPIRED] = "expired",
	};

	return names[state];
}

int endorsement_store_select(const struct endorsement_store *s, const char *platform,
			     const Assay__ChipReport *report, int64_t now, struct endorsements *to)
{
	struct report_key wanted;
	int r = 0;

	if (!s)
		return 0;
	report_key_read(platform, report, &wanted);
	/* What is for this chip goes first: it is what the report cannot do without. */
	for (int common = 0; common < 2; common++) {
		for (size_t i = 0; r == 0 && i < s->n; i++) {
			const struct endorsement_entry *e = &s->entries[i];

			if ((e->key.chip_len == 0) == (common == 1) &&
			    report_key_matches(&wanted, &e->key) &&
			    endorsement_usable(&e->key, e->item.kind, now) &&
			    !superseded(s, e, now))
				r = endorsements_add_one(to, &e->item);
		}
	}
	return r;
}
