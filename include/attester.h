/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ATTESTER_H
#define ASSAY_ATTESTER_H

#include "bytes.h"
#include "claims.h"
#include "digest.h"
#include "secret.h"

/*
 * An attester asks one kind of chip for reports. Its calls block (a TPM's
 * signature takes up to 0.6 s): they are made from the chip thread of the
 * monitor, one at a time, never from its loop.
 */

struct attester_config {
	const char *tcti;          /* tpm: TCTI string, "device:/dev/tpmrm0", "swtpm:path=…" */
	/*
	 * Directory for what must outlive a restart (the wrapped AK). NULL: there is none, as in an
	 * initrd; a TPM's AK is then derived from its seed, a TEE's machine has another name each time.
	 */
	const char *state;
	enum hash_alg bank;        /* tpm: PCR bank, SHA-256 by default */
	uint32_t pcrs;             /* tpm: bitmap of the PCRs to quote */
	unsigned int runtime_pcr;  /* tpm: 0 to 15, extended with every M; quoted always */
	const char *event_log;     /* NULL: the kernel's, where there is one */
	const char *key;           /* soft: key file (PEM) */
	uint32_t timeout_ms;       /* tdx, sev-snp, csv, cca: for one report; 0: a minute */
	const char *tee_event_log; /* tdx, csv: as event_log above */
	char *const *tee_endorsements; /* files that go with every report; NULL-terminated, or NULL */
};

#define ATTESTER_WHY_MAX	   256
#define ATTESTER_ENDORSEMENTS_MAX 8 /* files of tee_endorsements */

struct attester {
	const struct attester_ops *ops;
	/* In words, why the last call failed; empty: the errno says it. Of the thread that calls. */
	char why[ATTESTER_WHY_MAX];
};

/* For Hello and enrolment. All owned; ended with attester_identity_done. */
struct attester_identity {
	/*
	 * The AK's TPM name; SHA-256 of the key for soft. A TEE has no key of the machine's own:
	 * 32 bytes that this machine keeps, a name and no proof.
	 */
	struct bytes key_name;
	/* TPMT_PUBLIC; SubjectPublicKeyInfo for soft. Empty: enrolled by a report (enrolment.h). */
	struct bytes ak_public;
	struct bytes ek_public;      /* TPMT_PUBLIC */
	struct bytes ek_certificate; /* DER; empty: the chip has none */
	struct bytes ek_chain;       /* DER certificates, one after the other */
};

struct attester_ops {
	/* "tpm", "soft" ...: in the configuration, Hello and the policy. Stable. */
	const char *platform;

	/* True if its reports prove nothing. */
	bool insecure;

	/*
	 * The chip vouches for the machine, with a report over the enrolment statement, also
	 * where it shows keys of its own (enrolment.h). What has none needs no such mark.
	 */
	bool enrols_by_report;

	/* Its reports quote PCRs of the machine's own TPM, 10 with them, which proves IMA's list. */
	bool quotes_ima;

	/* For `attester: auto`: 0 if the machine has this chip; why (in words) either way. */
	int (*probe)(const struct attester_config *config, char *ret_why, size_t size);

	/* -ENODEV: no such chip; -ret_why says what to do. The caller owns *ret. */
	int (*open)(const struct attester_config *config, struct attester **ret, char *ret_why,
		    size_t size);

	int (*identity)(struct attester *a, struct attester_identity *ret);

	/*
	 * Extends a 32-byte digest into the runtime register. NULL where the chip has none.
	 */
	int (*extend)(struct attester *a, const struct digest *d);

	/*
	 * Number (PCR, RTMR) and value of the runtime register. NULL where the chip has none;
	 * -EOPNOTSUPP: it has none on this machine, a->why says what is missing.
	 */
	int (*runtime)(struct attester *a, unsigned int *ret_register, struct digest *ret);

	/*
	 * A report over serialised Claims, into report (its platform, report, signature, key, pcrs,
	 * event_log and endorsements; memory from arena).
	 */
	int (*report)(struct attester *a, struct view claims, struct arena *arena,
		      Assay__ChipReport *report);

	/* TPM 2.0 ActivateCredential: the secret in a TPM2B_ID_OBJECT. NULL where there is none. */
	int (*activate)(struct attester *a, struct view credential_blob,
			struct view encrypted_seed, struct secret *ret);

	void (*close)(struct attester *a);
};

void attester_identity_done(struct attester_identity *i);

/* Every attester, in the order in which `auto` tries them. NULL-terminated. */
extern const struct attester_ops *const attester_table[];

/* By name, or for "auto" the first whose probe finds its chip, saying why. NULL: none. */
const struct attester_ops *attester_pick(const char *name, const struct attester_config *config,
					 char *ret_why, size_t size);

#endif
