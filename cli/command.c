/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "terminal.h"

int command_other_option(const struct command *c, int option)
{
	if (option != 'h') {
		fprintf(stderr, "See: assay %s --help\n", c->name);
		return EXIT_WRONG_USE;
	}
	printf("Usage: assay %s %s\n\n%s.\n\n%s" COMMAND_HELP_ROW, c->name, c->arguments,
	       c->summary, c->options ? c->options : "");
	return EXIT_GOOD;
}

int command_wrong_use(const struct command *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	terminal_verror(format, args);
	va_end(args);
	fprintf(stderr, "See: assay %s --help\n", c->name);
	return EXIT_WRONG_USE;
}

int command_number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long n;

	/* strtoull takes signs and blanks. */
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || *end || n < 1 || n > max)
		return -EINVAL;
	*ret = n;
	return 0;
}

int command_size(const char *text, uint64_t *ret)
{
	static const struct {
		const char *name;
		int shift;
	} units[] = { { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 } };
	size_t digits = strspn(text, "0123456789");
	char number[24];
	int shift = 0, r;
	uint64_t n;

	if (digits >= sizeof(number))
		return -EINVAL;
	memcpy(number, text, digits);
	number[digits] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (strcmp(text + digits, units[i].name) == 0)
			shift = units[i].shift;
	if (text[digits] && shift == 0)
		return -EINVAL;
	r = command_number(number, INT64_MAX >> shift, &n);
	if (r < 0)
		return r;
	*ret = n << shift;
	return 0;
}

int command_timeout(const char *text, int *ret_ms)
{
	uint64_t n = 0;
	int r;

	if (strcmp(text, "0") != 0) {
		r = command_number(text, 1000000, &n);
		if (r < 0)
			return r;
	}
	*ret_ms = (int)(n * 1000);
	return 0;
}
