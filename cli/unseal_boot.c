/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "boot_key_options.h"
#include "cleanup.h"
#include "command.h"
#include "terminal.h"

/* Only what the limit says is read. */
static int read_sealed(const char *path, struct bytes *ret)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? neg_errno() : bytes_read_fd(ret, fd);

	if (r < 0)
		terminal_error("%s: %s", path, strerror(-r));
	return r;
}

static int unseal(const struct boot_key_request *q)
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
		return boot_key_failed(r, q->sealed ? q->sealed : "the key was not opened", why);
	/* Before the key is out: what reads it may take as long as it likes. */
	if (!q->leave_open) {
		r = boot_key_close(q->tcti, why, sizeof(why));
		if (r < 0)
			return boot_key_failed(r, "the key is kept", why);
	}
	return boot_key_write(q->out, secret_view(&key));
}

static int run_unseal(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		BOOT_KEY_OPTIONS,
		{ "leave-open", no_argument, NULL, BOOT_KEY_LEAVE_OPEN },
		{ 0 },
	};
	struct boot_key_request q = { .bank = HASH_SHA256 };
	int o, r;

	while ((o = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		r = boot_key_option(&q, o);
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
	return boot_key_with_heap(unseal, &q);
}

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
		"  -o, --output FILE     the key goes there\n" BOOT_KEY_TPM_HELP,
	.run = run_unseal,
};
