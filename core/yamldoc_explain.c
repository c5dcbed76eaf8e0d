/* SPDX-License-Identifier: Apache-2.0 */
#include "yamldoc_explain.h"

#include <stdio.h>
#include <string.h>

struct explain {
	struct yamldoc *d;
	char path[YAMLDOC_PATH_MAX];
};

static void explain(struct explain *x, const struct cyaml_schema_value *schema,
		    const struct yamldoc_node *n);

static void explain_text(struct explain *x, const struct cyaml_schema_value *schema,
			 const struct yamldoc_node *n)
{
	const char *text = yamldoc_text(n);
	char found[YAMLDOC_FOUND_MAX];

	if (!text || strlen(text) < schema->string.min)
		yamldoc_problem_at(x->d, n, x->path, "expected text, found %s",
				   yamldoc_found(n, found));
	else if (strlen(text) > schema->string.max)
		yamldoc_problem_at(x->d, n, x->path, "expected at most %u bytes, found %zu",
				   schema->string.max, strlen(text));
}

static void explain_enum(struct explain *x, const struct cyaml_schema_value *schema,
			 const struct yamldoc_node *n)
{
	const char *text = yamldoc_text(n);
	char found[YAMLDOC_FOUND_MAX], list[256] = "";
	size_t at = 0;

	for (uint32_t i = 0; i < schema->enumeration.count; i++) {
		const char *word = schema->enumeration.strings[i].str;

		if (text && strcmp(text, word) == 0)
			return;
		if (at < sizeof(list))
			at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", i ? ", " : "",
					       word);
	}
	yamldoc_problem_at(x->d, n, x->path, "expected one of %s, found %s", list,
			   yamldoc_found(n, found));
}

static void explain_sequence(struct explain *x, const struct cyaml_schema_value *schema,
			     const struct yamldoc_node *n)
{
	const struct yamldoc_node *item;
	size_t end = strlen(x->path), count = 0;
	char found[YAMLDOC_FOUND_MAX];

	if (!yamldoc_is_sequence(n)) {
		yamldoc_problem_at(x->d, n, x->path, "expected a list, found %s",
				   yamldoc_found(n, found));
		return;
	}
	for (; (item = yamldoc_item(x->d, n, count)); count++) {
		if (count == schema->sequence.max) {
			yamldoc_problem_at(x->d, item, x->path,
					   "expected at most %u entries, found more",
					   schema->sequence.max);
			return;
		}
		snprintf(x->path + end, sizeof(x->path) - end, "[%zu]", count);
		explain(x, schema->sequence.entry, item);
		x->path[end] = '\0';
	}
	if (count < schema->sequence.min)
		yamldoc_problem_at(x->d, n, x->path, "expected at least %u entries, found %zu",
				   schema->sequence.min, count);
}

static const struct cyaml_schema_field *field_of(const struct cyaml_schema_field *fields,
						 const char *key)
{
	for (; fields->key; fields++) {
		if (strcmp(fields->key, key) == 0)
			return fields;
	}
	return NULL;
}

static void explain_unknown(struct explain *x, const struct cyaml_schema_field *fields,
			    const struct yamldoc_node *key)
{
	char found[YAMLDOC_FOUND_MAX], list[512] = "";
	size_t at = 0;

	for (size_t i = 0; fields[i].key && at < sizeof(list); i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", i ? ", " : "",
				       fields[i].key);
	yamldoc_problem_at(x->d, key, x->path, "expected one of the keys %s, found %s", list,
			   yamldoc_found(key, found));
}

static void explain_mapping(struct explain *x, const struct cyaml_schema_value *schema,
			    const struct yamldoc_node *n)
{
	const struct cyaml_schema_field *fields = schema->mapping.fields, *f;
	const struct yamldoc_node *key, *value;
	size_t end = strlen(x->path);
	char found[YAMLDOC_FOUND_MAX];

	if (!yamldoc_is_mapping(n)) {
		yamldoc_problem_at(x->d, n, x->path, "expected a mapping, found %s",
				   yamldoc_found(n, found));
		return;
	}
	for (size_t i = 0; yamldoc_pair(x->d, n, i, &key, &value); i++) {
		snprintf(x->path + end, sizeof(x->path) - end, "%s%s", end ? "." : "",
			 yamldoc_text(key));
		f = field_of(fields, yamldoc_text(key));
		if (f)
			explain(x, &f->value, value);
		else
			explain_unknown(x, fields, key);
		x->path[end] = '\0';
	}
	for (f = fields; f->key; f++) {
		if (!(f->value.flags & CYAML_FLAG_OPTIONAL) && !yamldoc_get(x->d, n, f->key)) {
			snprintf(x->path + end, sizeof(x->path) - end, "%s%s", end ? "." : "",
				 f->key);
			yamldoc_problem_at(x->d, n, x->path, "expected this key, found nothing");
			x->path[end] = '\0';
		}
	}
}

static void explain(struct explain *x, const struct cyaml_schema_value *schema,
		    const struct yamldoc_node *n)
{
	/* The types our schemas use; numbers are text to libcyaml, which would take "010" for 8. */
	static void (*const by_type[CYAML__TYPE_COUNT])(struct explain *,
							const struct cyaml_schema_value *,
							const struct yamldoc_node *) = {
		[CYAML_STRING] = explain_text,
		[CYAML_ENUM] = explain_enum,
		[CYAML_SEQUENCE] = explain_sequence,
		[CYAML_MAPPING] = explain_mapping,
	};

	if (by_type[schema->type])
		by_type[schema->type](x, schema, n);
}

void yamldoc_explain(struct yamldoc *d, const struct cyaml_schema_value *schema)
{
	struct explain x = { .d = d };

	explain(&x, schema, yamldoc_find(d, ""));
}
