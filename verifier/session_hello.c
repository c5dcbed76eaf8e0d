/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <string.h>

#include "log.h"

/* Hello: who speaks, and whether its key is known. */

static void send_enrol_challenge(struct session *s)
{
	Assay__EnrolChallenge challenge = ASSAY__ENROL_CHALLENGE__INIT;
	Assay__ToAttester m = ASSAY__TO_ATTESTER__INIT;

	m.body_case = ASSAY__TO_ATTESTER__BODY_ENROL_CHALLENGE;
	m.enrol_challenge = &challenge;
	s->state = SESSION_ENROL;
	session_send(s, &m);
	session_next(s);
}

static void on_hello_answer(void *arg, uint32_t type, const union keeper_any *fixed,
			    const struct view *blobs)
{
	struct session *s = arg;

	if (type != KEEPER_HELLO_ANSWER) {
		session_fail(s, "the keeper did not open the session");
		return;
	}
	s->id = fixed->hello_answer.session;
	if (!fixed->hello_answer.known) {
		send_enrol_challenge(s);
		return;
	}
	if (bytes_append_view(&s->ak_public, blobs[0]) < 0 ||
	    bytes_append_view(&s->ek_public, blobs[1]) < 0 ||
	    bytes_append_view(&s->ek_certificate, blobs[2]) < 0 ||
	    bytes_append_view(&s->ek_chain, blobs[3]) < 0) {
		session_fail(s, "no memory");
		return;
	}
	session_ready(s);
}

/* The first thing in Hello that is not as docs/protocol.md says; NULL: all is. */
static const char *hello_fault(const Assay__Hello *h)
{
	if (h->version != CLAIMS_VERSION)
		return "version";
	if (!evidence_find(h->platform))
		return "platform";
	if (h->boot_id.len != BOOT_ID_SIZE)
		return "boot_id";
	if (h->key_name.len == 0 || h->key_name.len > KEEPER_KEY_NAME_MAX)
		return "key_name";
	if (h->attester_epoch.len != sizeof(((struct keeper_hello *)0)->epoch))
		return "attester_epoch";
	if (h->n_applications == 0 || h->n_applications > KEEPER_APPLICATIONS)
		return "applications";
	for (size_t i = 0; i < h->n_applications; i++) {
		if (!application_name_valid(h->applications[i]))
			return "applications";
	}
	return NULL;
}

int session_on_hello(struct session *s)
{
	const Assay__Hello *h = s->message->hello;
	const char *fault = hello_fault(h);
	struct keeper_hello *k = &s->hello;

	if (fault) {
		session_refuse(s, "session.hello", "Hello: %s", fault);
		return 0;
	}
	s->ops = evidence_find(h->platform);
	/* What it is counts, not what it says of itself. */
	s->insecure = s->ops->insecure || h->insecure || trust_is_for_tests(&s->server->trust);
	memset(k, 0, sizeof(*k));
	k->version = h->version;
	k->insecure = s->insecure;
	k->key_name_len = (uint8_t)h->key_name.len;
	memcpy(k->key_name, h->key_name.data, h->key_name.len);
	memcpy(k->boot_id, h->boot_id.data, BOOT_ID_SIZE);
	memcpy(k->epoch, h->attester_epoch.data, sizeof(k->epoch));
	keeper_text(k->platform, sizeof(k->platform), s->ops->platform);
	keeper_text(k->peer, sizeof(k->peer), s->peer);
	keeper_text(k->software, sizeof(k->software), h->software);
	k->n_applications = (uint32_t)h->n_applications;
	for (size_t i = 0; i < h->n_applications; i++)
		keeper_text(k->applications[i], sizeof(k->applications[i]), h->applications[i]);
	k->n_survivors = (uint32_t)h->n_survivors;
	for (size_t i = 0; i < h->n_survivors && i < KEEPER_APPLICATIONS; i++)
		log_warning("%s: %.64s was found running from an earlier assayd, and ended",
			    s->peer,
			    application_name_valid(h->survivors[i]) ? h->survivors[i]
								    : "an application");
	return keeper_ask(s->server->keeper, KEEPER_HELLO, k, NULL, on_hello_answer, s);
}
