/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_try.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct view evidence_try_claims(void)
{
	return view_text("these bytes stand for serialised Claims");
}

struct policy *evidence_try_policy(const char *platforms)
{
	struct policy *p = NULL;
	char *error = NULL, text[2048];

	snprintf(text, sizeof(text), "application: a\nversion: 1\nplatforms: %s\n", platforms);
	if (policy_parse(view_text(text), "test", &p, &error) != 0)
		fail_msg("%s", error);
	return p;
}

struct evidence_input evidence_try_input(const struct tpm_fixture *f, const struct policy *p)
{
	return (struct evidence_input){ .report = &f->report,
					.claims = evidence_try_claims(),
					.now = EVIDENCE_TRY_NOW,
					.policy = p,
					.key_name = view_of(f->name, f->name_len) };
}

void evidence_try_keep(struct evidence_try *t)
{
}

/* The first reason that refuses; any other must be of the same rule. */
static const struct reason *refusal(const struct appraisal *a, const char *what)
{
	const struct reason *found = NULL;

	for (size_t i = 0; i < a->n; i++) {
		if (a->reasons[i].warning)
			continue;
		if (found && strcmp(found->rule, a->reasons[i].rule) != 0)
			fail_msg("%s: both %s and %s", what, found->rule, a->reasons[i].rule);
		if (!found)
			found = &a->reasons[i];
	}
	return found;
}

static void try_one(struct evidence_try *t, const struct evidence_case *c)
{
	struct evidence_result result;
	const struct reason *reason;
	struct appraisal a;
	struct policy *p;

	tpm_fixture_init(&t->f, t->keys->p256, evidence_try_claims());
	c->before(t);
	tpm_fixture_pack(&t->f);
	p = evidence_try_policy(c->platforms);
	t->in = evidence_try_input(&t->f, p);
	c->after(t);

	appraisal_init(&a);
	if (evidence_find("tpm")->verify(&t->in, &a, &result) != 0)
		fail_msg("%s: not judged", c->what);
	appraisal_finish(&a);
	reason = refusal(&a, c->what);
	if (appraisal_accepted(&a) != !c->rule)
		fail_msg("%s: %s %s", c->what, reason ? reason->rule : "accepted",
			 reason ? reason->seen : "");
	if (reason && (strcmp(reason->rule, c->rule) != 0 || !strstr(reason->seen, c->seen)))
		fail_msg("%s: %s: expected %s, saw %s", c->what, reason->rule, reason->expected,
			 reason->seen);
	appraisal_done(&a);
	policy_free(p);
}

void evidence_try_all(const struct evidence_try_keys *keys, const struct evidence_case *cases,
		      size_t n)
{
	struct evidence_try *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->keys = keys;
	for (size_t i = 0; i < n; i++)
		try_one(t, &cases[i]);
	free(t);
}

void evidence_try_make_keys(struct evidence_try_keys *ret)
{
	ret->p256 = tpm_fixture_key("P-256");
	ret->p384 = tpm_fixture_key("P-384");
	ret->other = tpm_fixture_key("P-256");
	ret->rsa = tpm_fixture_key("RSA");
}

void evidence_try_free_keys(struct evidence_try_keys *keys)
{
	EVP_PKEY_free(keys->p256);
	EVP_PKEY_free(keys->p384);
	EVP_PKEY_free(keys->other);
	EVP_PKEY_free(keys->rsa);
}
