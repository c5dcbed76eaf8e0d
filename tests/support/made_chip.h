/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_MADE_CHIP_H
#define ASSAY_TESTS_MADE_CHIP_H

#include "bytes.h"
#include "endorsements.h"
#include "x509_chain.h"

/*
 * A chip of one platform, made of that platform's fixture: it reports over whatever it is
 * asked to, signed by keys under a root of its own. Functions fail the running test where something
 * cannot be made; outside of a test they end the program.
 */
struct made_chip;

#define MADE_CHIP_DATA	 64
#define MADE_CHIP_MNONCE 16
#define MADE_CHIP_PAGE	 4096

/* "sev-snp", "tdx", "csv", "cca"; NULL: there is none of that name. */
struct made_chip *made_chip_new(const char *platform);
void made_chip_free(struct made_chip *c);

const char *made_chip_platform(const struct made_chip *c);

/* Its provider in configfs-tsm; NULL: it has none there. */
const char *made_chip_provider(const struct made_chip *c);

/* A report over these data; what the host gives with it goes into aux. */
void made_chip_report(struct made_chip *c, const uint8_t data[MADE_CHIP_DATA], struct bytes *report,
		      struct bytes *aux);

/* Whether the guest is one that its host can look into. */
void made_chip_debug(struct made_chip *c, bool on);

/* Lent; made of what the chip is now. */
const struct x509_pin *made_chip_root(const struct made_chip *c);

/* What a verifier needs besides the report. */
void made_chip_endorse(struct made_chip *c, struct endorsements *e);

/*
 * Into the folder: root.pem, and the files of endorsements.
 */
void made_chip_write(struct made_chip *c, const char *folder);

/* csv: the page that its firmware writes, in version 1 or 2, over data and the guest's nonce. */
void made_chip_csv_page(struct made_chip *c, uint32_t version, const uint8_t data[MADE_CHIP_DATA],
			const uint8_t mnonce[MADE_CHIP_MNONCE], uint8_t page[MADE_CHIP_PAGE]);

/* tdx, csv: runtime registers, and new = H(old || data), data as large as a register. */
size_t made_chip_registers(const struct made_chip *c);
size_t made_chip_register_size(const struct made_chip *c);
const uint8_t *made_chip_register(const struct made_chip *c, size_t index);
void made_chip_extend(struct made_chip *c, size_t index, const uint8_t *data);

#endif
