/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_platform.h"

#include <stdio.h>
#include <string.h>

#include "quantity.h"

const cyaml_strval_t policy_accepts[] = {
	{ "deny", ACCEPT_DENY },
	{ "allow", ACCEPT_ALLOW },
};

const cyaml_schema_field_t policy_flags_fields[] = {
	FORM_TEXTS("require", struct policy_flags_form, require, n_require, POLICY_LIST_MAX),
	FORM_TEXTS("deny", struct policy_flags_form, deny, n_deny, POLICY_LIST_MAX),
	CYAML_FIELD_END,
};

static const char *member_path(const struct policy_reading *x, char to[YAMLDOC_PATH_MAX],
			       const char *member)
{
	snprintf(to, YAMLDOC_PATH_MAX, "%s.%s", x->path, member);
	return to;
}

static const char *item_path(const struct policy_reading *x, char to[YAMLDOC_PATH_MAX],
			     const char *member, size_t i)
{
	snprintf(to, YAMLDOC_PATH_MAX, "%s.%s[%zu]", x->path, member, i);
	return to;
}

void policy_read_values(struct policy_reading *x, const char *member,
			const struct policy_texts *from, size_t size, struct policy_values *ret)
{
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];
	uint8_t *bytes;

	if (from->n == 0)
		return;
	bytes = arena_alloc(x->arena, from->n * size);
	if (!bytes) {
		x->out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < from->n; i++) {
		if (hex_decode_exact(from->texts[i], bytes + i * size, size) < 0)
			yamldoc_problem(x->d, item_path(x, path, member, i),
					"expected %zu hex digits, found %s", 2 * size,
					yamldoc_quoted(from->texts[i], found));
	}
	*ret = (struct policy_values){ .bytes = bytes, .size = size, .n = from->n };
}

/* Words of a fixed choice. */
void policy_read_words(struct policy_reading *x, const char *member,
		       const struct policy_texts *from, const char *const *choice,
		       const char *expected, const char *const **ret)
{
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];
	const char **words;

	if (from->n == 0)
		return;
	words = arena_alloc(x->arena, (from->n + 1) * sizeof(*words));
	if (!words) {
		x->out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < from->n; i++) {
		for (const char *const *c = choice; *c; c++) {
			if (strcmp(*c, from->texts[i]) == 0)
				words[i] = *c;
		}
		if (!words[i])
			yamldoc_problem(x->d, item_path(x, path, member, i),
					"expected %s, found %s", expected,
					yamldoc_quoted(from->texts[i], found));
	}
	*ret = words;
}

uint64_t policy_read_number(struct policy_reading *x, const char *member, const char *text,
			    uint64_t max, uint64_t otherwise)
{
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];
	uint64_t n;

	if (!text)
		return otherwise;
	if (quantity_count(text, &n) == 0 && n <= max)
		return n;
	yamldoc_problem(x->d, member_path(x, path, member),
			"expected a whole number from 0 to %llu, found %s", (unsigned long long)max,
			yamldoc_quoted(text, found));
	return otherwise;
}

static uint64_t read_bits(struct policy_reading *x, const char *member, char *const *texts,
			  size_t n, const struct policy_flag *known)
{
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];
	const struct policy_flag *f;
	uint64_t bits = 0;

	for (size_t i = 0; i < n; i++) {
		for (f = known; f->word && strcmp(f->word, texts[i]) != 0; f++)
			;
		bits |= f->bit;
		if (!f->word)
			yamldoc_problem(x->d, item_path(x, path, member, i),
					"expected the name of a flag (%s), found %s", x->flags_in,
					yamldoc_quoted(texts[i], found));
	}
	return bits;
}

void policy_read_flags(struct policy_reading *x, const char *member,
		       const struct policy_flags_form *from, const struct policy_flag *known,
		       struct policy_flags *ret)
{
	char path[YAMLDOC_PATH_MAX], part[YAMLDOC_PATH_MAX];

	if (!from)
		return;
	snprintf(part, sizeof(part), "%s.require", member);
	ret->require = read_bits(x, part, from->require, from->n_require, known);
	snprintf(part, sizeof(part), "%s.deny", member);
	ret->deny = read_bits(x, part, from->deny, from->n_deny, known);
	if (ret->require & ret->deny)
		yamldoc_problem(x->d, member_path(x, path, member),
				"expected a flag to be required or denied, found both");
}
