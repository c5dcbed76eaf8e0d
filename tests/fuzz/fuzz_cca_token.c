/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "evidence.h"
#include "verifier/cca_anchor.h"
#include "verifier/evidence_cca.h"

/*
 * A token, and behind it, by a byte that says how much is the token, trust anchors. It is read,
 * shown, judged on its own, and held against a policy as if its signatures had been good.
 */

#define ARENA_MAX (1024 * 1024)

static const char policy_text[] =
	"application: a\nplatforms:\n  cca:\n    lifecycle: [secured]\n    components: [RMM]\n"
	"    measurement: [\"0000000000000000000000000000000000000000000000000000000000000000\"]\n"
	"    rem3: [\"0000000000000000000000000000000000000000000000000000000000000000\"]\n"
	"    component_signers: [\"0000000000000000000000000000000000000000000000000000000000000000\"]"
	"\n";

static struct policy *policy(void)
{
	static struct policy *p;
	char *error = NULL;

	if (!p && policy_parse(view_text(policy_text), "fuzz", &p, &error) != 0)
		abort();
	return p;
}

static void read_token(struct view raw)
{
	struct cca_check *c = calloc(1, sizeof(*c));
	struct appraisal a;
	json_t *shown = NULL;
	const char *why = NULL;
	int r;

	if (!c)
		return;
	r = cca_token_read(raw, &c->token, &why);
	if (r < 0 && (r != -EBADMSG || !why))
		abort();
	if (cca_show(raw, &shown) != r)
		abort();
	json_decref(shown);
	if (r == 0) {
		appraisal_init(&a);
		c->a = &a;
		c->rules = policy_cca(policy());
		cca_judge_policy(c);
		appraisal_done(&a);
	}
	free(c);
}

static void read_claims(struct view raw)
{
	struct cca_platform p;
	struct cca_realm m;
	const char *why = NULL;
	EVP_PKEY *key;

	if (cca_platform_read(raw, &p, &why) < 0 && !why)
		abort();
	if (cca_realm_read(raw, &m, &why) < 0 && !why)
		abort();
	if (cose_key_read(raw, &key, &why) == 0)
		EVP_PKEY_free(key);
}

static void judge(struct view raw, struct view rest)
{
	const struct evidence_file files[] = { { "token", raw } };
	struct evidence_alone in = {
		.platform = "cca", .files = files, .n_files = 1, .now = 1800000000
	};
	struct evidence_found found;
	struct evidence_result result;
	struct endorsements *e = NULL;
	struct arena *arena;
	struct appraisal a;
	const char *why;

	if (endorsements_new(&e) < 0)
		return;
	if (endorsements_add(e, rest, &why) == 0)
		in.endorsements = e;
	if (arena_new(ARENA_MAX, &arena) == 0) {
		appraisal_init(&a);
		/* Whose key is not handed in is not believed. */
		if (evidence_appraise(&in, arena, &a, &found, &result) == 0 && !in.endorsements &&
		    (!a.refused || result.signature_good))
			abort();
		appraisal_done(&a);
		arena_free(arena);
	}
	endorsements_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len;

	if (size == 0)
		return 0;
	/* In sixteenths of it; 0: all. */
	len = data[0] % 16 ? (size - 1) * (data[0] % 16) / 16 : size - 1;
	data++;
	size--;
	read_token(view_of(data, len));
	read_claims(view_of(data, len));
	judge(view_of(data, len), view_of(data + len, size - len));
	return 0;
}
