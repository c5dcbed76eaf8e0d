/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "boot_key_options.h"
#include "cleanup.h"
#include "command.h"
#include "terminal.h"

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

/* Those that were asked for, or the ones that the files decide. */
static int choose(const struct boot_key_request *q, struct boot_values *v)
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

static int seal(const struct boot_key_request *q)
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
		return boot_key_failed(r, "the key was not sealed", why);
	status = q->out ? boot_key_write(q->out, bytes_view(&file)) : EXIT_GOOD;
	if (status == EXIT_GOOD)
		note_sealed(&v);
	return status;
}

static int run_seal(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		BOOT_FILES_OPTIONS,
		BOOT_KEY_OPTIONS,
		{ "key", required_argument, NULL, BOOT_KEY_KEY },
		{ 0 },
	};
	struct boot_key_request q = { .bank = HASH_SHA256 };
	int o, r;

	while ((o = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		r = boot_files_option(&q.files, o, optarg);
		if (r == 0)
			r = boot_key_option(&q, o);
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
	return boot_key_with_heap(seal, &q);
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
		"      --bank NAME       of the PCRs, sha256 where this is not "
		"given\n" BOOT_KEY_TPM_HELP,
	.run = run_seal,
};
