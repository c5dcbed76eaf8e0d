/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_rules.h"

#include <stdio.h>
#include <string.h>

#define HEX_MAX	  (2 * EVIDENCE_DATA + 1)
#define TEXT_MAX  APPRAISAL_TEXT_MAX
#define SHOWN_MAX 3 /* accepted values that a reason has room for */

static void list_values(const struct policy_values *v, char to[TEXT_MAX])
{
	char hex[HEX_MAX];
	size_t len = 0;

	for (size_t i = 0; i < v->n && i < SHOWN_MAX && len < TEXT_MAX; i++) {
		hex_encode(v->bytes + i * v->size, v->size, hex);
		len += (size_t)snprintf(to + len, TEXT_MAX - len, "%s%s", i ? " or " : "", hex);
	}
	if (v->n > SHOWN_MAX && len < TEXT_MAX)
		snprintf(to + len, TEXT_MAX - len, " or one of %zu more", v->n - SHOWN_MAX);
}

void evidence_rule_values(struct appraisal *a, const char *rule, const struct policy_values *v,
			  const uint8_t *seen)
{
	char expected[TEXT_MAX], hex[HEX_MAX];

	if (v->n == 0)
		return;
	for (size_t i = 0; i < v->n; i++) {
		if (memcmp(v->bytes + i * v->size, seen, v->size) == 0) {
			appraisal_pass(a);
			return;
		}
	}
	list_values(v, expected);
	hex_encode(seen, v->size, hex);
	appraisal_refuse(a, rule, expected, "%s", hex);
}

void evidence_rule_flags(struct appraisal *a, const char *rule, const struct policy_flag *flags,
			 const struct policy_flags *p, uint64_t seen)
{
	for (const struct policy_flag *f = flags; f->word; f++) {
		bool set = seen & f->bit;

		if (!((p->require | p->deny) & f->bit))
			continue;
		if (set == ((p->require & f->bit) != 0))
			appraisal_pass(a);
		else
			appraisal_refuse(a, rule, set ? "not set" : "set", "%s is %s", f->word,
					 set ? "set" : "not set");
	}
}
