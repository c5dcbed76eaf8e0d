/* SPDX-License-Identifier: Apache-2.0 */
#include "socket.h"

#include "terminal.h"

int socket_connect(const char *path, struct assay **ret)
{
	int r;

	r = assay_connect(path, SOCKET_TIMEOUT_MS, ret);
	if (r == 0)
		return EXIT_GOOD;
	if (!path)
		path = secure_getenv(ASSAY_SOCKET_VARIABLE);
	terminal_error("%s: %s", path ? path : ASSAY_SOCKET_DEFAULT,
		       assay_error_text(r == -ENOENT ? -ECONNREFUSED : r));
	return EXIT_ENVIRONMENT;
}

int socket_failed(const struct assay *a, int r)
{
	const char *words = assay_message(a);

	terminal_error("%s%s%s", assay_error_text(r), words[0] ? ": " : "", words);
	return r == -EACCES ? EXIT_JUDGED_BAD : EXIT_ENVIRONMENT;
}
