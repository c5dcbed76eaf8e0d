/* SPDX-License-Identifier: Apache-2.0 */
#include "scripted_attester.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>
#include <openssl/x509.h>

#include "enrolment.h"
#include "mi.h"

const char scripted_policy[] = "application: " SCRIPTED_APPLICATION "\n"
			       "version: 1\n"
			       "platforms:\n"
			       "  soft: {}\n"
			       "report_every: {max: 3}\n"
			       "static: {manifest: demo.mtree}\n"
			       "dynamic:\n"
			       "  listen: {allow: ['tcp/127.0.0.1:443']}\n"
			       "stages:\n"
			       "  - {stage: 1, after: static, release: [one]}\n"
			       "  - {stage: 2, after: dynamic, release: [two]}\n";

const char scripted_manifest[] =
	"#mtree\n"
	"./usr/bin/demo type=file mode=0755 uid=0 gid=0 size=10 sha256digest="
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";

static ProtobufCBinaryData lend(const void *data, size_t len)
{
	return (ProtobufCBinaryData){ len, (uint8_t *)data };
}

static void must(int r)
{
	if (r < 0)
		abort();
}

void scripted_open(struct scripted *s)
{
	unsigned char *der = NULL;
	int len;

	memset(s, 0, sizeof(*s));
	s->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	assert(s->key);
	len = i2d_PUBKEY(s->key, &der);
	assert(len > 0);
	s->spki = BYTES_INIT(1024);
	must(bytes_append(&s->spki, der, (size_t)len));
	OPENSSL_free(der);
	must(digest_of(HASH_SHA256, bytes_view(&s->spki), &s->key_name));
	must(hpke_keypair(s->channel_key, &s->private_key));
	must(RAND_bytes(s->boot_id, sizeof(s->boot_id)) - 1);
	scripted_new_run(s);
}

void scripted_done(struct scripted *s)
{
	EVP_PKEY_free(s->key);
	bytes_done(&s->spki);
	secret_done(&s->private_key);
}

void scripted_set_chip(struct scripted *s, const struct scripted_chip *chip)
{
	s->chip = chip;
}

static void chip_report(const struct scripted *s, struct view claims, Assay__ChipReport *ret)
{
	assay__chip_report__init(ret);
	ret->platform = (char *)s->chip->platform;
	s->chip->report(s->chip->arg, claims, ret);
}

void scripted_enrol(struct scripted *s, Assay__ChipReport *ret)
{
	struct bytes statement = BYTES_INIT(ENROLMENT_STATEMENT_MAX);

	must(enrolment_statement(view_of(s->exporter, sizeof(s->exporter)),
				 digest_view(&s->key_name), &statement));
	chip_report(s, bytes_view(&statement), ret);
	bytes_done(&statement);
}

void scripted_new_run(struct scripted *s)
{
	must(RAND_bytes(s->run_id, sizeof(s->run_id)) - 1);
	s->sequence = 0;
}

void scripted_mi(const char *listener, uint64_t node, struct bytes *ret)
{
	Assay__Network *network;
	Assay__TimeNode *time;
	struct mi *mi;

	must(mi_new(&mi));
	mi->msg->application = (char *)SCRIPTED_APPLICATION;
	time = MI_MESSAGE(mi, Assay__TimeNode, assay__time_node__init);
	network = MI_MESSAGE(mi, Assay__Network, assay__network__init);
	assert(time && network);
	time->kind = ASSAY__TIME_NODE__KIND__STAGE;
	time->number = node;
	mi->msg->node = time;
	mi->msg->network = network;
	if (listener) {
		Assay__Listener *l = MI_MESSAGE(mi, Assay__Listener, assay__listener__init);

		assert(l);
		l->protocol = (char *)"tcp";
		l->address = (char *)listener;
		must(mi_push(mi, &network->n_listeners, &network->listeners, l));
	}
	must(mi_status(mi, "network", ASSAY__COLLECTOR_STATUS__STATE__COMPLETE, NULL));
	must(mi_pack(mi, ret));
	mi_free(mi);
}

void scripted_set_mi(struct scripted_measurement *m, struct view mi)
{
	bytes_reset(&m->mi);
	must(bytes_append_view(&m->mi, mi));
	must(claims_m(mi, &m->m));
	m->claims.m = lend(m->m.bytes, m->m.size);
}

void scripted_measure(struct scripted *s, Assay__Claims__Kind kind, uint32_t stage,
		      struct scripted_measurement *ret)
{
	struct bytes mi = BYTES_INIT(MI_MAX);
	Assay__Claims *c = &ret->claims;

	memset(ret, 0, sizeof(*ret));
	ret->mi = BYTES_INIT(MI_MAX);
	ret->packed = BYTES_INIT(CLAIMS_MAX);
	ret->previous = s->head;
	assay__time_node_ref__init(&ret->node);
	ret->node.kind = ASSAY__TIME_NODE__KIND__STAGE;
	ret->node.number = s->sequence + 1;
	assay__claims__init(c);
	c->version = CLAIMS_VERSION;
	c->nonce = lend(s->nonce, sizeof(s->nonce));
	c->exporter = lend(s->exporter, sizeof(s->exporter));
	c->channel_key = lend(s->channel_key, sizeof(s->channel_key));
	c->application = (char *)SCRIPTED_APPLICATION;
	c->kind = kind;
	c->node = &ret->node;
	c->stage = stage;
	c->sequence = s->sequence + 1;
	c->hash_alg = HASH_SHA384;
	if (s->sequence > 0)
		c->previous = lend(ret->previous.bytes, ret->previous.size);
	must(digest_of(HASH_SHA384, view_text("configuration"), &ret->config));
	c->config = lend(ret->config.bytes, ret->config.size);
	c->boot_id = lend(s->boot_id, sizeof(s->boot_id));
	c->run_id = lend(s->run_id, sizeof(s->run_id));
	if (kind == ASSAY__CLAIMS__KIND__STATIC)
		must(bytes_append_text(&mi, scripted_manifest));
	else
		scripted_mi("127.0.0.1:443", ret->node.number, &mi);
	scripted_set_mi(ret, bytes_view(&mi));
	bytes_done(&mi);
}

void scripted_measurement_done(struct scripted_measurement *m)
{
	bytes_done(&m->mi);
	bytes_done(&m->packed);
}

void scripted_unbind(struct scripted_measurement *m)
{
	m->claims.nonce = m->claims.exporter = m->claims.channel_key = lend(NULL, 0);
}

static void sign_with_key(struct scripted *s, struct scripted_measurement *m)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = sizeof(m->signature);

	assert(ctx);
	must(EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, s->key, NULL) - 1);
	must(EVP_DigestSign(ctx, m->signature, &len, m->hash.bytes, m->hash.size) - 1);
	EVP_MD_CTX_free(ctx);
	assay__chip_report__init(&m->report);
	m->report.platform = (char *)"soft";
	m->report.report = lend(m->hash.bytes, m->hash.size);
	m->report.signature = lend(m->signature, len);
	m->report.key = lend(s->spki.data, s->spki.len);
}

void scripted_sign(struct scripted *s, struct scripted_measurement *m)
{
	bytes_reset(&m->packed);
	must(claims_pack(&m->claims, &m->packed));
	must(claims_hash(bytes_view(&m->packed), &m->hash));
	if (s->chip)
		chip_report(s, bytes_view(&m->packed), &m->report);
	else
		sign_with_key(s, m);
	s->sequence = m->claims.sequence;
	s->head = m->hash;
}
