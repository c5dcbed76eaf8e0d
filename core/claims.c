/* SPDX-License-Identifier: Apache-2.0 */
#include "claims.h"

#include <string.h>

int claims_pack(const Assay__Claims *claims, struct bytes *ret)
{
	size_t size = assay__claims__get_packed_size(claims);
	uint8_t *to;
	int r;

	if (size > CLAIMS_MAX)
		return -EMSGSIZE;
	r = bytes_reserve(ret, size, &to);
	if (r < 0)
		return r;
	ret->len += assay__claims__pack(claims, to);
	return 0;
}

static bool none_or(size_t len, size_t size)
{
	return len == 0 || len == size;
}

/* The first field that is not as docs/protocol.md says; NULL when all are. */
static const char *claims_fault(const Assay__Claims *c)
{
	if (c->version != CLAIMS_VERSION)
		return "version";
	if (!none_or(c->nonce.len, NONCE_SIZE))
		return "nonce";
	if (!none_or(c->exporter.len, EXPORTER_SIZE))
		return "exporter";
	if (!none_or(c->channel_key.len, CHANNEL_KEY_SIZE))
		return "channel_key";
	if (!application_name_valid(c->application))
		return "application";
	if (c->kind != ASSAY__CLAIMS__KIND__STATIC && c->kind != ASSAY__CLAIMS__KIND__DYNAMIC)
		return "kind";
	if (!c->node)
		return "node";
	if (c->stage > STAGE_MAX)
		return "stage";
	if (c->sequence == 0)
		return "sequence";
	if (c->form == ASSAY__CLAIMS__FORM__HASH) {
		/* The one that claims_m() takes. */
		if (c->hash_alg != HASH_SHA384)
			return "hash_alg";
		if (c->m.len != hash_size(HASH_SHA384))
			return "m";
	} else if (c->form == ASSAY__CLAIMS__FORM__RAW) {
		if (c->m.len == 0 || c->m.len > CLAIMS_RAW_MAX)
			return "m";
	} else {
		return "form";
	}
	if (c->sequence == 1 ? c->previous.len != 0 : c->previous.len != hash_size(HASH_SHA512))
		return "previous";
	if (c->config.len != hash_size(HASH_SHA384))
		return "config";
	if (c->boot_id.len != BOOT_ID_SIZE)
		return "boot_id";
	if (c->run_id.len != RUN_ID_SIZE)
		return "run_id";
	return NULL;
}

/*
 * True if these Claims serialise to the bytes they came in. Otherwise the chip
 * signed more than is understood here: a field of another version, a field
 * twice, a name that goes on after a NUL.
 */
static bool canonical(const Assay__Claims *c, struct view packed, struct arena *arena)
{
	uint8_t *again;

	if (assay__claims__get_packed_size(c) != packed.len)
		return false;
	again = arena_alloc(arena, packed.len);
	if (!again)
		return false;
	return view_equal(view_of(again, assay__claims__pack(c, again)), packed);
}

int claims_unpack(struct view packed, struct arena *arena, Assay__Claims **ret,
		  const char **ret_why)
{
	const char *fault = "encoding";
	Assay__Claims *c = NULL;

	if (packed.len <= CLAIMS_MAX)
		c = assay__claims__unpack(arena_allocator(arena), packed.len, packed.data);
	if (c && c->base.n_unknown_fields == 0 && canonical(c, packed, arena))
		fault = claims_fault(c);
	if (fault) {
		if (ret_why)
			*ret_why = fault;
		return -EBADMSG;
	}
	*ret = c;
	return 0;
}

int claims_hash(struct view packed, struct digest *ret)
{
	return digest_of(HASH_SHA512, packed, ret);
}

int claims_qualifying(struct view packed, struct digest *ret)
{
	return digest_of(HASH_SHA256, packed, ret);
}

int claims_m(struct view mi, struct digest *ret)
{
	return digest_of(HASH_SHA384, mi, ret);
}

int claims_runtime(struct view m, struct digest *ret)
{
	return digest_of(HASH_SHA256, m, ret);
}

int claims_runtime_extend(struct digest *reg, struct view entry)
{
	struct digest d;
	int r;

	/* The bank extends a digest of its own size: for SHA-256 the entry itself. */
	if (reg->alg == HASH_SHA256)
		return digest_extend(reg, entry);
	r = digest_of(reg->alg, entry, &d);
	return r < 0 ? r : digest_extend(reg, digest_view(&d));
}

bool application_name_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > APPLICATION_NAME_MAX || name[0] == '.')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
	       len;
}
