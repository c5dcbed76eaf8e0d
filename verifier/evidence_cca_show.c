/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "cleanup.h"
#include "evidence_cca.h"
#include "evidence_json.h"

static json_t *text_json(struct view text)
{
	char ascii[CCA_TEXT_MAX + 1];

	return text.len ? json_string(cca_text(text, ascii)) : json_null();
}

static json_t *component_json(const struct cca_component *c)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "type", text_json(c->type), "version",
			 text_json(c->version), "measurement", evidence_json_hex(c->measurement),
			 "signer_id", evidence_json_hex(c->signer_id), "hash_alg",
			 text_json(c->hash_alg));
}

/* Takes one over; list NULL or no memory: NULL. */
static json_t *with(json_t *list, json_t *one)
{
	if (list && json_array_append_new(list, one) == 0)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *platform_json(const struct cca_token *t)
{
	const struct cca_platform *p = &t->platform;
	json_t *components = json_array();

	for (size_t i = 0; components && i < p->n_components; i++)
		components = with(components, component_json(&p->components[i]));
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:s, s:i, s:o, s:o, s:o}", "profile",
			 text_json(p->profile), "algorithm", t->platform_message.algorithm->name,
			 "nonce", evidence_json_hex(p->nonce), "implementation_id",
			 evidence_json_hex(p->implementation_id), "instance_id",
			 evidence_json_hex(p->instance_id), "config", evidence_json_hex(p->config),
			 "lifecycle", cca_lifecycle_name(p->lifecycle), "lifecycle_value",
			 (int)p->lifecycle, "hash_alg", text_json(p->hash_alg),
			 "verification_service", text_json(p->verification_service), "components",
			 components);
}

static json_t *realm_json(const struct cca_token *t)
{
	const struct cca_realm *m = &t->realm;
	json_t *rems = json_array();

	for (size_t i = 0; i < CCA_REMS; i++)
		rems = with(rems, evidence_json_hex(m->rem[i]));
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "profile",
			 text_json(m->profile), "algorithm", t->realm_message.algorithm->name,
			 "challenge", evidence_json_hex(m->challenge), "personalization",
			 evidence_json_hex(m->personalization), "measurement",
			 evidence_json_hex(m->rim), "registers", rems, "hash_alg",
			 text_json(m->hash_alg), "public_key", evidence_json_hex(m->public_key),
			 "public_key_hash_alg", text_json(m->public_key_hash_alg));
}

int cca_show(struct view raw, json_t **ret)
{
	CLEANUP(cleanup_mem) struct cca_token *t = malloc(sizeof(*t));
	const char *why;
	json_t *o;

	if (!t)
		return -ENOMEM;
	if (cca_token_read(raw, t, &why) < 0)
		return -EBADMSG;
	o = json_pack("{s:s, s:o, s:o}", "form", t->wrapped ? "cmw-collection" : "cca-collection",
		      "platform", platform_json(t), "realm", realm_json(t));
	if (!o)
		return -ENOMEM;
	*ret = o;
	return 0;
}
