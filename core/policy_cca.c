/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_cca_form.h"

#include <stdio.h>
#include <string.h>

#define PATH		    "platforms.cca"
#define IMPLEMENTATION_SIZE 32
#define INSTANCE_SIZE	    33
#define PERSONAL_SIZE	    64

#define CCA_TEXTS(key, member)                                                                     \
	FORM_TEXTS(key, struct policy_cca_form, member.texts, member.n, POLICY_DIGESTS_MAX)

const cyaml_schema_field_t policy_cca_fields[] = {
	CCA_TEXTS("cpak", cpak),
	CCA_TEXTS("implementation_id", implementation_id),
	CCA_TEXTS("instance_id", instance_id),
	CCA_TEXTS("measurement", measurement),
	CCA_TEXTS("rem0", rem[0]),
	CCA_TEXTS("rem1", rem[1]),
	CCA_TEXTS("rem2", rem[2]),
	CCA_TEXTS("rem3", rem[3]),
	CCA_TEXTS("personalization", personalization),
	CCA_TEXTS("component_measurements", component_measurements),
	CCA_TEXTS("component_signers", component_signers),
	CCA_TEXTS("components", components),
	CCA_TEXTS("lifecycle", lifecycle),
	CYAML_FIELD_END,
};

const struct policy_flag policy_cca_lifecycles[] = {
	{ "secured", POLICY_CCA_SECURED },
	{ "non-cca-debug", POLICY_CCA_NON_CCA_DEBUG },
	{ "recoverable-debug", POLICY_CCA_RECOVERABLE_DEBUG },
	{ NULL, 0 },
};

/* What is judged by without a policy, and where one says nothing. */
static const struct policy_cca defaults = { .lifecycle = POLICY_CCA_SECURED };

const struct policy_cca *policy_cca(const struct policy *p)
{
	return p && p->form->platforms->cca ? &p->form->platforms->cca->rules : &defaults;
}

static int decode(const char *text, struct policy_cca_digest *ret)
{
	static const size_t sizes[] = { 32, 48, 64 };

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		if (hex_decode_exact(text, ret->bytes, sizes[i]) < 0)
			continue;
		ret->size = sizes[i];
		return 0;
	}
	return -EINVAL;
}

static void read_digests(struct policy_reading *x, const char *member,
			 const struct policy_texts *from, struct policy_cca_digests *ret)
{
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];
	struct policy_cca_digest *at;

	if (from->n == 0)
		return;
	at = arena_alloc(x->arena, from->n * sizeof(*at));
	if (!at) {
		x->out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < from->n; i++) {
		if (decode(from->texts[i], &at[i]) == 0)
			continue;
		snprintf(path, sizeof(path), PATH ".%s[%zu]", member, i);
		yamldoc_problem(x->d, path, "expected 64, 96 or 128 hex digits, found %s",
				yamldoc_quoted(from->texts[i], found));
	}
	*ret = (struct policy_cca_digests){ at, from->n };
}

static void read_lifecycles(struct policy_reading *x, const struct policy_texts *from,
			    unsigned int *ret)
{
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];
	unsigned int accepted = 0;

	if (from->n == 0)
		return;
	for (size_t i = 0; i < from->n; i++) {
		const struct policy_flag *f = policy_cca_lifecycles;

		while (f->word && strcmp(f->word, from->texts[i]) != 0)
			f++;
		accepted |= (unsigned int)f->bit;
		if (f->word)
			continue;
		snprintf(path, sizeof(path), PATH ".lifecycle[%zu]", i);
		yamldoc_problem(x->d, path,
				"expected secured, non-cca-debug or recoverable-debug, found %s",
				yamldoc_quoted(from->texts[i], found));
	}
	*ret = accepted;
}

static void read_components(struct policy_reading *x, const struct policy_texts *from,
			    const char *const **ret)
{
	const char **words;

	if (from->n == 0)
		return;
	words = arena_alloc(x->arena, (from->n + 1) * sizeof(*words));
	if (!words) {
		x->out_of_memory = true;
		return;
	}
	memcpy(words, from->texts, from->n * sizeof(*words));
	*ret = words;
}

int policy_read_cca(struct yamldoc *d, struct arena *arena, struct policy_cca_form *f)
{
	static const char *const rems[POLICY_CCA_REMS] = { "rem0", "rem1", "rem2", "rem3" };
	struct policy_reading x = { .d = d, .arena = arena, .path = PATH };
	struct policy_cca rules = defaults;

	policy_read_values(&x, "cpak", &f->cpak, hash_size(HASH_SHA256), &rules.cpak);
	policy_read_values(&x, "implementation_id", &f->implementation_id, IMPLEMENTATION_SIZE,
			   &rules.implementation_id);
	policy_read_values(&x, "instance_id", &f->instance_id, INSTANCE_SIZE, &rules.instance_id);
	policy_read_values(&x, "personalization", &f->personalization, PERSONAL_SIZE,
			   &rules.personalization);
	read_digests(&x, "measurement", &f->measurement, &rules.measurement);
	for (size_t i = 0; i < POLICY_CCA_REMS; i++)
		read_digests(&x, rems[i], &f->rem[i], &rules.rem[i]);
	read_digests(&x, "component_measurements", &f->component_measurements,
		     &rules.component_measurements);
	read_digests(&x, "component_signers", &f->component_signers, &rules.component_signers);
	read_components(&x, &f->components, &rules.components);
	read_lifecycles(&x, &f->lifecycle, &rules.lifecycle);
	f->rules = rules;
	return x.out_of_memory ? -ENOMEM : 0;
}
