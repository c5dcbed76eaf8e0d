/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_wrapped.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cmw.h"

/* Of a wrapper: each message, and what configfs-tsm gave beside its report. */
#define PIECES_MAX (2 * CMW_MESSAGES_MAX)

/* Names of configfs-tsm, Linux drivers/virt/coco. */
static const struct {
	const char *provider, *platform;
} providers[] = {
	{ "sev_guest", "sev-snp" },
	{ "tdx_guest", "tdx" },
	{ "arm_cca_guest", "cca" },
};

bool evidence_piece_is_of(const struct evidence_piece *p, const char *platform)
{
	if (p->provider.len == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(providers); i++) {
		if (view_is(p->provider, providers[i].provider))
			return strcmp(providers[i].platform, platform) == 0;
	}
	return false;
}

const char *evidence_provider(const char *platform)
{
	for (size_t i = 0; i < ARRAY_LEN(providers); i++) {
		if (strcmp(providers[i].platform, platform) == 0)
			return providers[i].provider;
	}
	return NULL;
}

/* The pieces of one file, not yet in the arena. */
struct unwrapping {
	struct cmw_message messages[CMW_MESSAGES_MAX];
	struct view bytes[PIECES_MAX];
	struct evidence_piece of[PIECES_MAX];
	size_t n;
};

static bool is_known(struct view bytes)
{
	for (const struct evidence_ops *const *ops = evidence_table; *ops; ops++) {
		if ((*ops)->detect && (*ops)->detect(bytes))
			return true;
	}
	return false;
}

static void put(struct unwrapping *u, struct view bytes, struct evidence_piece piece)
{
	u->bytes[u->n] = bytes;
	u->of[u->n++] = piece;
}

/* What the kernel gave is a report and what goes with it; the rest is a piece as it is. */
static void put_content(struct unwrapping *u, struct view bytes, struct evidence_piece piece)
{
	struct evidence_piece beside = piece;
	struct tsm_report t;

	if (tsm_report_read(bytes, &t) < 0) {
		put(u, bytes, piece);
		return;
	}
	piece.provider = t.provider;
	put(u, t.outblob, piece);
	beside.not_evidence = true;
	if (t.auxblob.len > 0)
		put(u, t.auxblob, beside);
}

static void unwrap_file(struct unwrapping *u, struct view bytes, size_t file)
{
	struct evidence_piece piece = { .file = file };
	struct tsm_report t;
	const char *why;
	size_t n;

	u->n = 0;
	if (is_known(bytes) || tsm_report_read(bytes, &t) == 0 ||
	    cmw_read(bytes, u->messages, &n, &why) < 0) {
		put_content(u, bytes, piece);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const struct cmw_message *m = &u->messages[i];

		piece.not_evidence = m->indicator && !(m->indicator & CMW_EVIDENCE);
		put_content(u, m->value, piece);
	}
}

int evidence_unwrap(const struct evidence_file *files, size_t n, struct arena *arena,
		    struct evidence_pieces *ret)
{
	CLEANUP(cleanup_mem) struct unwrapping *u = malloc(sizeof(*u));
	struct evidence_pieces p = { 0 };
	size_t total = 0;

	if (!u)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		unwrap_file(u, files[i].bytes, i);
		total += u->n;
	}
	p.files = arena_alloc(arena, (total + 1) * sizeof(*p.files));
	p.of = arena_alloc(arena, (total + 1) * sizeof(*p.of));
	if (!p.files || !p.of)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		unwrap_file(u, files[i].bytes, i);
		for (size_t k = 0; k < u->n; k++) {
			p.files[p.n] = (struct evidence_file){ files[i].name, u->bytes[k] };
			p.of[p.n++] = u->of[k];
		}
	}
	*ret = p;
	return 0;
}
