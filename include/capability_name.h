/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CAPABILITY_NAME_H
#define ASSAY_CAPABILITY_NAME_H

#include <stddef.h>
#include <stdint.h>

#include "errors.h"

/* Names of capabilities(7), as in <linux/capability.h>. */

/* The number of "CAP_KILL" or "cap_kill". -EINVAL: there is none of that name. */
MUST_CHECK int capability_number(const char *name);

/* The set as text, "CAP_CHOWN, CAP_KILL", cut to size; a bit without a name as its number. */
#define CAPABILITY_TEXT_MAX 256
const char *capability_text(uint64_t set, char to[CAPABILITY_TEXT_MAX]);

#endif
