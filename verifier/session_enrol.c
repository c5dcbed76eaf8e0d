/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "cleanup.h"
#include "enrolment.h"
#include "log.h"
#include "svsm_manifest.h"

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)

/* Enrolment: where a key that the verifier does not know lives. TPM 2.0 part 1, 24. */

static struct view field(ProtobufCBinaryData d)
{
	return view_of(d.data, d.len);
}

static void send_enrolled(struct session *s, bool accepted, const char *why)
{
	Assay__Enrolled enrolled = ASSAY__ENROLLED__INIT;
	Assay__ToAttester m = ASSAY__TO_ATTESTER__INIT;

	enrolled.accepted = accepted;
	enrolled.why = (char *)why;
	m.body_case = ASSAY__TO_ATTESTER__BODY_ENROLLED;
	m.enrolled = &enrolled;
	session_send(s, &m);
}

static void on_recorded(void *arg, uint32_t type, const union keeper_any *fixed,
			const struct view *blobs)
{
	struct session *s = arg;

	if (type != KEEPER_DONE) {
		send_enrolled(s, false, fixed->failed.why);
		session_refuse(s, "session.enrolment", "%s", fixed->failed.why);
		return;
	}
	log_notice("%s: enrolled%s", s->peer, s->insecure ? " (insecure platform)" : "");
	send_enrolled(s, true, "");
	session_ready(s);
}

static int accept_key(struct session *s)
{
	struct keeper_enrol e;

	memset(&e, 0, sizeof(e));
	e.session = s->id;
	e.accepted = 1;
	return keeper_ask(s->server->keeper, KEEPER_ENROL, &e,
			  (struct view[]){ bytes_view(&s->ak_public), bytes_view(&s->ek_public),
					   bytes_view(&s->ek_certificate),
					   bytes_view(&s->ek_chain) },
			  on_recorded, s);
}

static void refuse_key(struct session *s, const struct appraisal *a)
{
	struct keeper_enrol e;
	char why[APPRAISAL_RULE_MAX + 2 * KEEPER_WHY_MAX];

	snprintf(why, sizeof(why), "%s: expected %.80s, seen %.80s",
		 a->n ? a->reasons[0].rule : "enrolment", a->n ? a->reasons[0].expected : "a key",
		 a->n ? a->reasons[0].seen : "none that can be judged");
	memset(&e, 0, sizeof(e));
	e.session = s->id;
	keeper_text(e.why, sizeof(e.why), why);
	if (keeper_ask(s->server->keeper, KEEPER_ENROL, &e, (struct view[4]){ { 0 } }, NULL, NULL) <
	    0)
		log_warning("%s: continuing without a record of the enrolment", s->peer);
	send_enrolled(s, false, why);
	session_refuse(s, "session.enrolment", "%s", why);
}

static bool soft_key_listed(const struct policy *p, const char *hex)
{
	const char *const *keys = policy_soft_keys(p);

	if (!policy_allows_platform(p, "soft"))
		return false;
	for (; keys && *keys; keys++) {
		if (strcmp(*keys, hex) == 0)
			return true;
	}
	return !policy_soft_keys(p);
}

/* No chip, nothing to prove but the key itself, which every Evidence does. */
static int enrol_soft(struct session *s, const Assay__EnrolRequest *m)
{
	struct appraisal a;
	struct digest name;
	char hex[DIGEST_HEX_MAX];
	bool good = false;
	int r;

	r = digest_of(HASH_SHA256, field(m->ak_public), &name);
	if (r < 0)
		return r;
	digest_hex(&name, hex);
	appraisal_init(&a);
	if (!view_equal(digest_view(&name), view_of(s->hello.key_name, s->hello.key_name_len)))
		appraisal_refuse(&a, "enrolment.key", "the key that Hello names", "%s", hex);
	for (uint32_t i = 0; i < s->hello.n_applications && a.n == 0 && !good; i++) {
		const struct policy *p = session_policy(s, s->hello.applications[i]);

		good = p && soft_key_listed(p, hex);
	}
	if (!good && a.n == 0)
		appraisal_refuse(&a, "platforms.soft",
				 "a policy that names the platform and the key", "%s", hex);
	if (good) {
		r = bytes_append_view(&s->ak_public, field(m->ak_public));
		if (r == 0)
			r = accept_key(s);
	} else {
		refuse_key(s, &a);
	}
	appraisal_done(&a);
	return r;
}

/* The policies' EK roots: one of them is enough, and each judges again with its own later. */
static int judge_chip(struct session *s, const struct credential_request *request,
		      struct appraisal *a, struct bytes *ret_name)
{
	int r = 0;

	for (uint32_t i = 0; i < s->hello.n_applications; i++) {
		const struct policy *p = session_policy(s, s->hello.applications[i]);

		if (!p || !policy_allows_platform(p, s->ops->platform))
			continue;
		appraisal_done(a);
		bytes_reset(ret_name);
		r = credential_judge(request, policy_tpm_ek_ca(p),
				     server_clock().at_ns / 1000000000, a, ret_name);
		if (r != 0)
			return r;
	}
	return r;
}

static int send_credential(struct session *s, struct view ak_name)
{
	CLEANUP(bytes_cleanup) struct bytes blob = BYTES_INIT(CREDENTIAL_BLOB_MAX);
	CLEANUP(bytes_cleanup) struct bytes seed = BYTES_INIT(CREDENTIAL_SEED_MAX);
	Assay__EnrolChallenge challenge = ASSAY__ENROL_CHALLENGE__INIT;
	Assay__ToAttester m = ASSAY__TO_ATTESTER__INIT;
	int r;

	if (RAND_priv_bytes(s->credential, sizeof(s->credential)) != 1)
		return -EIO;
	r = credential_make(bytes_view(&s->ek_public), ak_name,
			    view_of(s->credential, sizeof(s->credential)), &blob, &seed);
	if (r == -EBADMSG) {
		session_refuse(s, "session.enrolment", "an EK that no credential can be sealed to");
		return 0;
	}
	if (r < 0)
		return r;
	challenge.credential_blob = (ProtobufCBinaryData){ blob.len, blob.data };
	challenge.encrypted_seed = (ProtobufCBinaryData){ seed.len, seed.data };
	m.body_case = ASSAY__TO_ATTESTER__BODY_ENROL_CHALLENGE;
	m.enrol_challenge = &challenge;
	s->state = SESSION_PROVE;
	session_send(s, &m);
	session_next(s);
	return 0;
}

static int enrol_tpm(struct session *s, const Assay__EnrolRequest *m)
{
	CLEANUP(bytes_cleanup) struct bytes chain = BYTES_INIT(EK_CHAIN_MAX);
	CLEANUP(bytes_cleanup) struct bytes name = BYTES_INIT(AK_NAME_MAX);
	struct credential_request request = {
		.ek_certificate = field(m->ek_certificate),
		.ek_public = field(m->ek_public),
		.ak_public = field(m->ak_public),
	};
	struct appraisal a;
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->n_ek_chain; i++)
		r = bytes_append_view(&chain, field(m->ek_chain[i]));
	if (r == -EMSGSIZE) {
		session_refuse(s, "session.enrolment", "an EK chain of more than %d bytes",
			       EK_CHAIN_MAX);
		return 0;
	}
	if (r < 0)
		return r;
	request.ek_chain = bytes_view(&chain);
	appraisal_init(&a);
	r = judge_chip(s, &request, &a, &name);
	if (r == 1 &&
	    !view_equal(bytes_view(&name), view_of(s->hello.key_name, s->hello.key_name_len))) {
		appraisal_refuse(&a, "enrolment.ak", "the key that Hello names", "another");
		r = 0;
	}
	if (r == 0)
		refuse_key(s, &a);
	appraisal_done(&a);
	if (r <= 0)
		return r;
	r = bytes_append_view(&s->ak_public, request.ak_public);
	if (r == 0)
		r = bytes_append_view(&s->ek_public, request.ek_public);
	if (r == 0)
		r = bytes_append_view(&s->ek_certificate, request.ek_certificate);
	if (r == 0)
		r = bytes_append_view(&s->ek_chain, request.ek_chain);
	if (r == 0)
		r = send_credential(s, bytes_view(&name));
	return r;
}

/* By the first policy of Hello that takes this platform and this report. */
static int judge_report(struct session *s, const Assay__ChipReport *report, struct view statement,
			struct appraisal *a)
{
	CLEANUP(endorsements_freep) struct endorsements *endorsements = NULL;
	const struct trust *trust = &s->server->trust;
	struct evidence_input in = {
		.enrolling = true,
		.report = report,
		.claims = statement,
		.now = server_clock().at_ns / 1000000000,
		.roots = trust->roots,
		.n_roots = trust->n_roots,
		/* What is about to be enrolled; its chip has yet to open the credential. */
		.key_name = view_of(s->hello.key_name, s->hello.key_name_len),
		.ek_public = bytes_view(&s->ek_public),
	};
	struct evidence_result result;
	int r;

	r = trust_endorsements(trust, s->ops->platform, report, in.now, &endorsements);
	in.endorsements = endorsements;
	for (uint32_t i = 0; r == 0 && i < s->hello.n_applications; i++) {
		in.policy = session_policy(s, s->hello.applications[i]);
		if (!in.policy || !policy_allows_platform(in.policy, s->ops->platform))
			continue;
		appraisal_done(a);
		appraisal_init(a);
		r = s->ops->verify(&in, a, &result);
		appraisal_finish(a);
		if (r == 0 && appraisal_accepted(a) && result.signature_good)
			return 1;
	}
	return r;
}

/* Judges m's report over this session's statement; 0: refused, or the session is ended. */
static int judge_statement(struct session *s, const Assay__EnrolRequest *m)
{
	CLEANUP(bytes_cleanup) struct bytes statement = BYTES_INIT(ENROLMENT_STATEMENT_MAX);
	struct view key_name = view_of(s->hello.key_name, s->hello.key_name_len);
	struct appraisal a;
	int r;

	if (!m->chip || strcmp(m->chip->platform, s->ops->platform) != 0) {
		session_refuse(s, "session.enrolment", "EnrolRequest without a report of %s",
			       s->ops->platform);
		return 0;
	}
	if (key_name.len < ENROLMENT_NAME_MIN) {
		session_refuse(s, "session.enrolment", "a name of %zu bytes, which can be guessed",
			       key_name.len);
		return 0;
	}
	r = enrolment_statement(view_of(s->exporter, sizeof(s->exporter)), key_name, &statement);
	if (r < 0)
		return r;
	appraisal_init(&a);
	r = judge_report(s, m->chip, bytes_view(&statement), &a);
	if (r == 0)
		refuse_key(s, &a);
	appraisal_done(&a);
	return r;
}

/*
 * A chip whose report's own key is endorsed by its maker: nothing is enrolled but a name that
 * a guest takes, and the chip says that this guest is one that a policy accepts. So nobody else can
 * fill the record, or have the name of a machine that exists latched.
 */
static int enrol_by_report(struct session *s, const Assay__EnrolRequest *m)
{
	int r = judge_statement(s, m);

	return r == 1 ? accept_key(s) : r;
}

/*
 * An SVSM's: the chip's report covers the vTPM's EK, over a value of this session, in place of
 * the certificate of a TPM's maker. That the AK, whose quote that was, lives under this EK the
 * credential shows.
 */
static int enrol_svsm(struct session *s, const Assay__EnrolRequest *m)
{
	struct svsm_manifest manifest;
	const char *why = "none";
	int r = -EBADMSG;

	if (m->chip)
		r = svsm_manifest_parse(field(m->chip->service_manifest), &manifest, &why);
	if (r == -EBADMSG || (r == 0 && !view_equal(field(m->ak_public), field(m->chip->key)))) {
		session_refuse(s, "session.enrolment", "an SVSM's manifest, and one key: %s",
			       r < 0 ? why : "two keys");
		return 0;
	}
	if (r == 0)
		r = bytes_append_view(&s->ek_public, manifest.vtpm);
	if (r == 0)
		r = bytes_append_view(&s->ak_public, field(m->ak_public));
	if (r < 0)
		return r;
	r = judge_statement(s, m);
	if (r <= 0)
		return r;
	return send_credential(s, view_of(s->hello.key_name, s->hello.key_name_len));
}

/* Azure's chip vouches for the attestation key itself, so that there is none to be shown here. */
static int enrol_vtpm(struct session *s, const Assay__EnrolRequest *m)
{
	return m->ak_public.len > 0 ? enrol_svsm(s, m) : enrol_by_report(s, m);
}

/* How a platform's keys are enrolled. All others: by a report. */
static const struct {
	const char *platform;
	int (*enrol)(struct session *s, const Assay__EnrolRequest *m);
} platforms[] = {
	{ "tpm", enrol_tpm },
	{ "soft", enrol_soft },
	{ "vtpm", enrol_vtpm },
};

int session_on_enrol_request(struct session *s)
{
	for (size_t i = 0; i < ARRAY_LEN(platforms); i++) {
		if (strcmp(platforms[i].platform, s->ops->platform) == 0)
			return platforms[i].enrol(s, s->message->enrol_request);
	}
	return enrol_by_report(s, s->message->enrol_request);
}

int session_on_enrol_proof(struct session *s)
{
	struct view proof = field(s->message->enrol_proof->credential);
	struct appraisal a;
	bool good;

	good = proof.len == sizeof(s->credential) &&
	       CRYPTO_memcmp(proof.data, s->credential, sizeof(s->credential)) == 0;
	OPENSSL_cleanse(s->credential, sizeof(s->credential));
	if (good)
		return accept_key(s);
	appraisal_init(&a);
	appraisal_refuse(&a, "enrolment.credential", "what was sealed to the chip for this key",
			 "something else");
	refuse_key(s, &a);
	appraisal_done(&a);
	return 0;
}
