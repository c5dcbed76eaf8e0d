/* SPDX-License-Identifier: Apache-2.0 */
#include "endorsements.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <jansson.h>

#include "cleanup.h"
#include "command.h"
#include "evidence_files.h"
#include "output.h"
#include "quantity.h"
#include "terminal.h"
#include "x509_chain.h"

/* The store of endorsements: what is put in, what is in it, what of it is of use. */

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)
CLEANUP_FUNCTION(struct endorsement_store *, endorsement_store_free)

int endorsements_time(const char *at, int64_t *ret)
{
	if (at)
		return quantity_instant(at, ret);
	*ret = time(NULL);
	return 0;
}

static int failed(const char *path, int r)
{
	terminal_error("%s: %s", path,
		       r == -EMSGSIZE	? "more than a store holds"
		       : r == -EBADMSG	? "neither endorsements nor a bundle of them"
				: strerror(-r));
	return r;
}

int endorsements_open(const char *path, struct endorsement_store **ret)
{
	CLEANUP(endorsement_store_freep) struct endorsement_store *s = NULL;
	int r;

	r = endorsement_store_new(&s);
	if (r == 0)
		r = endorsement_store_read(s, path);
	if (r == -ENOENT)
		r = 0;
	if (r < 0)
		return failed(path, r);
	*ret = TAKE(s);
	return 0;
}

int endorsements_import_begin(struct endorsements_import *i, const char *directory, int64_t now)
{
	*i = (struct endorsements_import){ .directory = directory, .now = now };
	return endorsements_open(directory, &i->store);
}

void endorsements_import_done(struct endorsements_import *i)
{
	endorsement_store_free(i->store);
}

static int import_one(struct endorsements_import *i, const struct endorsement *e, const char *name)
{
	char until[TIME_TEXT_MAX];
	struct endorsement_key key;
	const char *why;
	int r;

	r = endorsement_key_read(e, &key, &why);
	if (r == -EBADMSG) {
		terminal_warning("%s: left out: %s", name, why);
		i->left_out++;
		return 0;
	}
	if (r == 0 && !endorsement_usable(&key, e->kind, i->now)) {
		terminal_warning("%s: left out: %s, not in force at this time (it ends %s)", name,
				 key.what, time_text(key.until, until));
		i->left_out++;
		return 0;
	}
	if (r == 0)
		r = endorsement_store_add(i->store, e, &why);
	if (r == 0)
		i->known++;
	if (r <= 0)
		return r;
	i->added++;
	return endorsement_store_write(i->directory, e);
}

int endorsements_import_set(struct endorsements_import *i, const struct endorsements *e,
			    const char *name)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < endorsements_count(e); k++)
		r = import_one(i, endorsements_at(e, k), name);
	return r < 0 ? failed(i->directory, r) : 0;
}

/* Loose files: each whatever it is. */
static int import_files(struct endorsements_import *i, const char *path)
{
	CLEANUP(cleanup_mem) struct evidence_files *files = calloc(1, sizeof(*files));
	int r = files ? evidence_files_add(files, path) : -ENOMEM;

	for (size_t k = 0; r == 0 && k < files->n; k++) {
		CLEANUP(endorsements_freep) struct endorsements *e = NULL;
		const char *why;

		r = endorsements_new(&e);
		if (r == 0)
			r = endorsements_add(e, bytes_view(&files->at[k].content), &why);
		if (r == 0) {
			r = endorsements_import_set(i, e, files->at[k].name);
		} else if (r == -EBADMSG || r == -EMSGSIZE) {
			if (!files->at[k].from_folder)
				break;
			terminal_note("%s: %s; left out", files->at[k].name, why);
			i->left_out++;
			r = 0;
		}
	}
	if (files)
		evidence_files_done(files);
	return r;
}

/* Another store, or its bundle. */
static int import_store(struct endorsements_import *i, const char *path)
{
	CLEANUP(endorsement_store_freep) struct endorsement_store *s = NULL;
	const struct endorsement_entry *e;
	const char *problem;
	int r;

	r = endorsement_store_new(&s);
	if (r == 0)
		r = endorsement_store_read(s, path);
	for (size_t k = 0; r == 0 && (problem = endorsement_store_problem(s, k)); k++) {
		terminal_warning("%s; left out", problem);
		i->left_out++;
	}
	for (size_t k = 0; r == 0 && (e = endorsement_store_at(s, k)); k++)
		r = import_one(i, &e->item, e->name);
	return r;
}

static int import_path(struct endorsements_import *i, const char *path)
{
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return failed(path, neg_errno());
	r = import_files(i, path);
	if (r == 0 && S_ISDIR(st.st_mode))
		r = import_store(i, path);
	else if (r == -EBADMSG)
		r = import_store(i, path);
	return r < 0 ? failed(path, r) : 0;
}

struct options {
	const char *store, *at;
	bool json;
};

static int read_options(const struct command *c, int argc, char **argv, struct options *ret)
{
	static const struct option options[] = {
		{ "store", required_argument, NULL, 's' }, { "at", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },	   { "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int o;

	*ret = (struct options){ .store = ENDORSEMENTS_STORE_DEFAULT };
	while ((o = getopt_long(argc, argv, "s:t:jh", options, NULL)) != -1) {
		if (o == 's')
			ret->store = optarg;
		else if (o == 't')
			ret->at = optarg;
		else if (o == 'j')
			ret->json = true;
		else
			return command_other_option(c, o);
	}
	return -1;
}

static int run_import(const struct command *c, int argc, char **argv)
{
	struct endorsements_import i = { 0 };
	struct options q;
	int64_t now;
	int status = read_options(c, argc, argv, &q), r = 0;

	if (status >= 0)
		return status;
	if (!argv[optind])
		return command_wrong_use(c, "which endorsements? One file or folder, or more");
	if (endorsements_time(q.at, &now) < 0)
		return command_wrong_use(c, "--at takes " QUANTITY_INSTANT);
	if (endorsements_import_begin(&i, q.store, now) < 0)
		return EXIT_ENVIRONMENT;
	for (char **path = argv + optind; r == 0 && *path; path++)
		r = import_path(&i, *path);
	if (r == -EBADMSG)
		status = EXIT_JUDGED_BAD;
	else
		status = r < 0 ? EXIT_ENVIRONMENT : EXIT_GOOD;
	if (status == EXIT_GOOD && q.json)
		status = output_json(json_pack("{s:s, s:I, s:I, s:I}", "store", q.store, "added",
					       (json_int_t)i.added, "known", (json_int_t)i.known,
					       "left_out", (json_int_t)i.left_out),
				     status);
	else if (status == EXIT_GOOD)
		printf("%zu added, %zu known already, %zu left out\n", i.added, i.known,
		       i.left_out);
	endorsements_import_done(&i);
	return status;
}

static json_t *hex_json(const uint8_t *bytes, size_t len)
{
	char hex[2 * ENDORSEMENT_CHIP_MAX + 1];

	if (len == 0)
		return json_null();
	hex_encode(bytes, len, hex);
	return json_string(hex);
}

static json_t *time_json(const struct endorsement_key *k, int64_t t)
{
	char text[TIME_TEXT_MAX];

	return k->from == 0 && k->until == 0 ? json_null() : json_string(time_text(t, text));
}

static json_t *entry_json(struct endorsement_store *s, const struct endorsement_entry *e,
			  int64_t now)
{
	const struct endorsement_key *k = &e->key;

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:s}", "platform", k->platform,
			 "what", k->what, "chip", hex_json(k->chip, k->chip_len), "tcb",
			 hex_json(k->tcb, k->tcb_len), "from", time_json(k, k->from), "until",
			 time_json(k, k->until), "state",
			 endorsement_state_name(endorsement_state(s, e, now)), "file", e->name);
}

static void print_entry(const json_t *e)
{
	const char *chip = json_string_value(json_object_get(e, "chip"));
	const char *tcb = json_string_value(json_object_get(e, "tcb"));
	const char *until = json_string_value(json_object_get(e, "until"));

	printf("%-8s %-44s %-13s %s%s%.16s%s%s%s\n",
	       json_string_value(json_object_get(e, "platform")),
	       json_string_value(json_object_get(e, "what")),
	       json_string_value(json_object_get(e, "state")), until ? until : "-",
	       chip ? "  chip " : "", chip ? chip : "", chip && strlen(chip) > 16 ? "..." : "",
	       tcb ? "  tcb " : "", tcb ? tcb : "");
}

/* The entries, all or those that need a look, and what was left out. */
static int show(const struct command *c, int argc, char **argv, bool check)
{
	CLEANUP(endorsement_store_freep) struct endorsement_store *s = NULL;
	json_t *entries = json_array(), *problems = json_array(), *all;
	const struct endorsement_entry *e;
	const char *problem;
	struct options q;
	size_t i, bad = 0;
	json_t *one;
	int64_t now;
	int status = read_options(c, argc, argv, &q);

	if (status < 0 && argv[optind])
		status = command_wrong_use(c, "'%s' is not understood", argv[optind]);
	else if (status < 0 && endorsements_time(q.at, &now) < 0)
		status = command_wrong_use(c, "--at takes " QUANTITY_INSTANT);
	else if (status < 0 && endorsements_open(q.store, &s) < 0)
		status = EXIT_ENVIRONMENT;
	if (status >= 0) {
		json_decref(entries);
		json_decref(problems);
		return status;
	}
	for (i = 0; (e = endorsement_store_at(s, i)); i++) {
		enum endorsement_state state = endorsement_state(s, e, now);

		bad += state == ENDORSEMENT_NOT_YET || state == ENDORSEMENT_EXPIRED;
		if (!check || state != ENDORSEMENT_IN_FORCE)
			json_array_append_new(entries, entry_json(s, e, now));
	}
	for (i = 0; (problem = endorsement_store_problem(s, i)); i++)
		json_array_append_new(problems, json_string(problem));
	status = check && bad + i > 0 ? EXIT_JUDGED_BAD : EXIT_GOOD;
	if (q.json) {
		all = json_pack("{s:s, s:I, s:o, s:o}", "store", q.store, "count",
				(json_int_t)endorsement_store_count(s), "endorsements", entries,
				"problems", problems);
		return output_json(all, status);
	}
	json_array_foreach(entries, i, one)
		print_entry(one);
	json_array_foreach(problems, i, one)
		terminal_warning("%s", json_string_value(one));
	if (check)
		printf("%zu endorsements, %zu out of force, %zu damaged\n",
		       endorsement_store_count(s), bad, json_array_size(problems));
	json_decref(entries);
	json_decref(problems);
	return status;
}

static int run_list(const struct command *c, int argc, char **argv)
{
	return show(c, argc, argv, false);
}

static int run_check(const struct command *c, int argc, char **argv)
{
	return show(c, argc, argv, true);
}

#define SHARED_HELP                                                                                \
	ENDORSEMENTS_STORE_HELP                                                                    \
	"  -t, --at TIME           as of then (2026-03-20T00:00:00Z); else: now\n"                 \
	"  -j, --json              as one JSON object\n"

const struct command command_endorsements_import = {
	.name = "endorsements import",
	.arguments = "PATH... [--store DIRECTORY] [--at TIME] [--json]",
	.summary = "Put what makers say of their chips into the store",
	.options = "Certificates, revocation lists, TCB info, QE identity; in files, in folders, in\n"
		   "another store or a tar file of one. What a file is its bytes say, not its "
		   "name.\n"
		   "Nothing is believed by being there: evidence is judged by who signed it.\n"
		   "A revocation list that is out of force is left out.\n\n" SHARED_HELP,
	.run = run_import,
};

const struct command command_endorsements_list = {
	.name = "endorsements list",
	.arguments = "[--store PATH] [--at TIME] [--json]",
	.summary = "What is in the store, for which chip and TCB, until when",
	.options = SHARED_HELP,
	.run = run_list,
};

const struct command command_endorsements_check = {
	.name = "endorsements check",
	.arguments = "[--store PATH] [--at TIME] [--json]",
	.summary = "What in the store is damaged or out of force",
	.options = "Exit status 1 if anything is, other than what a newer one of its kind "
		   "replaces.\n\n" SHARED_HELP,
	.run = run_check,
};
