/* SPDX-License-Identifier: Apache-2.0 */
#include "yamldoc.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libyaml's; our own folder has no file of this name. */
#include <yaml.h>

#include "cleanup.h"
#include "yamldoc_explain.h"

#define PROBLEMS_SIZE (128 * 1024)
#define LOGGED_MAX    256

struct yamldoc {
	char *file;
	struct view text; /* a copy */
	yaml_document_t tree;
	bool has_tree;
	struct bytes problems;
	size_t n_problems;
	bool out_of_memory;
	/* From libcyaml: its first message and the innermost line of its backtrace. */
	char logged[LOGGED_MAX];
	unsigned long logged_line;
};

CLEANUP_FUNCTION(struct yamldoc *, yamldoc_free)

/* A lent node is a libyaml node; only this file knows. */
static const yaml_node_t *raw(const struct yamldoc_node *n)
{
	return (const yaml_node_t *)n;
}

static const struct yamldoc_node *node(const struct yamldoc *d, int index)
{
	/* libyaml's getter wants a document it may change; it does not. */
	return (const struct yamldoc_node *)yaml_document_get_node((yaml_document_t *)&d->tree,
								   index);
}

static unsigned long line_of(const struct yamldoc_node *n)
{
	return raw(n)->start_mark.line + 1;
}

const char *yamldoc_quoted(const char *text, char to[YAMLDOC_FOUND_MAX])
{
	const size_t keep = YAMLDOC_FOUND_MAX - sizeof("\"\"...");
	size_t n = 0;

	to[n++] = '"';
	for (size_t i = 0; text[i] && n < keep; i++)
		to[n++] = isprint((unsigned char)text[i]) ? text[i] : '?';
	to[n++] = '"';
	to[n] = '\0';
	if (strlen(text) > n - 2)
		strcpy(to + n, "...");
	return to;
}

const char *yamldoc_found(const struct yamldoc_node *n, char to[YAMLDOC_FOUND_MAX])
{
	if (!n)
		return "nothing";
	if (yamldoc_is_mapping(n))
		return "a mapping";
	if (yamldoc_is_sequence(n))
		return "a list";
	if (*yamldoc_text(n) == '\0')
		return "nothing";
	return yamldoc_quoted(yamldoc_text(n), to);
}

static void note(struct yamldoc *d, unsigned long line, const char *path, const char *format,
		 va_list args) PRINTF_LIKE(4, 0);
static void note(struct yamldoc *d, unsigned long line, const char *path, const char *format,
		 va_list args)
{
	char shown[YAMLDOC_PATH_MAX], *said = NULL;
	size_t n = 0;

	d->n_problems++;
	if (d->n_problems > YAMLDOC_PROBLEMS_MAX)
		return;
	/* A path holds keys as they were written; what is shown must stay one line of text. */
	for (; path[n] && n < sizeof(shown) - 1; n++)
		shown[n] = isprint((unsigned char)path[n]) ? path[n] : '?';
	shown[n] = '\0';
	if (vasprintf(&said, format, args) < 0 ||
	    bytes_printf(&d->problems, "%s:%lu: %s%s%s\n", d->file, line, shown, n ? ": " : "",
			 said) < 0)
		d->out_of_memory = true;
	free(said);
}

static void note_line(struct yamldoc *d, unsigned long line, const char *format, ...)
	PRINTF_LIKE(3, 4);
static void note_line(struct yamldoc *d, unsigned long line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note(d, line, "", format, args);
	va_end(args);
}

void yamldoc_problem_at(struct yamldoc *d, const struct yamldoc_node *at, const char *path,
			const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note(d, at ? line_of(at) : 1, path, format, args);
	va_end(args);
}

void yamldoc_problem(struct yamldoc *d, const char *path, const char *format, ...)
{
	const struct yamldoc_node *at = NULL;
	char nearest[YAMLDOC_PATH_MAX];
	va_list args;

	/* Without what the problem is about, the mapping it is missing from. */
	snprintf(nearest, sizeof(nearest), "%s", path);
	for (size_t len = strlen(nearest); !at; nearest[len] = '\0') {
		at = yamldoc_find(d, nearest);
		if (len == 0)
			break;
		while (len > 0 && nearest[--len] != '.' && nearest[len] != '[')
			;
	}
	va_start(args, format);
	note(d, at ? line_of(at) : 1, path, format, args);
	va_end(args);
}

/* What the reader of events refuses, before a tree is built. */
struct scan {
	unsigned int depth;
	size_t nodes, documents;
};

static bool scan_node(struct yamldoc *d, struct scan *s, const yaml_event_t *e,
		      const yaml_char_t *anchor, const yaml_char_t *tag)
{
	unsigned long line = e->start_mark.line + 1;

	if (anchor) {
		note_line(d, line, "expected no anchors, found \"&%.64s\"", (const char *)anchor);
		return false;
	}
	if (tag) {
		note_line(d, line, "expected no tags, found \"%.64s\"", (const char *)tag);
		return false;
	}
	if (++s->nodes > YAMLDOC_NODES_MAX) {
		note_line(d, line, "expected at most %d values, found more", YAMLDOC_NODES_MAX);
		return false;
	}
	return true;
}

static bool scan_event(struct yamldoc *d, struct scan *s, const yaml_event_t *e)
{
	unsigned long line = e->start_mark.line + 1;

	if (e->type == YAML_DOCUMENT_START_EVENT && ++s->documents > 1) {
		note_line(d, line, "expected one document, found another");
		return false;
	}
	if (e->type == YAML_ALIAS_EVENT) {
		note_line(d, line, "expected no aliases, found \"*%.64s\"",
			  (const char *)e->data.alias.anchor);
		return false;
	}
	if (e->type == YAML_SCALAR_EVENT) {
		if (!scan_node(d, s, e, e->data.scalar.anchor, e->data.scalar.tag))
			return false;
		if (e->data.scalar.length > YAMLDOC_SCALAR_MAX ||
		    memchr(e->data.scalar.value, '\0', e->data.scalar.length)) {
			note_line(d, line,
				  "expected text of at most %d bytes without a zero byte, "
				  "found another",
				  YAMLDOC_SCALAR_MAX);
			return false;
		}
	}
	if (e->type == YAML_SEQUENCE_START_EVENT) {
		if (!scan_node(d, s, e, e->data.sequence_start.anchor, e->data.sequence_start.tag))
			return false;
		s->depth++;
	}
	if (e->type == YAML_MAPPING_START_EVENT) {
		if (!scan_node(d, s, e, e->data.mapping_start.anchor, e->data.mapping_start.tag))
			return false;
		s->depth++;
	}
	if (e->type == YAML_SEQUENCE_END_EVENT || e->type == YAML_MAPPING_END_EVENT)
		s->depth--;
	if (s->depth > YAMLDOC_DEPTH_MAX) {
		note_line(d, line, "expected at most %d levels, found more", YAMLDOC_DEPTH_MAX);
		return false;
	}
	return true;
}

static void note_parser(struct yamldoc *d, const yaml_parser_t *p)
{
	if (p->error == YAML_MEMORY_ERROR) {
		d->n_problems++;
		d->out_of_memory = true;
		return;
	}
	/* A reader's error (an invalid byte) has no mark; the parser stands where it was met. */
	note_line(d, (p->problem_mark.line ? p->problem_mark.line : p->mark.line) + 1,
		  "expected YAML, found: %s", p->problem ? p->problem : "an unreadable text");
}

static bool scan(struct yamldoc *d)
{
	struct scan s = { 0 };
	yaml_parser_t p;
	yaml_event_t e;
	bool good = true, more = true;

	if (!yaml_parser_initialize(&p)) {
		d->out_of_memory = true;
		return false;
	}
	yaml_parser_set_input_string(&p, d->text.data, d->text.len);
	while (good && more) {
		if (!yaml_parser_parse(&p, &e)) {
			note_parser(d, &p);
			good = false;
			break;
		}
		good = scan_event(d, &s, &e);
		more = e.type != YAML_STREAM_END_EVENT;
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&p);
	return good;
}

static bool build(struct yamldoc *d)
{
	yaml_parser_t p;

	if (!yaml_parser_initialize(&p)) {
		d->out_of_memory = true;
		return false;
	}
	yaml_parser_set_input_string(&p, d->text.data, d->text.len);
	if (yaml_parser_load(&p, &d->tree))
		d->has_tree = true;
	else
		note_parser(d, &p);
	yaml_parser_delete(&p);
	return d->has_tree;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(yamldoc_text(*(const struct yamldoc_node *const *)a),
		      yamldoc_text(*(const struct yamldoc_node *const *)b));
}

/* libcyaml sees a key that stands twice only where its schema knows the key. */
static void check_keys(struct yamldoc *d, const struct yamldoc_node *n)
{
	CLEANUP(cleanup_mem) const struct yamldoc_node **keys = NULL;
	const struct yamldoc_node *key, *value;
	char found[YAMLDOC_FOUND_MAX];
	size_t count = 0;

	while (yamldoc_pair(d, n, count, &key, &value))
		count++;
	if (count > YAMLDOC_KEYS_MAX) {
		yamldoc_problem_at(d, n, "", "expected at most %d keys in a mapping, found %zu",
				   YAMLDOC_KEYS_MAX, count);
		return;
	}
	keys = calloc(count + 1, sizeof(*keys));
	if (!keys) {
		d->out_of_memory = true;
		return;
	}
	for (size_t i = 0; yamldoc_pair(d, n, i, &keys[i], &value); i++) {
		if (!yamldoc_text(keys[i])) {
			yamldoc_problem_at(d, keys[i], "", "expected text as a key, found %s",
					   yamldoc_found(keys[i], found));
			return;
		}
	}
	qsort(keys, count, sizeof(*keys), by_text);
	for (size_t i = 1; i < count; i++) {
		if (by_text(&keys[i - 1], &keys[i]) != 0)
			continue;
		key = line_of(keys[i]) > line_of(keys[i - 1]) ? keys[i] : keys[i - 1];
		yamldoc_problem_at(d, key, yamldoc_text(key),
				   "expected each key once, found it a second time");
	}
}

static void check_tree(struct yamldoc *d)
{
	const struct yamldoc_node *n;

	for (int i = 1; (n = node(d, i)); i++) {
		if (yamldoc_is_mapping(n))
			check_keys(d, n);
	}
	n = node(d, 1);
	if (!n)
		note_line(d, 1, "expected a mapping, found an empty text");
	else if (!yamldoc_is_mapping(n))
		note_line(d, line_of(n), "expected a mapping, found another value");
}

int yamldoc_open(struct view text, size_t max, const char *file, struct yamldoc **ret)
{
	CLEANUP(yamldoc_freep) struct yamldoc *d = NULL;
	uint8_t *copy;

	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->problems = BYTES_INIT(PROBLEMS_SIZE);
	d->file = strdup(file);
	if (!d->file)
		return -ENOMEM;
	if (text.len > max) {
		note_line(d, 1, "expected a text of at most %zu bytes, found %zu", max, text.len);
		*ret = TAKE(d);
		return 0;
	}
	copy = malloc(text.len + 1);
	if (!copy)
		return -ENOMEM;
	if (text.len > 0)
		memcpy(copy, text.data, text.len);
	d->text = view_of(copy, text.len);
	if (scan(d) && build(d))
		check_tree(d);
	if (d->out_of_memory)
		return -ENOMEM;
	*ret = TAKE(d);
	return 0;
}

void yamldoc_free(struct yamldoc *d)
{
	if (!d)
		return;
	if (d->has_tree)
		yaml_document_delete(&d->tree);
	bytes_done(&d->problems);
	free((void *)d->text.data);
	free(d->file);
	free(d);
}

int yamldoc_verdict(const struct yamldoc *d)
{
	if (d->out_of_memory)
		return -ENOMEM;
	return d->n_problems > 0 ? -EINVAL : 0;
}

char *yamldoc_take_problems(struct yamldoc *d)
{
	if (d->n_problems > YAMLDOC_PROBLEMS_MAX &&
	    bytes_printf(&d->problems, "%s: and %zu more\n", d->file,
			 d->n_problems - YAMLDOC_PROBLEMS_MAX) < 0)
		return NULL;
	if (d->problems.len == 0)
		return strdup("");
	return strndup((const char *)d->problems.data, d->problems.len);
}

const char *yamldoc_text(const struct yamldoc_node *n)
{
	return raw(n)->type == YAML_SCALAR_NODE ? (const char *)raw(n)->data.scalar.value : NULL;
}

bool yamldoc_is_mapping(const struct yamldoc_node *n)
{
	return raw(n)->type == YAML_MAPPING_NODE;
}

bool yamldoc_is_sequence(const struct yamldoc_node *n)
{
	return raw(n)->type == YAML_SEQUENCE_NODE;
}

bool yamldoc_pair(const struct yamldoc *d, const struct yamldoc_node *n, size_t i,
		  const struct yamldoc_node **ret_key, const struct yamldoc_node **ret_value)
{
	const yaml_node_pair_t *pair;

	if (!n || !yamldoc_is_mapping(n))
		return false;
	pair = raw(n)->data.mapping.pairs.start + i;
	if (i >= (size_t)(raw(n)->data.mapping.pairs.top - raw(n)->data.mapping.pairs.start))
		return false;
	*ret_key = node(d, pair->key);
	*ret_value = node(d, pair->value);
	return true;
}

const struct yamldoc_node *yamldoc_get(const struct yamldoc *d, const struct yamldoc_node *n,
				       const char *key)
{
	const struct yamldoc_node *k, *v;

	for (size_t i = 0; yamldoc_pair(d, n, i, &k, &v); i++) {
		if (yamldoc_text(k) && strcmp(yamldoc_text(k), key) == 0)
			return v;
	}
	return NULL;
}

const struct yamldoc_node *yamldoc_item(const struct yamldoc *d, const struct yamldoc_node *n,
					size_t i)
{
	const yaml_node_t *y;

	if (!n || !yamldoc_is_sequence(n))
		return NULL;
	y = raw(n);
	if (i >= (size_t)(y->data.sequence.items.top - y->data.sequence.items.start))
		return NULL;
	return node(d, y->data.sequence.items.start[i]);
}

const struct yamldoc_node *yamldoc_find(const struct yamldoc *d, const char *path)
{
	const struct yamldoc_node *n = d->has_tree ? node(d, 1) : NULL;
	char key[YAMLDOC_PATH_MAX];
	size_t len;

	while (n && *path) {
		if (*path == '[') {
			n = yamldoc_item(d, n, strtoul(path + 1, NULL, 10));
			path += strcspn(path, "]");
			path += *path == ']';
			continue;
		}
		path += *path == '.';
		len = strcspn(path, ".[");
		if (len == 0 || len >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		n = yamldoc_get(d, n, key);
		path += len;
	}
	return n;
}

static void on_cyaml(cyaml_log_t level, void *ctx, const char *format, va_list args)
	PRINTF_LIKE(3, 0);
static void on_cyaml(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
	static const char mark[] = "(line: ";
	struct yamldoc *d = ctx;
	char text[LOGGED_MAX];
	const char *at;

	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	at = strstr(text, mark);
	/* The backtrace goes from the innermost value outwards. */
	if (at && d->logged_line == 0)
		d->logged_line = strtoul(at + strlen(mark), NULL, 10);
	else if (!at && !d->logged[0])
		memcpy(d->logged, text, sizeof(text));
}

static struct cyaml_config config_of(struct yamldoc *d)
{
	return (struct cyaml_config){
		.log_fn = d ? on_cyaml : NULL,
		.log_ctx = d,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_WARNING,
		.flags = CYAML_CFG_NO_ALIAS,
	};
}

int yamldoc_load(struct yamldoc *d, const struct cyaml_schema_value *schema, void *ret)
{
	struct cyaml_config config = config_of(d);
	void *loaded = NULL;
	cyaml_err_t err;

	if (d->n_problems > 0)
		return yamldoc_verdict(d);
	err = cyaml_load_data(d->text.data, d->text.len, &config, schema, &loaded, NULL);
	if (err == CYAML_ERR_OOM)
		return -ENOMEM;
	if (err == CYAML_OK && loaded) {
		*(void **)ret = loaded;
		return 0;
	}
	yamldoc_explain(d, schema);
	if (d->n_problems == 0)
		note_line(d, d->logged_line ? d->logged_line : 1,
			  "expected what the schema says, found: %s",
			  d->logged[0] ? d->logged : cyaml_strerror(err));
	return yamldoc_verdict(d);
}

void yamldoc_unload(const struct cyaml_schema_value *schema, void *loaded)
{
	struct cyaml_config config = config_of(NULL);

	if (loaded)
		cyaml_free(&config, schema, loaded, 0);
}
