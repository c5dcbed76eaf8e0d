/* SPDX-License-Identifier: Apache-2.0 */
#include "boot_key.h"

#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "boot_files.h"
#include "cleanup.h"
#include "command.h"
#include "output.h"
#include "terminal.h"

/* Of both commands. */
struct request {
	struct boot_files files;
	enum hash_alg bank;
	uint32_t pcrs, handle; /* 0: not given */
	const char *tcti, *key, *sealed, *out;
	bool leave_open;
};

enum {
	OPTION_BANK = BOOT_FILES_OTHER,
	OPTION_PCRS,
	OPTION_HANDLE,
	OPTION_TCTI,
	OPTION_KEY,
	OPTION_LEAVE_OPEN
};

#define TPM_OPTIONS                                                                                \
	{ "bank", required_argument, NULL, OPTION_BANK },                                          \
		{ "pcrs", required_argument, NULL, OPTION_PCRS },                                  \
		{ "handle", required_argument, NULL, OPTION_HANDLE },                              \
		{ "tcti", required_argument, NULL, OPTION_TCTI },                                  \
		{ "output", required_argument, NULL, 'o' },                                        \
	{                                                                                          \
		"help", no_argument, NULL, 'h'                                                     \
	}

#define TPM_HELP "      --tcti TEXT       the TPM, device:/dev/tpmrm0 where this is not given\n"

/* "4,9,11". */
static int read_pcrs(const char *text, uint32_t *ret)
{
	uint32_t pcrs = 0;
	unsigned long n;
	char *end;

	for (;; text = end + 1) {
		if (text[0] < '0' || text[0] > '9')
			return -EINVAL;
		n = strtoul(text, &end, 10);
		if (n >= BOOT_PCRS || (*end && *end != ','))
			return -EINVAL;
		pcrs |= 1u << n;
		if (!*end)
			break;
	}
	*ret = pcrs;
	return 0;
}

static int read_handle(const char *text, uint32_t *ret)
{
	unsigned long n;
	char *end;

	if (strncmp(text, "0x", 2) != 0)
		return -EINVAL;
	errno = 0;
	n = strtoul(text, &end, 16);
	if (errno || *end || n < BOOT_KEY_HANDLE_FIRST || n > BOOT_KEY_HANDLE_LAST)
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

/* 1: taken; 0: another option; -EINVAL: its argument is wrong, and that was said. */
static int read_option(struct request *q, int o)
{
	switch (o) {
	case OPTION_BANK:
		q->bank = hash_by_name(optarg);
		if (q->bank != HASH_NONE)
			return 1;
		terminal_error("--bank: expected sha256, sha384 and so on, found '%s'", optarg);
		return -EINVAL;
	case OPTION_PCRS:
		if (read_pcrs(optarg, &q->pcrs) == 0)
			return 1;
		terminal_error("--pcrs: expected numbers from 0 to %d with commas, found '%s'",
			       BOOT_PCRS - 1, optarg);
		return -EINVAL;
	case OPTION_HANDLE:
		if (read_handle(optarg, &q->handle) == 0)
			return 1;
		terminal_error("--handle: expected 0x%08x to 0x%08x, found '%s'",
			       BOOT_KEY_HANDLE_FIRST, BOOT_KEY_HANDLE_LAST, optarg);
		return -EINVAL;
	case OPTION_TCTI:
		q->tcti = optarg;
		return 1;
	case OPTION_KEY:
		q->key = optarg;
		return 1;
	case OPTION_LEAVE_OPEN:
		q->leave_open = true;
		return 1;
	case 'o':
		q->out = optarg;
		return 1;
	default:
		return 0;
	}
}

static int environment(int r, const char *what, const char *why)
{
	terminal_error("%s: %s", what, *why ? why : strerror(-r));
	return EXIT_ENVIRONMENT;
}

/* The key, all of the file or of standard input ("-"), into memory that is never swapped. */
static int read_key(const char *path, struct secret *ret)
{
	bool input = strcmp(path, "-") == 0;
	CLEANUP(cleanup_fd) int opened = input ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	int fd = input ? STDIN_FILENO : opened, r;
	CLEANUP(secret_done) struct secret room = { 0 };
	size_t len = 0;
	ssize_t n = 1;

	r = fd < 0 ? neg_errno() : secret_new(BOOT_KEY_MAX + 1, &room);
	while (r == 0 && n > 0 && len < room.len) {
		n = read(fd, room.data + len, room.len - len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			r = neg_errno();
		else
			len += (size_t)n;
	}
	if (r == 0 && (len == 0 || len > BOOT_KEY_MAX)) {
		terminal_error("%s: a TPM seals 1 to %d bytes", path, BOOT_KEY_MAX);
		return -EMSGSIZE;
	}
	if (r == 0)
		r = secret_copy(view_of(room.data, len), ret);
	if (r < 0)
		terminal_error("%s: %s", path, strerror(-r));
	return r;
}

static int write_out(const char *path, struct view content)
{
	struct output o = OUTPUT_NONE;
	int r;

	r = output_open(path, &o);
	if (r == 0)
		r = output_write(&o, content.data, content.len);
	if (r == 0)
		r = output_commit(&o);
	output_done(&o);
	if (r < 0)
		terminal_error("%s: %s", path ? path : "standard output", strerror(-r));
	return r < 0 ? EXIT_ENVIRONMENT : EXIT_GOOD;
}

/* Those that were asked for, or the ones that the files decide. */
static int choose(const struct request *q, struct boot_values *v)
{
	uint32_t pcrs = q->pcrs;

	if (!pcrs) {
		pcrs = v->known &
		       (1u << BOOT_PCR_IMAGES | 1u << BOOT_PCR_LINUX | 1u << BOOT_PCR_UNIFIED);
		for (size_t i = 0; i < q->files.n_given; i++)
			pcrs |= v->known & 1u << strtoul(q->files.given[i], NULL, 10);
	}
	/* The door's value is its start value. */
	pcrs &= ~(1u << BOOT_KEY_DOOR);
	for (unsigned int i = 0; i < BOOT_PCRS; i++) {
		if (pcrs & ~v->known & 1u << i) {
			terminal_error("PCR %u is not predicted%s: say --pcr %u=HEX", i,
				       i == BOOT_PCR_IMAGES ? " without --memory" : "", i);
			return EXIT_WRONG_USE;
		}
	}
	v->known &= pcrs;
	return EXIT_GOOD;
}

static void note_sealed(const struct boot_values *v)
{
	char list[4 * BOOT_PCRS] = "";
	size_t len = 0;

	for (unsigned int i = 0; i < BOOT_PCRS; i++) {
		if (v->known >> i & 1)
			len += (size_t)snprintf(list + len, sizeof(list) - len, " %u", i);
	}
	terminal_note("sealed to %s PCR%s, and %d while nobody extended it", hash_name(v->alg),
		      list, BOOT_KEY_DOOR);
}

static int seal(const struct request *q)
{
	CLEANUP(bytes_cleanup) struct bytes file = BYTES_INIT(BOOT_KEY_FILE_MAX);
	CLEANUP(secret_done) struct secret key = { 0 };
	char why[BOOT_KEY_WHY_MAX] = "";
	struct boot_values v;
	int status, r;

	status = boot_files_values(&q->files, q->bank, &v);
	if (status == EXIT_GOOD)
		status = choose(q, &v);
	if (status != EXIT_GOOD)
		return status;
	r = read_key(q->key, &key);
	if (r < 0)
		return r == -EMSGSIZE ? EXIT_WRONG_USE : EXIT_ENVIRONMENT;
	r = boot_key_seal(q->tcti, &v, &key, q->handle, &file, why, sizeof(why));
	if (r < 0)
		return environment(r, "the key was not sealed", why);
	status = q->out ? write_out(q->out, bytes_view(&file)) : EXIT_GOOD;
	if (status == EXIT_GOOD)
		note_sealed(&v);
	return status;
}

/* Only what the limit says is read. */
static int read_sealed(const char *path, struct bytes *ret)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? neg_errno() : bytes_read_fd(ret, fd);

	if (r < 0)
		terminal_error("%s: %s", path, strerror(-r));
	return r;
}

static int unseal(const struct request *q)
{
	CLEANUP(bytes_cleanup) struct bytes file = BYTES_INIT(BOOT_KEY_FILE_MAX);
	CLEANUP(secret_done) struct secret key = { 0 };
	char why[BOOT_KEY_WHY_MAX] = "";
	int r;

	if (q->sealed && read_sealed(q->sealed, &file) < 0)
		return EXIT_ENVIRONMENT;
	if (q->sealed)
		r = boot_key_open(q->tcti, bytes_view(&file), &key, why, sizeof(why));
	else
		r = boot_key_open_at(q->tcti, q->handle, q->bank, q->pcrs, &key, why, sizeof(why));
	if (r == -EKEYREJECTED) {
		terminal_error("%s", why);
		return EXIT_JUDGED_BAD;
	}
	if (r < 0)
		return environment(r, q->sealed ? q->sealed : "the key was not opened", why);
	/* Before the key is out: what reads it may take as long as it likes. */
	if (!q->leave_open) {
		r = boot_key_close(q->tcti, why, sizeof(why));
		if (r < 0)
			return environment(r, "the key is kept", why);
	}
	return write_out(q->out, secret_view(&key));
}

static int with_heap(int (*work)(const struct request *q), const struct request *q)
{
	int r = secret_heap_open(), status;

	if (r < 0) {
		terminal_error("no memory that is never swapped: %s", strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	status = work(q);
	secret_heap_close();
	return status;
}

static int run_seal(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		BOOT_FILES_OPTIONS,
		TPM_OPTIONS,
		{ "key", required_argument, NULL, OPTION_KEY },
		{ 0 },
	};
	struct request q = { .bank = HASH_SHA256 };
	int o, r;

	while ((o = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		r = boot_files_option(&q.files, o, optarg);
		if (r == 0)
			r = read_option(&q, o);
		if (r < 0)
			return EXIT_WRONG_USE;
		if (r == 0)
			return command_other_option(c, o);
	}
	if (optind != argc)
		return command_wrong_use(c, "unexpected argument '%s'", argv[optind]);
	if (boot_files_wrong(&q.files))
		return command_wrong_use(c, "%s", boot_files_wrong(&q.files));
	if (!q.key)
		return command_wrong_use(c, "which key is to be sealed? --key FILE, or - for "
					    "standard input");
	if (!q.out && !q.handle)
		return command_wrong_use(c, "where does it go? -o FILE, --handle, or both");
	return with_heap(seal, &q);
}

static int run_unseal(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		TPM_OPTIONS,
		{ "leave-open", no_argument, NULL, OPTION_LEAVE_OPEN },
		{ 0 },
	};
	struct request q = { .bank = HASH_SHA256 };
	int o, r;

	while ((o = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		r = read_option(&q, o);
		if (r < 0)
			return EXIT_WRONG_USE;
		if (r == 0)
			return command_other_option(c, o);
	}
	if (optind < argc)
		q.sealed = argv[optind++];
	if (optind != argc)
		return command_wrong_use(c, "unexpected argument '%s'", argv[optind]);
	if (!q.sealed == !q.handle)
		return command_wrong_use(c, "which key? A file, or --handle with --pcrs");
	if (q.handle && !q.pcrs)
		return command_wrong_use(c, "--handle needs --pcrs: those that it was sealed to");
	if (q.sealed && q.pcrs)
		return command_wrong_use(c, "the file says which PCRs it was sealed to");
	if (!q.out && isatty(STDOUT_FILENO))
		return command_wrong_use(c, "a key does not go to a terminal: -o FILE, or a pipe");
	return with_heap(unseal, &q);
}

const struct command command_seal_boot = {
	.name = "seal boot",
	.arguments = BOOT_FILES_ARGUMENTS
	" --key FILE [-o FILE] [--handle H] [--pcrs LIST] [--bank NAME] [--tcti TEXT]",
	.summary = "Seal a disk's key to a boot that is predicted from its files",
	.options =
		"The TPM gives the key out after a boot of these files only, to `assay unseal "
		"boot`.\n\n" BOOT_FILES_HELP
		"      --key FILE        the key, at most 128 bytes; - is standard input\n"
		"  -o, --output FILE     what was sealed, for the initrd of this machine\n"
		"      --handle 0x81...  also kept in the TPM, at this persistent handle\n"
		"      --pcrs LIST       to these PCRs, with commas; without it to 4, 9, 11 and\n"
		"                        those of --pcr, as far as they are known\n"
		"      --bank NAME       of the PCRs, sha256 where this is not given\n" TPM_HELP,
	.run = run_seal,
};

const struct command command_unseal_boot = {
	.name = "unseal boot",
	.arguments = "FILE|--handle H --pcrs LIST [--bank NAME] [--leave-open] [-o FILE] [--tcti "
		     "TEXT]",
	.summary = "Have the TPM give a sealed key out, once in a boot",
	.options =
		"The key goes to standard output or FILE. Exit status 1: the machine booted "
		"otherwise.\n\n"
		"      --handle 0x81...  the key that is kept in the TPM there\n"
		"      --pcrs LIST       the PCRs that it was sealed to (not of a file)\n"
		"      --bank NAME       of these PCRs, sha256 where this is not given\n"
		"      --leave-open      do not extend PCR 14, which keeps every sealed key shut\n"
		"                        until the next boot\n"
		"  -o, --output FILE     the key goes there\n" TPM_HELP,
	.run = run_unseal,
};
