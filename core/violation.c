/* SPDX-License-Identifier: Apache-2.0 */
#include "violation.h"

#include <string.h>

static const char mark[8] = "assay!v1";

static const char *const names[VIOLATION_KINDS] = {
	[VIOLATION_FOREIGN_ACCESS] = "foreign_access",
	[VIOLATION_MODIFIED_TEXT] = "modified_text",
	[VIOLATION_FILE_CHANGED] = "file_changed",
	[VIOLATION_LOST] = "lost",
};

static int name_digest(const char *application, struct digest *ret)
{
	return digest_of(HASH_SHA256, view_text(application), ret);
}

int violation_entry(enum violation_kind kind, const char *application,
		    const uint8_t run_id[RUN_ID_SIZE], struct digest *ret)
{
	struct digest d, name;
	uint8_t *at;
	int r;

	if (kind < 1 || kind >= VIOLATION_KINDS)
		return -EINVAL;
	r = name_digest(application, &name);
	if (r < 0)
		return r;
	d = digest_zero(HASH_SHA256);
	at = d.bytes;
	memcpy(at, mark, sizeof(mark));
	at[sizeof(mark)] = (uint8_t)kind;
	memcpy(at + 12, name.bytes, sizeof(((struct violation *)0)->application));
	memcpy(at + 24, run_id, sizeof(((struct violation *)0)->run));
	*ret = d;
	return 0;
}

bool violation_read(struct view entry, struct violation *ret)
{
	if (entry.len != VIOLATION_ENTRY_SIZE || memcmp(entry.data, mark, sizeof(mark)) != 0)
		return false;
	ret->kind = entry.data[sizeof(mark)];
	memcpy(ret->application, entry.data + 12, sizeof(ret->application));
	memcpy(ret->run, entry.data + 24, sizeof(ret->run));
	return true;
}

bool violation_is_of(const struct violation *v, const char *application)
{
	struct digest name;

	/* Out of memory: as good as anybody's, since it must not be nobody's. */
	return name_digest(application, &name) < 0 ||
	       memcmp(v->application, name.bytes, sizeof(v->application)) == 0;
}

const char *violation_name(uint8_t kind)
{
	return kind < VIOLATION_KINDS && names[kind] ? names[kind] : "unknown";
}
