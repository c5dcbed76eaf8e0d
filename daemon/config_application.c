/* SPDX-License-Identifier: Apache-2.0 */
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "claims.h"
#include "config_form.h"
#include "quantity.h"

#define SECRET_PLACE "{secret:"

/* "applications[2].KEY" */
struct place {
	char path[YAMLDOC_PATH_MAX];
};

static struct place key_of(size_t i, const char *key)
{
	struct place p;

	snprintf(p.path, sizeof(p.path), "applications[%zu].%s", i, key);
	return p;
}

static const struct {
	const char *name;
	enum config_deliver how;
} deliveries[] = {
	{ "socket", DELIVER_SOCKET },		{ "credential", DELIVER_CREDENTIAL },
	{ "environment", DELIVER_ENVIRONMENT }, { "argument", DELIVER_ARGUMENT },
	{ "systemd", DELIVER_SYSTEMD },
};

static void read_how(struct config_reading *x, const char *path, const struct yamldoc_node *value,
		     enum config_deliver *ret)
{
	const char *text = yamldoc_text(value);
	char found[YAMLDOC_FOUND_MAX];

	for (size_t i = 0; i < ARRAY_LEN(deliveries); i++) {
		if (text && strcmp(text, deliveries[i].name) == 0) {
			*ret = deliveries[i].how;
			return;
		}
	}
	yamldoc_problem_at(x->d, value, path,
			   "expected one of socket, credential, environment, argument, systemd, "
			   "found %s",
			   yamldoc_found(value, found));
}

/* Of a program that runs, arguments and environment can no longer be set. */
static bool only_at_start(enum config_deliver how)
{
	return how == DELIVER_ENVIRONMENT || how == DELIVER_ARGUMENT;
}

static void read_delivery(struct config_reading *x, const char *path,
			  const struct yamldoc_node *key, const struct yamldoc_node *value,
			  struct config_application *a)
{
	static const char prefix[] = "stage_";
	const char *name = yamldoc_text(key);
	char found[YAMLDOC_FOUND_MAX];
	enum config_deliver how = DELIVER_SOCKET;
	uint64_t stage;

	read_how(x, path, value, &how);
	if (strcmp(name, "others") == 0) {
		a->deliver_others = how;
		return;
	}
	if (strncmp(name, prefix, strlen(prefix)) != 0 ||
	    quantity_count(name + strlen(prefix), &stage) < 0 || stage < 1 || stage > a->stages) {
		yamldoc_problem_at(
			x->d, key, path,
			"expected \"others\" or \"stage_N\" with N from 1 to %u, found %s",
			a->stages, yamldoc_found(key, found));
		return;
	}
	if (stage > 1 && only_at_start(how))
		yamldoc_problem_at(x->d, value, path,
				   "expected socket, credential or systemd after stage 1, found %s",
				   yamldoc_found(value, found));
	a->deliver[a->n_deliver].stage = (uint32_t)stage;
	a->deliver[a->n_deliver].how = how;
	a->n_deliver++;
}

static bool uses(const struct config_application *a, enum config_deliver how)
{
	for (uint32_t stage = 1; stage <= a->stages; stage++) {
		if (config_deliver_of(a, stage) == how)
			return true;
	}
	return false;
}

static bool has_secret_place(const struct config_application *a)
{
	for (size_t i = 0; a->exec && a->exec[i]; i++) {
		if (strstr(a->exec[i], SECRET_PLACE))
			return true;
	}
	return false;
}

static void read_deliver(struct config_reading *x, size_t i, struct config_application *a)
{
	struct place p = key_of(i, "deliver");
	const struct yamldoc_node *deliver = yamldoc_find(x->d, p.path), *key, *value;
	char found[YAMLDOC_FOUND_MAX];
	size_t n = 0;

	if (deliver && !yamldoc_is_mapping(deliver)) {
		yamldoc_problem(x->d, p.path, "expected a mapping, found %s",
				yamldoc_found(deliver, found));
		return;
	}
	while (yamldoc_pair(x->d, deliver, n, &key, &value))
		n++;
	a->deliver = config_room(x, n, sizeof(*a->deliver));
	for (n = 0; a->deliver && yamldoc_pair(x->d, deliver, n, &key, &value); n++)
		read_delivery(x, p.path, key, value, a);
	for (uint32_t stage = 2; stage <= a->stages; stage++) {
		if (only_at_start(a->deliver_others) &&
		    config_deliver_of(a, stage) == a->deliver_others) {
			yamldoc_problem(
				x->d, p.path,
				"expected socket, credential or systemd after stage 1, found "
				"another for stage %u",
				stage);
			break;
		}
	}
	if (uses(a, DELIVER_ARGUMENT) && !has_secret_place(a))
		yamldoc_problem(x->d, p.path,
				"expected " SECRET_PLACE
				"NAME} in exec for a secret as an argument, "
				"found none");
	if (has_secret_place(a) && !uses(a, DELIVER_ARGUMENT))
		yamldoc_problem(x->d, key_of(i, "exec").path,
				"expected a stage delivered as argument for " SECRET_PLACE
				"NAME}, found none");
}

static void read_variables(struct config_reading *x, size_t i, struct config_application *a)
{
	struct place p = key_of(i, "set_environment");
	const struct yamldoc_node *set = yamldoc_find(x->d, p.path), *key, *value;
	char found[YAMLDOC_FOUND_MAX];
	size_t n = 0;

	if (!set)
		return;
	if (!yamldoc_is_mapping(set)) {
		yamldoc_problem(x->d, p.path, "expected a mapping of names to values, found %s",
				yamldoc_found(set, found));
		return;
	}
	while (yamldoc_pair(x->d, set, n, &key, &value))
		n++;
	a->environment = config_room(x, n, sizeof(*a->environment));
	for (n = 0; a->environment && yamldoc_pair(x->d, set, n, &key, &value); n++) {
		if (!*yamldoc_text(key) || strchr(yamldoc_text(key), '='))
			yamldoc_problem_at(x->d, key, p.path,
					   "expected the name of a variable, found %s",
					   yamldoc_found(key, found));
		if (!yamldoc_text(value)) {
			yamldoc_problem_at(x->d, value, p.path, "expected text, found %s",
					   yamldoc_found(value, found));
			continue;
		}
		a->environment[a->n_environment].name = config_text(x, yamldoc_text(key));
		a->environment[a->n_environment].value = config_text(x, yamldoc_text(value));
		a->n_environment++;
	}
}

/* glibc writes out what is repeated, so that nested ones multiply: these many, of so much text. */
#define PATTERN_REPEATS_MAX 8
#define PATTERN_MAX	    1024

/* One with a brace is left to the collector, in its own process. */
static void check_pattern(struct config_reading *x, const char *path, const char *pattern)
{
	size_t repeats = 0;
	char why[128];
	regex_t regex;
	int r;

	for (const char *at = strpbrk(pattern, "+{"); at; at = strpbrk(at + 1, "+{"))
		repeats++;
	if (repeats > PATTERN_REPEATS_MAX || strlen(pattern) > PATTERN_MAX) {
		yamldoc_problem(x->d, path,
				"expected at most %d repetitions (+ and {}) in %d bytes, "
				"found %zu in %zu",
				PATTERN_REPEATS_MAX, PATTERN_MAX, repeats, strlen(pattern));
		return;
	}
	if (strchr(pattern, '{'))
		return;
	r = regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB);
	if (r == 0) {
		regfree(&regex);
		return;
	}
	if (r == REG_ESPACE) {
		x->out_of_memory = true;
		return;
	}
	regerror(r, &regex, why, sizeof(why));
	yamldoc_problem(x->d, path, "expected an extended regular expression, found: %s", why);
}

static void read_logs(struct config_reading *x, const struct form_application *f, size_t i,
		      struct target_config *t)
{
	struct target_log *logs;
	char key[64];

	t->n_logs = f->n_logs;
	t->logs = logs = config_room(x, f->n_logs, sizeof(*logs));
	for (size_t k = 0; logs && k < f->n_logs; k++) {
		snprintf(key, sizeof(key), "logs[%zu].file", k);
		config_check_path(x, key_of(i, key).path, f->logs[k].file);
		snprintf(key, sizeof(key), "logs[%zu].match", k);
		check_pattern(x, key_of(i, key).path, f->logs[k].match);
		logs[k].file = config_text(x, f->logs[k].file);
		logs[k].match = config_text(x, f->logs[k].match);
	}
}

/* The program is measured whether it is listed or not. */
static void read_files(struct config_reading *x, const struct form_application *f,
		       struct config_application *a)
{
	const char **files = config_room(x, f->n_files + 1, sizeof(*files));
	const char *program = a->exec ? a->exec[0] : NULL; /* none of a unit */
	bool listed = !program;

	if (!files)
		return;
	for (size_t k = 0; k < f->n_files; k++) {
		listed = listed || strcmp(f->files[k], program) == 0;
		files[a->target.n_files++] = config_text(x, f->files[k]);
	}
	if (!listed)
		files[a->target.n_files++] = config_text(x, program);
	a->target.files = files;
}

static void read_target(struct config_reading *x, const struct form_application *f, size_t i,
			struct config_application *a)
{
	struct target_config *t = &a->target;

	t->name = a->name;
	config_check_paths(x, key_of(i, "files").path, f->files, f->n_files);
	config_check_paths(x, key_of(i, "storage").path, f->storage, f->n_storage);
	read_files(x, f, a);
	read_logs(x, f, i, t);
	t->n_storage = f->n_storage;
	t->storage = (const char *const *)config_texts(x, f->storage, f->n_storage);
	if (!f->environment)
		return;
	t->n_environment = f->environment->n_record;
	t->environment = (const char *const *)config_texts(x, f->environment->record,
							   f->environment->n_record);
	t->environment_hash_only = f->environment->hash_only == FORM_TRUE;
}

static void read_program(struct config_reading *x, const struct form_application *f, size_t i,
			 struct config_application *a)
{
	bool image = yamldoc_find(x->d, key_of(i, "image").path);
	int given = (f->n_exec > 0) + (f->unit != NULL) + (f->disk != NULL);

	if (image)
		yamldoc_problem(x->d, key_of(i, "image").path,
				"expected exec, unit or disk, found image, which is not supported "
				"by this version");
	if (given == 0 && !image)
		yamldoc_problem(x->d, key_of(i, "exec").path,
				"expected a program and its arguments (or unit, or disk), found "
				"nothing");
	if (given > 1)
		yamldoc_problem(x->d, key_of(i, "exec").path,
				"expected one of exec, unit, disk, found %d of them", given);
	if (f->n_exec > 0)
		config_check_path(x, key_of(i, "exec[0]").path, f->exec[0]);
	config_check_path(x, key_of(i, "directory").path, f->directory);
	if (f->n_exec > 0)
		a->exec = config_texts(x, f->exec, f->n_exec);
	a->directory = config_text(x, f->directory);
	a->user = config_text(x, f->user);
	a->group = config_text(x, f->group);
	read_variables(x, i, a);
}

void config_read_application(struct config_reading *x, const struct form_application *f, size_t i,
			     struct config_application *a)
{
	char found[YAMLDOC_FOUND_MAX];

	if (!application_name_valid(f->name))
		yamldoc_problem(x->d, key_of(i, "name").path,
				"expected 1 to %d letters, digits, '.', '_', '-', found %s",
				APPLICATION_NAME_MAX, yamldoc_quoted(f->name, found));
	a->name = config_text(x, f->name);
	read_program(x, f, i, a);
	a->measure_static = !f->measure || f->measure->static_ != FORM_FALSE;
	a->measure_dynamic = !f->measure || f->measure->dynamic != FORM_FALSE;
	if (!a->measure_static && !a->measure_dynamic)
		yamldoc_problem(x->d, key_of(i, "measure").path,
				"expected static or dynamic to be true, found neither");
	a->raw = f->measurement == FORM_M_RAW;
	if (f->unit)
		config_read_unit(x, f, i, a);
	if (f->disk)
		config_read_disk(x, f, i, a);
	read_target(x, f, i, a);
	if (!f->disk)
		config_number(x, key_of(i, "stages").path, f->stages, 0, STAGE_MAX, &a->stages);
	config_read_nodes(x, f, i, a);
	if (!f->disk)
		read_deliver(x, i, a);
	if (f->unit && (uses(a, DELIVER_CREDENTIAL) || uses(a, DELIVER_ENVIRONMENT) ||
			uses(a, DELIVER_ARGUMENT)))
		yamldoc_problem(x->d, key_of(i, "deliver").path,
				"expected socket or systemd (LoadCredential=) for a unit, found "
				"another");
	a->on_refusal = f->on_refusal ? (enum config_refusal)(f->on_refusal - 1) : REFUSAL_WITHHOLD;
	a->restart = f->restart == FORM_TRUE;
}
