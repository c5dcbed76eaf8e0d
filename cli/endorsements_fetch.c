/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "cleanup.h"
#include "command.h"
#include "endorsement_urls.h"
#include "endorsements.h"
#include "evidence_files.h"
#include "fetch.h"
#include "output.h"
#include "quantity.h"
#include "terminal.h"

#define ARENA_MAX	 (4 * 1024 * 1024)
#define MAX_WAIT_DEFAULT 120
#define MAX_WAIT_MAX	 86400

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)
CLEANUP_FUNCTION(struct arena *, arena_free)
CLEANUP_FUNCTION(struct fetch *, fetch_free)

/* What makers serve for the chips of this evidence, into the store. */
struct request {
	struct endorsement_services services;
	struct fetch_config config;
	const char *store, *platform;
	bool json, dry_run;
};

struct work {
	const struct request *request;
	struct fetch *fetch;
	struct endorsements_import import;
	json_t *urls; /* an object by URL: what became of it */
	int status;
};

static int64_t now(void)
{
	return time(NULL);
}

static void wait(unsigned int seconds)
{
	terminal_note("the service asks for patience: waiting %u s", seconds);
	while (seconds > 0)
		seconds = sleep(seconds);
}

static void note(struct work *w, const char *url, const char *what)
{
	json_object_set_new(w->urls, url, json_string(what));
}

/* All of it is in force: what is only kept because it is fresh may have ended meanwhile. */
static bool all_in_force(const struct endorsements *e, int64_t at)
{
	struct endorsement_key key;
	const char *why;

	for (size_t i = 0; i < endorsements_count(e); i++) {
		if (endorsement_key_read(endorsements_at(e, i), &key, &why) == 0 &&
		    (key.from != 0 || key.until != 0) && at > key.until)
			return false;
	}
	return true;
}

static int read_answer(const struct fetched *got, struct endorsements **ret, const char **ret_why)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	int r;

	r = endorsements_new(&e);
	if (r == 0)
		r = endorsements_add(e, bytes_view(&got->body), ret_why);
	if (r == 0 && got->chain.len > 0)
		r = endorsements_add(e, bytes_view(&got->chain), ret_why);
	if (r < 0)
		return r;
	*ret = TAKE(e);
	return 0;
}

/* From the cache, unless what is in it has ended or is no endorsement. */
static int get(struct work *w, const char *url, struct endorsements **ret, bool *ret_cached)
{
	struct fetched got;
	const char *why = "";
	int r;

	for (int again = 0; again < 2; again++) {
		r = fetch_get(w->fetch, url, again, &got);
		if (r < 0) {
			why = fetch_why(w->fetch);
			break;
		}
		*ret_cached = got.from_cache;
		r = read_answer(&got, ret, &why);
		fetched_done(&got);
		if (!*ret_cached || (r == 0 && all_in_force(*ret, w->import.now)))
			break;
		if (r == 0) {
			endorsements_free(*ret);
			*ret = NULL;
		}
		r = -EBADMSG;
	}
	if (r < 0) {
		terminal_error("%s: %s", url, *why ? why : strerror(-r));
		note(w, url, *why ? why : strerror(-r));
	}
	return r;
}

static void fetch_url(struct work *w, const char *url)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	bool cached = false;

	if (json_object_get(w->urls, url))
		return; /* of several reports */
	if (w->request->dry_run) {
		note(w, url, "not asked");
		return;
	}
	if (get(w, url, &e, &cached) < 0 || endorsements_import_set(&w->import, e, url) < 0) {
		w->status = EXIT_ENVIRONMENT;
		return;
	}
	note(w, url, cached ? "from the cache" : "fetched");
}

static int fetch_for(struct work *w, const struct evidence_file *files, size_t n)
{
	CLEANUP(arena_freep) struct arena *arena = NULL;
	struct evidence_alone in = { .platform = w->request->platform,
				     .files = files,
				     .n_files = n };
	struct evidence_found found;
	struct endorsement_urls urls;
	const char *why = "no evidence that is known";
	int r;

	r = arena_new(ARENA_MAX, &arena);
	if (r == 0)
		r = evidence_detect(&in, arena, &found, &why);
	if (r == 0)
		r = endorsement_urls(&w->request->services, found.ops->platform, &found.report,
				     &urls, &why);
	if (r < 0) {
		terminal_error("%s: %s", files[0].name, r == -ENOMEM ? strerror(-r) : why);
		return r;
	}
	for (size_t i = 0; i < urls.n; i++)
		fetch_url(w, urls.at[i]);
	return 0;
}

static int fetch_all(struct work *w, char **paths)
{
	CLEANUP(cleanup_mem) struct evidence_files *files = calloc(1, sizeof(*files));
	CLEANUP(cleanup_mem)
	struct evidence_file *of = calloc(EVIDENCE_FILES_MAX, sizeof(*of));
	size_t n_reports = 0;
	int r = files && of ? 0 : -ENOMEM;

	for (; r == 0 && *paths; paths++)
		r = evidence_files_add(files, *paths);
	if (r == 0)
		r = evidence_files_find_reports(files, w->request->platform, &n_reports);
	if (r < 0)
		w->status = EXIT_ENVIRONMENT;
	else if (n_reports == 0) {
		terminal_error("%s", "no evidence among these files");
		w->status = EXIT_JUDGED_BAD;
	}
	for (size_t i = 0; r == 0 && i < files->n; i++) {
		if (files->at[i].is_report &&
		    fetch_for(w, of, evidence_files_of(files, i, of)) < 0 &&
		    w->status == EXIT_GOOD)
			w->status = EXIT_JUDGED_BAD;
	}
	if (files)
		evidence_files_done(files);
	return w->status;
}

static int report(struct work *w)
{
	const char *url;
	json_t *what;

	if (w->request->json)
		return output_json(json_pack("{s:s, s:O, s:I, s:I, s:I}", "store",
					     w->request->store, "urls", w->urls, "added",
					     (json_int_t)w->import.added, "known",
					     (json_int_t)w->import.known, "left_out",
					     (json_int_t)w->import.left_out),
				   w->status);
	json_object_foreach(w->urls, url, what)
		printf("%s: %s\n", url, json_string_value(what));
	printf("%zu added, %zu known already, %zu left out\n", w->import.added, w->import.known,
	       w->import.left_out);
	return w->status;
}

enum { OPTION_KDS = 256, OPTION_PCS, OPTION_ROOT, OPTION_CSV, OPTION_HTTP, OPTION_CA, OPTION_WAIT };

static int read_request(const struct command *c, int argc, char **argv, struct request *q)
{
	static const struct option options[] = {
		{ "store", required_argument, NULL, 's' },
		{ "cache", required_argument, NULL, 'c' },
		{ "platform", required_argument, NULL, 'p' },
		{ "amd-kds", required_argument, NULL, OPTION_KDS },
		{ "intel-pcs", required_argument, NULL, OPTION_PCS },
		{ "intel-root-crl", required_argument, NULL, OPTION_ROOT },
		{ "hygon-kds", required_argument, NULL, OPTION_CSV },
		{ "ca", required_argument, NULL, OPTION_CA },
		{ "allow-http", no_argument, NULL, OPTION_HTTP },
		{ "max-wait", required_argument, NULL, OPTION_WAIT },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const struct {
		int option;
		const char **to;
	} texts[] = {
		{ 's', &q->store },
		{ 'c', &q->config.cache },
		{ 'p', &q->platform },
		{ OPTION_KDS, &q->services.amd_kds },
		{ OPTION_PCS, &q->services.intel_pcs },
		{ OPTION_ROOT, &q->services.intel_root_crl },
		{ OPTION_CSV, &q->services.hygon_kds },
		{ OPTION_CA, &q->config.ca },
	};
	uint64_t seconds;
	int o;

	while ((o = getopt_long(argc, argv, "s:c:p:njh", options, NULL)) != -1) {
		bool known = o == 'n' || o == 'j' || o == OPTION_HTTP || o == OPTION_WAIT;

		for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
			if (texts[i].option != o)
				continue;
			*texts[i].to = optarg;
			known = true;
		}
		if (!known)
			return command_other_option(c, o);
		q->dry_run |= o == 'n';
		q->json |= o == 'j';
		q->config.allow_http |= o == OPTION_HTTP;
		if (o != OPTION_WAIT)
			continue;
		seconds = 0;
		if (strcmp(optarg, "0") != 0 && command_number(optarg, MAX_WAIT_MAX, &seconds) < 0)
			return command_wrong_use(c, "--max-wait takes seconds, at most %d",
						 MAX_WAIT_MAX);
		q->config.max_wait = (unsigned int)seconds;
	}
	return -1;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct request q = {
		.services = endorsement_services_public,
		.config = { .max_wait = MAX_WAIT_DEFAULT, .now = now, .wait = wait },
		.store = ENDORSEMENTS_STORE_DEFAULT,
	};
	CLEANUP(fetch_freep) struct fetch *f = NULL;
	struct work w = { .request = &q, .status = EXIT_GOOD };
	int status = read_request(c, argc, argv, &q);

	if (status >= 0)
		return status;
	if (!argv[optind])
		return command_wrong_use(c, "for which evidence? One file or folder, or more");
	if (q.platform && !evidence_find(q.platform))
		return command_wrong_use(c, "there is no platform '%s'", q.platform);
	if (fetch_new(&q.config, &f) < 0) {
		terminal_error("%s", strerror(ENOMEM));
		return EXIT_ENVIRONMENT;
	}
	w.fetch = f;
	if (endorsements_import_begin(&w.import, q.store, now()) < 0)
		return EXIT_ENVIRONMENT;
	w.urls = json_object();
	if (w.urls)
		fetch_all(&w, argv + optind);
	status = w.urls ? report(&w) : EXIT_ENVIRONMENT;
	json_decref(w.urls);
	endorsements_import_done(&w.import);
	return status;
}

const struct command command_endorsements_fetch = {
	.name = "endorsements fetch",
	.arguments = "EVIDENCE... [--store DIRECTORY] [--cache DIRECTORY] [--dry-run] [--json] ...",
	.summary = "Get what makers serve for the chips of this evidence, into the store",
	.options =
		"Asks AMD's KDS, Intel's PCS or Hygon's KDS, over HTTPS. An answer in the cache is "
		"used for\n"
		"as long as the service said, a day at most, and never past the end of what is in "
		"it.\n\n" ENDORSEMENTS_STORE_HELP
		"  -c, --cache DIRECTORY   keep answers there\n"
		"  -p, --platform NAME     the evidence is of this platform and no other\n"
		"      --amd-kds URL       instead of AMD's own; so too --intel-pcs, "
		"--intel-root-crl,\n"
		"                          --hygon-kds: addresses without a slash at the end\n"
		"      --ca FILE           CAs of these services, PEM; else: the system's\n"
		"      --allow-http        take http: addresses as well\n"
		"      --max-wait SECONDS  wait so long in all where a service asks for it; 120\n"
		"  -n, --dry-run           print the addresses, ask nothing\n"
		"  -j, --json              as one JSON object\n",
	.run = run,
};
