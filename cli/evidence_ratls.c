/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "cleanup.h"
#include "command.h"
#include "output.h"
#include "ratls.h"
#include "terminal.h"

/* A TLS certificate with a report over its key: first what to ask the chip for, then made. */

#define ARENA_MAX    (1024 * 1024)
#define VALUE_MAX    (EVIDENCE_REPORT_MAX + RATLS_CLAIMS_MAX + 64)
#define DAY	     86400
#define DAYS_DEFAULT 30
#define DAYS_MAX     3650

CLEANUP_FUNCTION(struct arena *, arena_free)
CLEANUP_FUNCTION(BIO *, BIO_free)
CLEANUP_FUNCTION(X509 *, X509_free)

struct request {
	const char *key, *report, *out, *nonce;
	uint64_t days;
	bool claims;
};

/* What the extension is made of. */
struct parts {
	EVP_PKEY *key;
	struct bytes nonce, claims, report;
	uint8_t report_data[RATLS_REPORT_DATA];
};

static void parts_done(struct parts *p)
{
	EVP_PKEY_free(p->key);
	bytes_done(&p->nonce);
	bytes_done(&p->claims);
	bytes_done(&p->report);
}

static EVP_PKEY *read_key(const char *path)
{
	CLEANUP(BIO_freep) BIO *bio = BIO_new_file(path, "r");
	EVP_PKEY *key = NULL;

	/* A pass phrase, so that OpenSSL asks nobody for one. */
	if (bio)
		key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"");
	ERR_clear_error();
	return key;
}

static int prepare(const struct request *q, struct parts *p)
{
	int r;

	p->claims = BYTES_INIT(RATLS_CLAIMS_MAX);
	p->key = read_key(q->key);
	if (!p->key) {
		terminal_error("%s: not a private key in PEM without a pass phrase", q->key);
		return EXIT_ENVIRONMENT;
	}
	r = ratls_claims(p->key, bytes_view(&p->nonce), &p->claims);
	if (r == 0)
		r = ratls_report_data(bytes_view(&p->claims), p->report_data);
	if (r < 0) {
		terminal_error("%s: %s", q->key, strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	return EXIT_GOOD;
}

static int print_report_data(const struct parts *p)
{
	char hex[2 * RATLS_REPORT_DATA + 1];

	hex_encode(p->report_data, sizeof(p->report_data), hex);
	return puts(hex) < 0 || fflush(stdout) != 0 ? EXIT_ENVIRONMENT : EXIT_GOOD;
}

/* Of which platform it is, and whether it is over the claims; nothing else is judged. */
static int inspect(const struct request *q, const struct parts *p, struct arena *arena,
		   struct evidence_found *ret)
{
	const struct evidence_file file = { q->report, bytes_view(&p->report) };
	struct evidence_alone in = { .files = &file, .n_files = 1, .now = time(NULL) };
	struct evidence_result result = { 0 };
	struct evidence_found found = { 0 };
	struct appraisal a;
	int r;

	appraisal_init(&a);
	r = evidence_appraise(&in, arena, &a, &found, &result);
	appraisal_done(&a);
	if (r < 0) {
		terminal_error("%s: %s", q->report, strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	if (!found.ops || !result.has_report_data) {
		terminal_error("%s: no report that can be read", q->report);
		return EXIT_JUDGED_BAD;
	}
	if (!view_equal(view_of(result.report_data, result.report_data_len),
			view_of(p->report_data, sizeof(p->report_data)))) {
		terminal_error("%s: not over this key and nonce: see --claims", q->report);
		return EXIT_JUDGED_BAD;
	}
	*ret = found;
	return EXIT_GOOD;
}

static int write_certificate(const char *path, X509 *x)
{
	CLEANUP(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
	struct output out = OUTPUT_NONE;
	char *text;
	long len;
	int r;

	if (!bio || !PEM_write_bio_X509(bio, x))
		return -ENOMEM;
	len = BIO_get_mem_data(bio, &text);
	r = output_open(path, &out);
	if (r == 0)
		r = output_write(&out, text, (size_t)len);
	if (r == 0)
		r = output_commit(&out);
	output_done(&out);
	return r;
}

static int make(const struct request *q, const struct parts *p, const struct evidence_found *found)
{
	const ProtobufCBinaryData *report = &found->report.report;
	CLEANUP(bytes_cleanup) struct bytes value = BYTES_INIT(VALUE_MAX);
	CLEANUP(X509_freep) X509 *x = NULL;
	int64_t now = time(NULL);
	int r;

	r = ratls_extension(found->ops->platform, view_of(report->data, report->len),
			    bytes_view(&p->claims), &value);
	if (r == -ENOTSUP) {
		terminal_error("interoperable RA-TLS has no tag for a report of %s",
			       found->ops->platform);
		return EXIT_JUDGED_BAD;
	}
	if (r == 0)
		r = ratls_certificate(p->key, bytes_view(&value), now, now + (int64_t)q->days * DAY,
				      &x);
	if (r == 0)
		r = write_certificate(q->out, x);
	if (r < 0) {
		terminal_error("%s: %s", q->out ? q->out : "certificate", strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	return EXIT_GOOD;
}

static int make_of_report(const struct request *q, struct parts *p)
{
	CLEANUP(arena_freep) struct arena *arena = NULL;
	CLEANUP(cleanup_fd) int fd = -1;
	struct evidence_found found;
	int r, status;

	p->report = BYTES_INIT(EVIDENCE_REPORT_MAX);
	fd = open(q->report, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? neg_errno() : bytes_read_fd(&p->report, fd);
	if (r == 0)
		r = arena_new(ARENA_MAX, &arena);
	if (r < 0) {
		terminal_error("%s: %s", q->report, strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	status = inspect(q, p, arena, &found);
	return status == EXIT_GOOD ? make(q, p, &found) : status;
}

static int run_ratls(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "key", required_argument, NULL, 'k' },
		{ "report", required_argument, NULL, 'r' },
		{ "out", required_argument, NULL, 'o' },
		{ "nonce", required_argument, NULL, 'n' },
		{ "days", required_argument, NULL, 'd' },
		{ "claims", no_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	CLEANUP(parts_done) struct parts p = { .nonce = BYTES_INIT(RATLS_NONCE_MAX) };
	struct request q = { .days = DAYS_DEFAULT };
	const char **texts[] = {
		['k'] = &q.key, ['n'] = &q.nonce, ['o'] = &q.out, ['r'] = &q.report
	};
	int o, status;

	while ((o = getopt_long(argc, argv, "k:r:o:n:d:ch", options, NULL)) != -1) {
		if (o == 'c')
			q.claims = true;
		else if (o == 'd' && command_number(optarg, DAYS_MAX, &q.days) < 0)
			return command_wrong_use(c, "--days takes a number up to %d", DAYS_MAX);
		else if (o > 0 && (size_t)o < ARRAY_LEN(texts) && texts[o])
			*texts[o] = optarg;
		else if (o != 'd')
			return command_other_option(c, o);
	}
	if (argv[optind])
		return command_wrong_use(c, "what is '%s'?", argv[optind]);
	if (!q.key || q.claims == (q.report != NULL))
		return command_wrong_use(c, "give --key, and either --claims or --report");
	if (q.nonce && (hex_decode(q.nonce, strlen(q.nonce), &p.nonce) < 0 || p.nonce.len == 0))
		return command_wrong_use(c, "--nonce takes hex digits of 1 to 512 bytes");
	status = prepare(&q, &p);
	if (status != EXIT_GOOD)
		return status;
	return q.claims ? print_report_data(&p) : make_of_report(&q, &p);
}

const struct command command_evidence_ratls = {
	.name = "evidence ratls",
	.arguments = "--key KEY.pem {--claims | --report FILE [-o CERT.pem] [--days N]} "
		     "[--nonce HEX]",
	.summary = "Make a TLS certificate that holds a chip's report over its key",
	.options = "First --claims tells what to ask the chip for a report over; then the report "
		   "goes in.\n"
		   "Verified by: assay evidence verify --ratls CERT.pem\n\n"
		   "  -k, --key FILE        the TLS key: private, PEM, no pass phrase\n"
		   "  -c, --claims          print the 64 bytes of report data in hex\n"
		   "  -r, --report FILE     TDX quote, SEV-SNP or CSV report over them\n"
		   "  -o, --out FILE        the certificate; else: standard output\n"
		   "  -n, --nonce HEX       one that the verifier gave; the same both times\n"
		   "  -d, --days N          how long the certificate is in force; else: 30\n",
	.run = run_ratls,
};
