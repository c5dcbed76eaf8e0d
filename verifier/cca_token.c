/* SPDX-License-Identifier: Apache-2.0 */
#include "cca_token.h"

#include <string.h>

#include "cbor_reader.h"

/* Tags and labels of the two tokens: DEN0137, A7.2.2 to A7.2.4; draft-ffm-rats-cca-token. */
#define TAG_CCA_COLLECTION 399
#define TAG_CMW_COLLECTION 907
#define LABEL_PLATFORM	   44234
#define LABEL_REALM	   44241
#define CMW_EAT_CWT	   263 /* CoAP content format of application/eat+cwt */

#define CLAIM_NONCE   10
#define CLAIM_PROFILE 265

#define PLATFORM_INSTANCE	256
#define PLATFORM_LIFECYCLE	2395
#define PLATFORM_IMPLEMENTATION 2396
#define PLATFORM_COMPONENTS	2399
#define PLATFORM_SERVICE	2400
#define PLATFORM_CONFIG		2401
#define PLATFORM_HASH		2402

#define COMPONENT_TYPE	      1
#define COMPONENT_MEASUREMENT 2
#define COMPONENT_VERSION     4
#define COMPONENT_SIGNER      5
#define COMPONENT_HASH	      6

#define REALM_PERSONALIZATION 44235
#define REALM_HASH	      44236
#define REALM_PUBLIC_KEY      44237
#define REALM_RIM	      44238
#define REALM_REMS	      44239
#define REALM_KEY_HASH	      44240

#define PROFILE_LEGACY	      "http://arm.com/CCA-SSD/1.0.0"
#define PROFILE_PLATFORM_2023 "tag:arm.com,2023:cca_platform#1.0.0"
#define PROFILE_REALM_2023    "tag:arm.com,2023:realm#1.0.0"

#define LIFECYCLE_MAX 0xffff
#define UEID_RAND     0x01

/* 0xd9: a tag in the two bytes behind it. */
bool cca_token_begins(struct view raw)
{
	static const uint8_t bare[] = { 0xd9, TAG_CCA_COLLECTION >> 8, TAG_CCA_COLLECTION & 0xff };
	static const uint8_t wrapped[] = { 0xd9, TAG_CMW_COLLECTION >> 8,
					   TAG_CMW_COLLECTION & 0xff };
	struct reader r = reader_of(raw);
	struct cbor_map m;
	uint64_t tag;

	if (raw.len >= sizeof(bare) && memcmp(raw.data, bare, sizeof(bare)) == 0)
		return true;
	/* A collection may be of anything: this one has a member of that label. */
	return raw.len >= sizeof(wrapped) && memcmp(raw.data, wrapped, sizeof(wrapped)) == 0 &&
	       cbor_reader_tag(&r, &tag) == 0 && cbor_reader_map(&r, &m) == 0 &&
	       cbor_map_at(&m, LABEL_PLATFORM);
}

static bool is_digest_size(size_t len)
{
	return len == 32 || len == 48 || len == 64;
}

static int digest_at(const struct cbor_map *m, int64_t key, struct view *ret)
{
	return cbor_map_bytes(m, key, ret) < 0 || !is_digest_size(ret->len) ? -EBADMSG : 0;
}

static int exact_at(const struct cbor_map *m, int64_t key, size_t size, struct view *ret)
{
	return cbor_map_bytes(m, key, ret) < 0 || ret->len != size ? -EBADMSG : 0;
}

static int text_at(const struct cbor_map *m, int64_t key, struct view *ret)
{
	return cbor_map_text(m, key, ret) < 0 || ret->len > CCA_TEXT_MAX ? -EBADMSG : 0;
}

/* A claim that may be left out. */
static int optional_text_at(const struct cbor_map *m, int64_t key, struct view *ret)
{
	*ret = view_of(NULL, 0);
	return cbor_map_at(m, key) ? text_at(m, key, ret) : 0;
}

static int read_component(struct reader *r, struct cca_component *ret, const char **ret_why)
{
	struct cbor_map m;

	*ret_why = "a software component that is no map, or has a key twice";
	if (cbor_reader_map(r, &m) < 0)
		return -EBADMSG;
	*ret_why = "a software component without a measurement of 32, 48 or 64 bytes";
	if (digest_at(&m, COMPONENT_MEASUREMENT, &ret->measurement) < 0)
		return -EBADMSG;
	*ret_why = "a software component without a signer id of 32, 48 or 64 bytes";
	if (digest_at(&m, COMPONENT_SIGNER, &ret->signer_id) < 0)
		return -EBADMSG;
	*ret_why = "a software component whose type, version or hash algorithm is no short text";
	if (optional_text_at(&m, COMPONENT_TYPE, &ret->type) < 0 ||
	    optional_text_at(&m, COMPONENT_VERSION, &ret->version) < 0 ||
	    optional_text_at(&m, COMPONENT_HASH, &ret->hash_alg) < 0)
		return -EBADMSG;
	return 0;
}

static int read_components(const struct cbor_map *m, struct cca_platform *p, const char **ret_why)
{
	const struct view *list = cbor_map_at(m, PLATFORM_COMPONENTS);
	struct reader r;
	size_t n;

	*ret_why = "no list of software components";
	if (!list)
		return -EBADMSG;
	r = reader_of(*list);
	if (cbor_reader_array(&r, &n) < 0)
		return -EBADMSG;
	*ret_why = "an empty list of software components, or one of more than are looked at";
	if (n == 0 || n > CCA_COMPONENTS_MAX)
		return -EBADMSG;
	for (p->n_components = 0; p->n_components < n; p->n_components++) {
		if (read_component(&r, &p->components[p->n_components], ret_why) < 0)
			return -EBADMSG;
	}
	return 0;
}

static int read_claims(struct view raw, struct cbor_map *ret, const char **ret_why)
{
	struct reader r = reader_of(raw);

	*ret_why = "claims that are no map, or in which one stands twice";
	return cbor_reader_map(&r, ret) < 0 || r.left > 0 ? -EBADMSG : 0;
}

int cca_platform_read(struct view raw, struct cca_platform *ret, const char **ret_why)
{
	struct cca_platform *p = ret;
	struct cbor_map m;

	if (read_claims(raw, &m, ret_why) < 0)
		return -EBADMSG;
	*ret_why = "a platform token of a profile that is not known";
	if (text_at(&m, CLAIM_PROFILE, &p->profile) < 0 ||
	    (!view_is(p->profile, PROFILE_LEGACY) && !view_is(p->profile, PROFILE_PLATFORM_2023)))
		return -EBADMSG;
	*ret_why = "a platform token without a nonce of 32, 48 or 64 bytes";
	if (digest_at(&m, CLAIM_NONCE, &p->nonce) < 0)
		return -EBADMSG;
	*ret_why = "a platform token without an implementation id of 32 bytes";
	if (exact_at(&m, PLATFORM_IMPLEMENTATION, CCA_IMPLEMENTATION_SIZE,
		     &p->implementation_id) < 0)
		return -EBADMSG;
	*ret_why = "a platform token without an instance id (a UEID of type RAND, 33 bytes)";
	if (exact_at(&m, PLATFORM_INSTANCE, CCA_INSTANCE_SIZE, &p->instance_id) < 0 ||
	    p->instance_id.data[0] != UEID_RAND)
		return -EBADMSG;
	*ret_why = "a platform token without a configuration, or with a long one";
	if (cbor_map_bytes(&m, PLATFORM_CONFIG, &p->config) < 0 || p->config.len > CCA_CONFIG_MAX)
		return -EBADMSG;
	*ret_why = "a platform token without a lifecycle of 16 bits";
	if (cbor_map_uint(&m, PLATFORM_LIFECYCLE, &p->lifecycle) < 0 ||
	    p->lifecycle > LIFECYCLE_MAX)
		return -EBADMSG;
	*ret_why = "a platform token without a hash algorithm, or with a service of no short text";
	if (text_at(&m, PLATFORM_HASH, &p->hash_alg) < 0 ||
	    optional_text_at(&m, PLATFORM_SERVICE, &p->verification_service) < 0)
		return -EBADMSG;
	return read_components(&m, p, ret_why);
}

static int read_rems(const struct cbor_map *m, struct cca_realm *t)
{
	const struct view *list = cbor_map_at(m, REALM_REMS);
	struct reader r;
	size_t n;

	if (!list)
		return -EBADMSG;
	r = reader_of(*list);
	if (cbor_reader_array(&r, &n) < 0 || n != CCA_REMS)
		return -EBADMSG;
	for (size_t i = 0; i < CCA_REMS; i++) {
		if (cbor_reader_bytes(&r, &t->rem[i]) < 0 || t->rem[i].len != t->rim.len)
			return -EBADMSG;
	}
	return 0;
}

int cca_realm_read(struct view raw, struct cca_realm *ret, const char **ret_why)
{
	struct cca_realm *t = ret;
	struct cbor_map m;

	if (read_claims(raw, &m, ret_why) < 0)
		return -EBADMSG;
	*ret_why = "a realm token of a profile that is not known";
	if (optional_text_at(&m, CLAIM_PROFILE, &t->profile) < 0 ||
	    (cbor_map_at(&m, CLAIM_PROFILE) && !view_is(t->profile, PROFILE_REALM_2023)))
		return -EBADMSG;
	*ret_why = "a realm token without a challenge of 64 bytes";
	if (exact_at(&m, CLAIM_NONCE, CCA_CHALLENGE_SIZE, &t->challenge) < 0)
		return -EBADMSG;
	*ret_why = "a realm token without a personalization value of 64 bytes";
	if (exact_at(&m, REALM_PERSONALIZATION, CCA_PERSONAL_SIZE, &t->personalization) < 0)
		return -EBADMSG;
	*ret_why = "a realm token without an initial measurement of 32, 48 or 64 bytes";
	if (digest_at(&m, REALM_RIM, &t->rim) < 0)
		return -EBADMSG;
	*ret_why = "a realm token without four extensible measurements as long as the initial one";
	if (read_rems(&m, t) < 0)
		return -EBADMSG;
	*ret_why = "a realm token without a public key and both hash algorithms";
	if (cbor_map_bytes(&m, REALM_PUBLIC_KEY, &t->public_key) < 0 ||
	    text_at(&m, REALM_HASH, &t->hash_alg) < 0 ||
	    text_at(&m, REALM_KEY_HASH, &t->public_key_hash_alg) < 0)
		return -EBADMSG;
	return 0;
}

/* Bare: the token. In a CMW collection: [263, token]. */
static int token_at(const struct cbor_map *m, int64_t label, bool wrapped, struct view *ret)
{
	const struct view *v = cbor_map_at(m, label);
	struct reader r;
	uint64_t format;
	size_t n;

	if (!v)
		return -EBADMSG;
	r = reader_of(*v);
	if (wrapped && (cbor_reader_array(&r, &n) < 0 || n != 2 ||
			cbor_reader_uint(&r, &format) < 0 || format != CMW_EAT_CWT))
		return -EBADMSG;
	return cbor_reader_bytes(&r, ret);
}

int cca_token_read(struct view raw, struct cca_token *ret, const char **ret_why)
{
	struct reader r = reader_of(raw);
	struct view platform, realm;
	struct cbor_map m;
	uint64_t tag;

	*ret = (struct cca_token){ 0 };
	*ret_why = "larger than a CCA token may be";
	if (raw.len > CCA_TOKEN_MAX)
		return -EBADMSG;
	*ret_why = "no CCA token";
	if (cbor_reader_tag(&r, &tag) < 0 ||
	    (tag != TAG_CCA_COLLECTION && tag != TAG_CMW_COLLECTION))
		return -EBADMSG;
	ret->wrapped = tag == TAG_CMW_COLLECTION;
	*ret_why = "a CCA token that is no map of a platform token and a realm token, and no more";
	if (cbor_reader_map(&r, &m) < 0 || m.n != 2 || r.left > 0 ||
	    token_at(&m, LABEL_PLATFORM, ret->wrapped, &platform) < 0 ||
	    token_at(&m, LABEL_REALM, ret->wrapped, &realm) < 0)
		return -EBADMSG;
	if (cose_sign1_read(platform, &ret->platform_message, ret_why) < 0 ||
	    cca_platform_read(ret->platform_message.payload, &ret->platform, ret_why) < 0 ||
	    cose_sign1_read(realm, &ret->realm_message, ret_why) < 0 ||
	    cca_realm_read(ret->realm_message.payload, &ret->realm, ret_why) < 0)
		return -EBADMSG;
	return 0;
}
