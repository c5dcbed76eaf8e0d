/* SPDX-License-Identifier: Apache-2.0 */
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "claims.h"
#include "cleanup.h"
#include "command.h"
#include "output.h"
#include "terminal.h"

CLEANUP_FUNCTION(struct measured *, measured_free)

struct request {
	const char *out;
	const char *root; /* NULL: this system's */
	bool dependencies, policy, json;
};

static void on_progress(void *arg, uint64_t files, uint64_t bytes)
{
	struct progress *p = arg;

	(void)files;
	progress_add(p, bytes - p->done);
}

static int write_file(const char *path, struct view text)
{
	struct output o = OUTPUT_NONE;
	int r;

	r = output_open(path, &o);
	if (r == 0)
		r = output_write(&o, text.data, text.len);
	if (r == 0)
		r = output_commit(&o);
	output_done(&o);
	if (r < 0)
		terminal_error("%s: %s", path ? path : "standard output", strerror(-r));
	return r;
}

/* The file's name if that may name an application, a name to be replaced otherwise. */
static const char *application_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash && application_name_valid(slash + 1))
		return slash + 1;
	return "application";
}

/*
 * Static reference values as they are now; what the rest should be, its owner has to know. A JSON
 * string is a YAML string, whatever is in it.
 */
static int print_policy(const char *path, const char *manifest, const struct measured *m)
{
	json_t *name = json_string(manifest);
	CLEANUP(cleanup_mem) char *quoted = json_dumps(name, JSON_ENCODE_ANY);
	char hex[DIGEST_HEX_MAX];

	json_decref(name);
	if (!quoted) {
		terminal_error("%s: a name that is not UTF-8 does not go into a policy", manifest);
		return EXIT_ENVIRONMENT;
	}
	printf("# A policy to start from. It accepts the %zu files measured:\n"
	       "# M = %s %s.\n"
	       "# Still to be said: the boot values to accept (tpm: pcrs, ek_ca), and the stages.\n"
	       "application: \"%s\"\n"
	       "version: 1\n"
	       "platforms:\n"
	       "  tpm: {}\n"
	       "static: {manifest: %s}\n"
	       "dynamic:\n"
	       "  code:        {files: manifest, modified_text: deny, anonymous: deny}\n"
	       "  environment: {deny: [LD_PRELOAD, LD_AUDIT, LD_LIBRARY_PATH]}\n"
	       "  start_time:  {unchanged: true}\n"
	       "  kernel:      {lost: {max: 0}, foreign_access: deny}\n",
	       m->n_files, hash_name(m->m.alg), digest_hex(&m->m, hex), application_of(path),
	       quoted);
	return EXIT_GOOD;
}

static json_t *measured_json(const struct measured *m)
{
	char hex[DIGEST_HEX_MAX];

	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:s%}", "algorithm", hash_name(m->m.alg), "m",
			 digest_hex(&m->m, hex), "entries", (json_int_t)m->manifest.n, "files",
			 (json_int_t)m->n_files, "bytes", (json_int_t)m->bytes_read, "manifest",
			 (const char *)m->text.data, m->text.len);
}

static int show(const struct request *q, const char *path, const struct measured *m)
{
	char hex[DIGEST_HEX_MAX];

	/* The manifest goes to its file; to standard output only where nothing else does. */
	if ((q->out || !(q->policy || q->json)) && write_file(q->out, bytes_view(&m->text)) < 0)
		return EXIT_ENVIRONMENT;
	terminal_note("%zu files, %" PRIu64 " bytes, M = %s %s", m->n_files, m->bytes_read,
		      hash_name(m->m.alg), digest_hex(&m->m, hex));
	if (q->policy)
		return print_policy(path, q->out, m);
	if (q->json)
		return output_json(measured_json(m), EXIT_GOOD);
	return EXIT_GOOD;
}

/* The way back from another root: the system's own, and where we were in it. */
struct place {
	int root, here;
};

static void place_done(struct place *p)
{
	cleanup_fd(&p->root);
	cleanup_fd(&p->here);
}

/* The tree becomes the system's: its loader's list, its links. */
static int enter_root(const char *root, struct place *ret)
{
	int r;

	ret->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ret->here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ret->root >= 0 && ret->here >= 0 && chroot(root) == 0)
		return 0;
	r = -errno;
	terminal_error("--root %s: %s%s", root, strerror(-r),
		       r == -EPERM ? "; that is for root (CAP_SYS_CHROOT)" : "");
	return r;
}

static int leave_root(const struct place *p)
{
	int r = fchdir(p->root) < 0 || chroot(".") < 0 || fchdir(p->here) < 0 ? -errno : 0;

	if (r < 0)
		terminal_error("back from --root: %s", strerror(-r));
	return r;
}

static int measure(const struct request *q, const char *const *paths, size_t n)
{
	CLEANUP(measured_freep) struct measured *m = NULL;
	CLEANUP(cleanup_mem) char *failed = NULL;
	struct progress progress = { .what = "measure" };
	struct measure_options options = { .dependencies = q->dependencies,
					   .progress = on_progress,
					   .progress_arg = &progress };
	CLEANUP(place_done) struct place own = { -1, -1 };
	int r;

	if (q->root && enter_root(q->root, &own) < 0)
		return EXIT_ENVIRONMENT;
	r = measure_paths(paths, n, &options, &m, &failed);
	progress_end(&progress);
	if (q->root && leave_root(&own) < 0)
		return EXIT_ENVIRONMENT;
	if (r < 0) {
		terminal_error("%s: %s", failed ? failed : paths[0],
			       r == -ESTALE ? "it changed while it was read" : strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	return show(q, paths[0], m);
}

/* Paths as the manifest has them, absolute; but not resolved: a symbolic link is measured as one.
 */
static int measure_given(const struct request *q, char *const *given, size_t n)
{
	char **paths = calloc(n, sizeof(*paths));
	CLEANUP(cleanup_mem) char *here = getcwd(NULL, 0);
	int status = paths && here ? EXIT_GOOD : EXIT_ENVIRONMENT;

	for (size_t i = 0; i < n && status == EXIT_GOOD; i++)
		if (asprintf(&paths[i], "%s%s%s", given[i][0] == '/' ? "" : here,
			     given[i][0] == '/' ? "" : "/", given[i]) < 0)
			status = EXIT_ENVIRONMENT;
	if (status == EXIT_GOOD)
		status = measure(q, (const char *const *)paths, n);
	else
		terminal_error("%s", strerror(ENOMEM));
	for (size_t i = 0; paths && i < n; i++)
		free(paths[i]);
	free(paths);
	return status;
}

static int run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "no-dependencies", no_argument, NULL, 'n' },
		{ "policy", no_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ "output", required_argument, NULL, 'o' },
		{ "root", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct request q = { .dependencies = true };
	int o;

	while ((o = getopt_long(argc, argv, "npjo:r:h", options, NULL)) != -1) {
		if (o == 'n')
			q.dependencies = false;
		else if (o == 'p')
			q.policy = true;
		else if (o == 'j')
			q.json = true;
		else if (o == 'o')
			q.out = optarg;
		else if (o == 'r')
			q.root = optarg;
		else
			return command_other_option(c, o);
	}
	if (optind == argc)
		return command_wrong_use(c, "what is to be measured? Files or directories");
	for (int i = optind; q.root && i < argc; i++)
		if (argv[i][0] != '/')
			return command_wrong_use(c, "paths below --root are absolute");
	if (q.policy && q.json)
		return command_wrong_use(c, "either --policy or --json goes to standard output");
	if (q.out && strcmp(q.out, "-") == 0)
		q.out = NULL;
	if (q.policy && !q.out)
		return command_wrong_use(c,
					 "--policy names the manifest: say with -o where it goes");
	return measure_given(&q, argv + optind, (size_t)(argc - optind));
}

const struct command command_measure = {
	.name = "measure",
	.arguments = "PATH... [--no-dependencies] [--root DIR] [--policy|--json] [-o FILE]",
	.summary =
		"Measure files as assayd does before it starts a program: an mtree manifest and M",
	.options =
		"The manifest goes to standard output or FILE, its digest M to standard error.\n\n"
		"  -n, --no-dependencies without the interpreter and libraries of programs\n"
		"  -o, --output FILE     the manifest goes there\n"
		"  -r, --root DIR        of an image's tree: paths, links and libraries are those "
		"in it\n"
		"  -p, --policy          print a policy to start from, which names FILE\n"
		"  -j, --json            print M, counts and the manifest as one JSON object\n",
	.run = run,
};
