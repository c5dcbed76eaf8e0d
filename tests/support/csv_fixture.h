/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_CSV_FIXTURE_H
#define ASSAY_TESTS_CSV_FIXTURE_H

#include <openssl/evp.h>

#include "endorsements.h"
#include "x509_chain.h"

/*
 * A Hygon of our own: HRK, HSK, CEK and PEK with their certificates, and the reports that the
 * PEK signs. What a test changes is signed as it is then.
 */

#define CSV_FIXTURE_PAGE     4096
#define CSV_FIXTURE_EXTENDED 2339 /* build of the firmware in version 2 */

struct csv_fixture {
	EVP_PKEY *hrk, *hsk, *cek, *pek;
	uint8_t hrk_certificate[832], hsk_certificate[832];
	uint8_t cek_certificate[2084], pek_certificate[2084];
	struct x509_pin root;

	/* The report in the clear, to be changed; and as the firmware gives it out. */
	uint32_t version;
	uint8_t plain[CSV_FIXTURE_PAGE], report[CSV_FIXTURE_PAGE];
	size_t report_size; /* what it uses of the page */
};

/* Keys and certificates, signed, and a good report of version 1 in f->plain, not signed yet. */
void csv_fixture_init(struct csv_fixture *f);
void csv_fixture_done(struct csv_fixture *f);

/*
 * A good report of that version over 64 bytes of report data in f->plain: a guest that may not be
 * debugged, with a measurement of 0x3e; in version 2 registers 1 to 4 hold 0x11, 0x22, 0x33, 0.
 */
void csv_fixture_report(struct csv_fixture *f, uint32_t version, const uint8_t report_data[64]);

/* f->plain into f->report: with the PEK's certificate and MAC, signed, in version 1 masked. */
void csv_fixture_sign(struct csv_fixture *f);

/* Version 1 as a guest's library leaves it: PEK and serial unmasked, what is reserved cleared. */
void csv_fixture_restore(struct csv_fixture *f);

/* Signs all certificates as they are now, and pins the HRK's. */
void csv_fixture_certify(struct csv_fixture *f);

/* HRK, HSK and CEK. */
void csv_fixture_endorse(const struct csv_fixture *f, struct endorsements *e);

#endif
