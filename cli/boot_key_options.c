/* SPDX-License-Identifier: Apache-2.0 */
#include "boot_key_options.h"

#include <string.h>

#include "command.h"
#include "output.h"
#include "terminal.h"

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
int boot_key_option(struct boot_key_request *q, int option)
{
	switch (option) {
	case BOOT_KEY_BANK:
		q->bank = hash_by_name(optarg);
		if (q->bank != HASH_NONE)
			return 1;
		terminal_error("--bank: expected sha256, sha384 and so on, found '%s'", optarg);
		return -EINVAL;
	case BOOT_KEY_PCRS:
		if (read_pcrs(optarg, &q->pcrs) == 0)
			return 1;
		terminal_error("--pcrs: expected numbers from 0 to %d with commas, found '%s'",
			       BOOT_PCRS - 1, optarg);
		return -EINVAL;
	case BOOT_KEY_HANDLE:
		if (read_handle(optarg, &q->handle) == 0)
			return 1;
		terminal_error("--handle: expected 0x%08x to 0x%08x, found '%s'",
			       BOOT_KEY_HANDLE_FIRST, BOOT_KEY_HANDLE_LAST, optarg);
		return -EINVAL;
	case BOOT_KEY_TCTI:
		q->tcti = optarg;
		return 1;
	case BOOT_KEY_KEY:
		q->key = optarg;
		return 1;
	case BOOT_KEY_LEAVE_OPEN:
		q->leave_open = true;
		return 1;
	case 'o':
		q->out = optarg;
		return 1;
	default:
		return 0;
	}
}

int boot_key_failed(int r, const char *what, const char *why)
{
	terminal_error("%s: %s", what, *why ? why : strerror(-r));
	return EXIT_ENVIRONMENT;
}

int boot_key_write(const char *path, struct view content)
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

int boot_key_with_heap(int (*work)(const struct boot_key_request *q),
		       const struct boot_key_request *q)
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
