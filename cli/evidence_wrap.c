/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cmw.h"
#include "command.h"
#include "evidence_files.h"
#include "output.h"
#include "terminal.h"

/*
 * Files of evidence as a CMW: what `assay evidence verify`, and other verifiers, take in one piece.
 * A report that Linux gives out by configfs-tsm goes in as what that gave; the rest has no media
 * type of its own.
 */

#define OCTET_STREAM 42 /* CoAP content format, RFC 7252, 12.3 */
#define ARENA_MAX    (1024 * 1024)

CLEANUP_FUNCTION(struct arena *, arena_free)
CLEANUP_FUNCTION(struct endorsements *, endorsements_free)

struct work {
	struct evidence_files files;
	struct bytes
		inner[CMW_MESSAGES_MAX]; /* of the message: what configfs-tsm would have given */
	struct cmw_message messages[CMW_MESSAGES_MAX];
	struct bytes made;
};

static void work_free(struct work *w)
{
	if (!w)
		return;
	evidence_files_done(&w->files);
	for (size_t i = 0; i < CMW_MESSAGES_MAX; i++)
		bytes_done(&w->inner[i]);
	bytes_done(&w->made);
	free(w);
}

CLEANUP_FUNCTION(struct work *, work_free)

static int failed(const char *name, int r)
{
	terminal_error("%s: %s", name,
		       r == -EMSGSIZE ? "more than a CMW holds, of 1 MiB" : strerror(-r));
	return EXIT_ENVIRONMENT;
}

/* The provider that would have given this report; NULL: none, or it is no bare report. */
static int provider_of(const struct evidence_file *file, const char **ret)
{
	CLEANUP(arena_freep) struct arena *arena = NULL;
	struct evidence_alone in = { .files = file, .n_files = 1 };
	struct evidence_found found;
	struct tsm_report t;
	const char *why;
	int r;

	*ret = NULL;
	if (tsm_report_read(file->bytes, &t) == 0)
		return 0;
	r = arena_new(ARENA_MAX, &arena);
	if (r == 0)
		r = evidence_detect(&in, arena, &found, &why);
	if (r == 0)
		*ret = evidence_provider(found.ops->platform);
	return r == -ENOMEM ? r : 0;
}

static int describe(struct work *w, size_t i)
{
	struct evidence_file file = { w->files.at[i].name, bytes_view(&w->files.at[i].content) };
	const char *slash = strrchr(file.name, '/'), *provider;
	struct cmw_message *m = &w->messages[i];
	struct tsm_report t = { .outblob = file.bytes };
	int r;

	*m = (struct cmw_message){
		.label = view_text(slash ? slash + 1 : file.name),
		.format = OCTET_STREAM,
		.value = file.bytes,
		.indicator = w->files.at[i].is_endorsement ? CMW_ENDORSEMENTS : CMW_EVIDENCE,
	};
	r = w->files.at[i].is_report ? provider_of(&file, &provider) : 0;
	if (r < 0 || !w->files.at[i].is_report)
		return r;
	if (provider) {
		t.provider = view_text(provider);
		w->inner[i] = BYTES_INIT(CMW_BYTES_MAX);
		r = tsm_report_write(&w->inner[i], &t);
		m->value = bytes_view(&w->inner[i]);
	}
	if (provider || tsm_report_read(file.bytes, &t) == 0)
		m->type = view_text(TSM_REPORT_MEDIA_TYPE);
	return r;
}

/* NULL, or why these files are not to be wrapped. */
static const char *fault_of(const struct work *w, size_t *ret_at)
{
	struct cmw_message m[CMW_MESSAGES_MAX];
	const char *why;
	size_t n;

	for (size_t i = 0; i < w->files.n; i++) {
		*ret_at = i;
		if (cmw_read(bytes_view(&w->files.at[i].content), m, &n, &why) == 0)
			return "a CMW already";
		for (size_t k = 0; k < i; k++) {
			if (view_equal(w->messages[i].label, w->messages[k].label))
				return "another file has this name: they would be one";
		}
	}
	return NULL;
}

static int wrap(struct work *w, const char *out)
{
	struct output o = OUTPUT_NONE;
	int r;

	w->made = BYTES_INIT(CMW_BYTES_MAX);
	r = w->files.n == 1 ? cmw_write(&w->made, w->messages)
			    : cmw_write_collection(&w->made, w->messages, w->files.n);
	if (r == 0)
		r = output_open(out, &o);
	if (r == 0)
		r = output_write(&o, w->made.data, w->made.len);
	if (r == 0)
		r = output_commit(&o);
	output_done(&o);
	return r < 0 ? failed(out ? out : "the CMW", r) : EXIT_GOOD;
}

static int load(const struct command *c, struct work *w, char **paths)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	size_t reports = 0, at = 0;
	const char *fault;
	int r = 0;

	for (; *paths; paths++) {
		if (evidence_files_add(&w->files, *paths) < 0)
			return EXIT_ENVIRONMENT;
	}
	if (w->files.n > CMW_MESSAGES_MAX)
		return command_wrong_use(c, "at most %d files", CMW_MESSAGES_MAX);
	r = evidence_files_find_reports(&w->files, NULL, &reports);
	if (r == 0)
		r = endorsements_new(&e);
	if (r == 0)
		r = evidence_files_endorse(&w->files, true, e);
	for (size_t i = 0; r == 0 && i < w->files.n; i++)
		r = describe(w, i);
	if (r < 0)
		return failed("the CMW", r);
	fault = fault_of(w, &at);
	if (fault)
		return command_wrong_use(c, "%s: %s", w->files.at[at].name, fault);
	if (reports == 0) {
		terminal_error("%s", "no evidence that is known among these files");
		return EXIT_JUDGED_BAD;
	}
	return EXIT_GOOD;
}

static int run_wrap(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "out", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	CLEANUP(work_freep) struct work *w = NULL;
	const char *out = NULL;
	int o, status;

	while ((o = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		if (o != 'o')
			return command_other_option(c, o);
		out = optarg;
	}
	if (!argv[optind])
		return command_wrong_use(c, "which evidence? One file or folder, or more");
	w = calloc(1, sizeof(*w));
	if (!w)
		return failed("the CMW", -ENOMEM);
	status = load(c, w, argv + optind);
	return status == EXIT_GOOD ? wrap(w, out) : status;
}

const struct command command_evidence_wrap = {
	.name = "evidence wrap",
	.arguments = "FILE... [-o OUT.cmw]",
	.summary = "Put evidence into a RATS Conceptual Message Wrapper (" CMW_MEDIA_TYPE ")",
	.options =
		"One file becomes a record; several, or the files of a folder, a collection by "
		"their names.\n"
		"Nothing is checked, and nothing is protected: it is read by assay evidence show "
		"and verify.\n\n"
		"  -o, --out FILE        the wrapper; else: standard output\n",
	.run = run_wrap,
};
