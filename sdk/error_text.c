/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "assay/assay.h"
#include "errors.h"

/* What an error means here, which the system's words for it do not say. */
static const struct {
	int error;
	const char *text;
} texts[] = {
	{ EPERM, "the caller does not belong to an application that assayd started" },
	{ EACCES, "refused" },
	{ ENOENT, "not found: no such secret or file, or no assayd that listens here" },
	{ ECONNREFUSED, "no assayd listens here" },
	{ EAGAIN, "not released yet" },
	{ EBUSY, "assayd still holds too many requests of this connection" },
	{ ENOTCONN, "assayd has no connection to its verifier" },
	{ ECONNRESET, "assayd closed the connection" },
	{ ETIMEDOUT, "no answer in time" },
	{ EBADMSG, "what was read is not genuine: changed, cut, or not under this secret" },
	{ ESTALE, "another block than the one asked for" },
	{ EINVAL, "out of range" },
	{ ERANGE, "stages go one after the other; this is not the next one" },
	{ ENOTSUP, "assayd is not configured to do this for the application" },
	{ ENODATA, "there is no secret in it" },
	{ EMSGSIZE, "larger than a secret may be" },
	{ ENOMEM, "out of memory, or of memory that may be locked" },
};

const char *assay_error_text(int r)
{
	const char *text;

	if (r >= 0)
		return "success";
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].error == -r)
			return texts[i].text;
	text = strerrordesc_np(-r); /* constant text, unlike strerror(3)'s */
	return text ? text : "an error without a name";
}
