/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence.h"

#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "command.h"
#include "evidence_files.h"
#include "evidence_report.h"
#include "output.h"
#include "quantity.h"
#include "ratls.h"
#include "terminal.h"

#define ARENA_MAX (4 * 1024 * 1024)

CLEANUP_FUNCTION(struct arena *, arena_free)

/* What was asked for. */
struct request {
	const char *platform, *policy_path, *at, *report_data;
	const char *ratls, *nonce; /* a certificate that the evidence is in */
	const char **endorsement_paths; /* of n_endorsement_paths, lent from argv */
	size_t n_endorsement_paths;
	bool json;
};

/* What it takes to do it. */
struct work {
	const struct request *request;
	struct evidence_files *files;
	size_t n_reports;
	struct endorsements *endorsements;
	struct policy *policy;
	int64_t now;
	uint8_t data[EVIDENCE_DATA];
	size_t data_len;
	struct bytes certificate, nonce; /* of --ratls */
};

static void work_done(struct work *w)
{
	if (w->files)
		evidence_files_done(w->files);
	free(w->files);
	endorsements_free(w->endorsements);
	policy_free(w->policy);
	bytes_done(&w->certificate);
	bytes_done(&w->nonce);
}

static int out_of_memory(void)
{
	terminal_error("%s", strerror(ENOMEM));
	return EXIT_ENVIRONMENT;
}

static int load_files(struct work *w, char **paths)
{
	w->files = calloc(1, sizeof(*w->files));
	if (!w->files)
		return out_of_memory();
	for (; *paths; paths++) {
		if (evidence_files_add(w->files, *paths) < 0)
			return EXIT_ENVIRONMENT;
	}
	if (evidence_files_find_reports(w->files, w->request->platform, &w->n_reports) < 0)
		return out_of_memory();
	return EXIT_GOOD;
}

/* Files of --endorsements must be some; those that lie about in a folder need not. */
static int load_endorsements(struct work *w)
{
	struct evidence_files *given = calloc(1, sizeof(*given));
	int status = EXIT_GOOD;

	if (!given || endorsements_new(&w->endorsements) < 0) {
		free(given);
		return out_of_memory();
	}
	for (size_t i = 0; status == EXIT_GOOD && i < w->request->n_endorsement_paths; i++) {
		if (evidence_files_add(given, w->request->endorsement_paths[i]) < 0)
			status = EXIT_ENVIRONMENT;
	}
	if (status == EXIT_GOOD && (evidence_files_endorse(given, true, w->endorsements) < 0 ||
				    evidence_files_endorse(w->files, false, w->endorsements) < 0))
		status = out_of_memory();
	for (size_t i = 0; status == EXIT_GOOD && i < given->n; i++) {
		if (given->at[i].is_endorsement)
			continue;
		if (given->at[i].from_folder) {
			terminal_note("%s: not an endorsement, left out", given->at[i].name);
			continue;
		}
		terminal_error("%s: not an endorsement that is known", given->at[i].name);
		status = EXIT_WRONG_USE;
	}
	evidence_files_done(given);
	free(given);
	return status;
}

static int load_certificate(struct work *w)
{
	const char *path = w->request->ratls;
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	if (!path)
		return EXIT_GOOD;
	w->certificate = BYTES_INIT(RATLS_CERTIFICATE_MAX);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? neg_errno() : bytes_read_fd(&w->certificate, fd);
	if (r < 0) {
		terminal_error("%s: %s", path, strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	return EXIT_GOOD;
}

static int load_policy(struct work *w)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(POLICY_TEXT_MAX);
	const char *path = w->request->policy_path;
	CLEANUP(cleanup_mem) char *error = NULL;
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	if (!path)
		return EXIT_GOOD;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? neg_errno() : bytes_read_fd(&text, fd);
	if (r < 0) {
		terminal_error("%s: %s", path, strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	r = policy_parse(bytes_view(&text), path, &w->policy, &error);
	if (r < 0) {
		fputs(error ? error : strerror(-r), stderr);
		return EXIT_WRONG_USE;
	}
	return EXIT_GOOD;
}

/* The values that were given as text; *ret_fault says which is wrong. */
static int read_values(struct work *w, const char **ret_fault)
{
	const char *hex = w->request->report_data;
	struct bytes data = BYTES_INIT(EVIDENCE_DATA);
	int r;

	w->now = time(NULL);
	if (w->request->at && quantity_instant(w->request->at, &w->now) < 0) {
		*ret_fault = "--at takes " QUANTITY_INSTANT;
		return -EINVAL;
	}
	w->nonce = BYTES_INIT(RATLS_NONCE_MAX);
	if (w->request->nonce &&
	    (hex_decode(w->request->nonce, strlen(w->request->nonce), &w->nonce) < 0 ||
	     w->nonce.len == 0)) {
		*ret_fault = "--nonce takes hex digits of 1 to 512 bytes";
		return -EINVAL;
	}
	if (!hex)
		return 0;
	r = hex_decode(hex, strlen(hex), &data);
	if (r == 0 && data.len > 0) {
		memcpy(w->data, data.data, data.len);
		w->data_len = data.len;
	} else {
		*ret_fault = "--report-data takes hex digits of 1 to 64 bytes";
		r = -EINVAL;
	}
	bytes_done(&data);
	return r;
}

/* What one piece of evidence is made of. */
struct piece {
	struct evidence_file files[EVIDENCE_FILES_MAX];
	size_t n;
};

/*
 * All files are one piece, if they can be; else each report is one, with the files that go by
 * its name and those that go by no report's.
 */
static int is_one_piece(const struct work *w, struct piece *p, bool *ret)
{
	CLEANUP(arena_freep) struct arena *arena = NULL;
	struct evidence_alone in = { .platform = w->request->platform, .files = p->files };
	struct evidence_found found;
	const char *why;
	int r;

	for (size_t i = 0; i < w->files->n; i++)
		p->files[p->n++] = (struct evidence_file){ w->files->at[i].name,
							   bytes_view(&w->files->at[i].content) };
	in.n_files = p->n;
	r = arena_new(ARENA_MAX, &arena);
	if (r == 0)
		r = evidence_detect(&in, arena, &found, &why);
	if (r == -ENOMEM)
		return r;
	*ret = r != -EEXIST;
	return 0;
}

static int judge(const struct work *w, const struct piece *p, struct arena *arena,
		 struct evidence_judged *j)
{
	struct evidence_alone in = {
		.platform = w->request->platform,
		.files = p->files,
		.n_files = p->n,
		.endorsements = w->endorsements,
		.now = w->now,
		.report_data = view_of(w->data, w->data_len),
		.policy = w->policy,
	};
	int r;

	j->now = w->now;
	j->compared_data = w->data_len > 0 || w->request->ratls;
	j->had_policy = w->policy != NULL;
	if (w->request->ratls) {
		j->name = w->request->ratls;
		return ratls_appraise(&in, j->name, bytes_view(&w->certificate),
				      bytes_view(&w->nonce), arena, &j->a, &j->found, &j->result);
	}
	r = evidence_appraise(&in, arena, &j->a, &j->found, &j->result);
	if (r == 0)
		j->name = p->files[j->found.ops ? j->found.at : 0].name;
	return r;
}

static json_t *shown(const struct work *w, const struct piece *p, struct arena *arena)
{
	struct evidence_alone in = { .platform = w->request->platform,
				     .files = p->files,
				     .n_files = p->n };
	struct evidence_found found;
	const char *why = "its fields cannot be read";
	json_t *fields = NULL;
	int r;

	r = evidence_detect(&in, arena, &found, &why);
	if (r == 0)
		r = found.ops->show ? found.ops->show(&found.report, &fields) : -EBADMSG;
	if (r < 0) {
		terminal_error("%s: %s", p->files[0].name, why);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:o}", "file", p->files[found.at].name, "platform",
			 found.ops->platform, "report", fields);
}

/* Does one piece; its JSON is added to list, or printed for people. */
static int verify_piece(const struct work *w, const struct piece *p, json_t *list)
{
	CLEANUP(arena_freep) struct arena *arena = NULL;
	struct evidence_judged j = { 0 };
	int status = EXIT_ENVIRONMENT, r;

	appraisal_init(&j.a);
	r = arena_new(ARENA_MAX, &arena);
	if (r == 0)
		r = judge(w, p, arena, &j);
	if (r < 0) {
		terminal_error("the evidence could not be judged: %s", strerror(-r));
	} else {
		status = appraisal_accepted(&j.a) ? EXIT_GOOD : EXIT_JUDGED_BAD;
		if (!w->request->json)
			evidence_judged_print(&j);
		else if (json_array_append_new(list, evidence_judged_json(&j)) < 0)
			status = EXIT_ENVIRONMENT;
	}
	appraisal_done(&j.a);
	return status;
}

static int show_piece(const struct work *w, const struct piece *p, json_t *list)
{
	CLEANUP(arena_freep) struct arena *arena = NULL;
	json_t *fields;

	if (arena_new(ARENA_MAX, &arena) < 0)
		return out_of_memory();
	fields = shown(w, p, arena);
	if (!fields)
		return EXIT_JUDGED_BAD;
	if (!w->request->json)
		evidence_fields_print(fields, 0);
	return json_array_append_new(list, fields) < 0 ? EXIT_ENVIRONMENT : EXIT_GOOD;
}

/* Every piece; the status is the worst, and more than one is printed as a list. */
static int do_pieces(const struct work *w,
		     int (*work_on)(const struct work *w, const struct piece *p, json_t *list))
{
	CLEANUP(cleanup_mem) struct piece *p = calloc(1, sizeof(*p));
	json_t *list = json_array(), *one;
	int status = EXIT_GOOD, s;
	bool single;

	if (!p || !list || is_one_piece(w, p, &single) < 0) {
		json_decref(list);
		return out_of_memory();
	}
	if (single)
		status = work_on(w, p, list);
	for (size_t i = 0; !single && i < w->files->n; i++) {
		if (!w->files->at[i].is_report)
			continue;
		p->n = evidence_files_of(w->files, i, p->files);
		s = work_on(w, p, list);
		if (s > status)
			status = s;
		if (!w->request->json)
			putchar('\n');
	}
	if (!w->request->json || json_array_size(list) == 0) {
		json_decref(list);
		return status;
	}
	one = single ? json_incref(json_array_get(list, 0)) : json_pack("{s:O}", "evidence", list);
	json_decref(list);
	return output_json(one, status);
}

static int read_request(const struct command *c, int argc, char **argv, struct request *q)
{
	static const struct option options[] = {
		{ "platform", required_argument, NULL, 'p' },
		{ "endorsements", required_argument, NULL, 'e' },
		{ "at", required_argument, NULL, 't' },
		{ "report-data", required_argument, NULL, 'd' },
		{ "policy", required_argument, NULL, 'P' },
		{ "ratls", required_argument, NULL, 'r' },
		{ "nonce", required_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char **texts[] = { ['p'] = &q->platform,
				 ['t'] = &q->at,
				 ['d'] = &q->report_data,
				 ['P'] = &q->policy_path,
				 ['r'] = &q->ratls,
				 ['n'] = &q->nonce };
	int o;

	while ((o = getopt_long(argc, argv, "p:e:t:d:P:r:n:jh", options, NULL)) != -1) {
		if (o == 'j')
			q->json = true;
		else if (o == 'e')
			q->endorsement_paths[q->n_endorsement_paths++] = optarg;
		else if (o > 0 && (size_t)o < ARRAY_LEN(texts) && texts[o])
			*texts[o] = optarg;
		else
			return command_other_option(c, o);
	}
	return -1;
}

static int verify(const struct command *c, struct request *q, char **paths)
{
	CLEANUP(work_done) struct work w = { .request = q };
	const char *fault;
	int status;

	if (!*paths && !q->ratls)
		return command_wrong_use(c, "which evidence? One file or folder, or more");
	if (q->ratls && q->report_data)
		return command_wrong_use(c, "with --ratls the certificate gives the report data");
	if (q->nonce && !q->ratls)
		return command_wrong_use(c, "--nonce is of a certificate: give --ratls");
	if (q->platform && !evidence_find(q->platform))
		return command_wrong_use(c, "there is no platform '%s'", q->platform);
	if (read_values(&w, &fault) < 0)
		return command_wrong_use(c, "%s", fault);
	status = load_policy(&w);
	if (status == EXIT_GOOD)
		status = load_certificate(&w);
	if (status == EXIT_GOOD)
		status = load_files(&w, paths);
	if (status == EXIT_GOOD)
		status = load_endorsements(&w);
	return status == EXIT_GOOD ? do_pieces(&w, verify_piece) : status;
}

static int run_verify(const struct command *c, int argc, char **argv)
{
	struct request q = { 0 };
	int status;

	/* No more of them than there are words. */
	q.endorsement_paths = calloc((size_t)argc + 1, sizeof(*q.endorsement_paths));
	if (!q.endorsement_paths)
		return out_of_memory();
	status = read_request(c, argc, argv, &q);
	if (status < 0)
		status = verify(c, &q, argv + optind);
	free(q.endorsement_paths);
	return status;
}

static int run_show(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "platform", required_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct request q = { 0 };
	CLEANUP(work_done) struct work w = { .request = &q };
	int o, status;

	while ((o = getopt_long(argc, argv, "p:jh", options, NULL)) != -1) {
		if (o == 'j')
			q.json = true;
		else if (o == 'p')
			q.platform = optarg;
		else
			return command_other_option(c, o);
	}
	if (!argv[optind])
		return command_wrong_use(c, "which evidence? One file or folder, or more");
	if (q.platform && !evidence_find(q.platform))
		return command_wrong_use(c, "there is no platform '%s'", q.platform);
	status = load_files(&w, argv + optind);
	return status == EXIT_GOOD ? do_pieces(&w, show_piece) : status;
}

#define PLATFORM_HELP                                                                              \
	"  -p, --platform NAME     of this platform and no other (tpm, tdx, sev-snp, ...)\n"

const struct command command_evidence_show = {
	.name = "evidence show",
	.arguments = "FILE... [--platform NAME] [--json]",
	.summary = "Decode a chip's report; nothing in it is checked",
	.options = "What a file is its bytes say, not its name. A folder counts as its "
		   "files.\n\n" PLATFORM_HELP "  -j, --json              as one JSON object\n",
	.run = run_show,
};

const struct command command_evidence_verify = {
	.name = "evidence verify",
	.arguments = "FILE...|--ratls CERT [FILE...] [--platform NAME] [--endorsements PATH]... "
		     "[--at TIME] [--report-data HEX] [--nonce HEX] [--policy FILE] [--json]",
	.summary = "Judge a chip's report: genuine or not, accepted or not, and why",
	.options =
		"What a file is its bytes say, not its name. A folder counts as its files. Nothing "
		"is\n"
		"fetched: what the maker says of the chip comes from --endorsements or lies beside "
		"the "
		"report.\n"
		"Of several reports each is judged, with the files that share its name up to the "
		"first "
		"dot\n"
		"and those that share no report's.\n\n" PLATFORM_HELP
		"  -e, --endorsements PATH certificates, revocation lists, TCB info, QE identity\n"
		"  -t, --at TIME           judge as of then (2026-03-20T00:00:00Z); else: now\n"
		"  -d, --report-data HEX   what the report must have been made over\n"
		"  -r, --ratls CERT        the report is in this TLS certificate, and over its key\n"
		"  -n, --nonce HEX         with --ratls: the nonce that its claims must have\n"
		"  -P, --policy FILE       accept what this policy accepts; else: the platform's "
		"default\n"
		"  -j, --json              as one JSON object\n",
	.run = run_verify,
};
