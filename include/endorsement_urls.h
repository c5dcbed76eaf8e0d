/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ENDORSEMENT_URLS_H
#define ASSAY_ENDORSEMENT_URLS_H

#include "bytes.h"
#include "session.pb-c.h"

/*
 * Where makers serve what a report's verdict takes: AMD's KDS (57230), Intel's PCS (API v4), Hygon's
 * KDS. Pure: the report is not checked, it says only what to ask for, and each part of it that goes
 * into an address is a number or hex digits.
 */

#define ENDORSEMENT_URL_MAX  512
#define ENDORSEMENT_URLS_MAX 8

/* Bases without a slash at the end. */
struct endorsement_services {
	const char *amd_kds, *intel_pcs, *intel_root_crl, *hygon_kds;
};

extern const struct endorsement_services endorsement_services_public;

struct endorsement_urls {
	size_t n;
	char at[ENDORSEMENT_URLS_MAX][ENDORSEMENT_URL_MAX];
};

/*
 * -EOPNOTSUPP: nothing is served for the platform, or not for this report; -EBADMSG: not such a
 * report; *ret_why says it in words that live for ever. -EMSGSIZE: a base is too long.
 */
MUST_CHECK int endorsement_urls(const struct endorsement_services *services, const char *platform,
				const Assay__ChipReport *report, struct endorsement_urls *ret,
				const char **ret_why);

#endif
