/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_EVIDENCE_H
#define ASSAY_EVIDENCE_H

#include <jansson.h>

#include "appraisal.h"
#include "appraisal_cache.h"
#include "arena.h"
#include "bytes.h"
#include "digest.h"
#include "endorsements.h"
#include "ima_log.h"
#include "policy.h"
#include "session.pb-c.h"
#include "x509_chain.h"

/*
 * Evidence of one kind of chip, appraised: the mirror of attester.h. Pure: bytes,
 * policy and a time go in; what the report proves comes out in an appraisal.
 */

#define EVIDENCE_PCRS	    24
#define EVIDENCE_REPORT_MAX (64 * 1024)
#define EVENT_LOG_MAX	    (1024 * 1024)
#define EVIDENCE_REGISTERS  5
#define EVIDENCE_DATA	    64
#define EVIDENCE_TEXT_MAX   256

struct evidence_input {
	const Assay__ChipReport *report;
	struct view claims; /* serialised Claims that the report must cover */
	int64_t now;	    /* reference time, seconds since 1970 */
	const struct policy *policy;
	/*
	 * tpm, an SVSM's vtpm: name of the AK enrolled for this machine; soft: SHA-256 of the key.
	 * Empty: unknown.
	 */
	struct view key_name;
	struct view ek_public;	    /* vtpm: TPMT_PUBLIC of the EK that the AK was enrolled under */
	struct view ek_certificate; /* DER of the EK that the AK was enrolled under */
	struct view ek_chain;	    /* DER certificates, one after the other */

	const struct endorsements *endorsements; /* besides the report's own; may be NULL */
	const struct x509_pin *roots; /* instead of the makers' that are pinned; NULL: those */
	size_t n_roots;
	struct appraisal_cache *cache; /* what was found out before; NULL: nothing is kept */
	const struct ima_known *ima;   /* of IMA's list, from this session; NULL: nothing */
	bool enrolling; /* a report of an enrolment: IMA's list comes with evidence only */
	/*
	 * Judged on its own, not in a session: there are no Claims, the report covers
	 * report_data (empty: whatever it covers), and policy may be NULL (the platform's
	 * default: evidence_judge_platform and the accessors of policy.h know it).
	 */
	bool alone;
	struct view report_data;
};

/* What the chip vouched for. */
struct evidence_result {
	bool signature_good; /* and covers the Claims */
	enum hash_alg bank;
	uint32_t pcrs_quoted;		     /* bitmap */
	struct digest pcrs[EVIDENCE_PCRS];   /* those of pcrs_quoted */
	uint32_t reset_count, restart_count; /* tpm: TPMS_CLOCK_INFO */
	uint64_t clock;
	bool event_log_replayed;
	bool boot_services_left; /* by that log; of TPMs, where PCR 5 is quoted */
	struct {
		size_t entries, proven, violations; /* proven: covered by the quoted PCR 10 */
		bool matched;			    /* and then: */
		struct view fresh;	/* entries that this report proves and input->ima lacks */
		struct ima_known known; /* with them */
	} ima;				/* entries 0: there was no list, or it was not read */

	/* All platforms but soft, once the report could be read; whether it is true says the
	 * verdict. */
	uint32_t version; /* of the report; 0: not read */
	bool has_report_data;
	uint8_t report_data[EVIDENCE_DATA];
	size_t report_data_len;
	struct digest measurement;		     /* MRTD, launch digest, RIM; size 0: none */
	struct digest registers[EVIDENCE_REGISTERS]; /* RTMR0 and on, REMs */
	size_t n_registers;
	bool debug;
	uint8_t chip_id[EVIDENCE_DATA];
	size_t chip_id_len; /* 0: none, or hidden */
	char status[64];    /* in the maker's words: "UpToDate"; empty: the maker has none */
	char tcb[EVIDENCE_TEXT_MAX]; /* in the platform's words, what the status rests on */
	char tcb_date[TIME_TEXT_MAX];
	char advisories[EVIDENCE_TEXT_MAX]; /* ids, a space between; cut with " ..." */
};

/* One file of evidence, as it is handed in. */
struct evidence_file {
	const char *name; /* for messages; content alone decides what it is */
	struct view bytes;
};

struct evidence_ops {
	const char *platform;
	bool insecure;

	/*
	 * Checks signature, key, freshness data (the Claims) and boot values against
	 * the policy, in this order, a reason for each failure into a. A negative errno
	 * only for -ENOMEM and the like: the evidence is then not judged.
	 */
	int (*verify)(const struct evidence_input *input, struct appraisal *a,
		      struct evidence_result *ret);

	/* True if the bytes are this platform's report. NULL: never found by its bytes. */
	bool (*detect)(struct view report);

	/*
	 * Fills in the parts of a report that lies in several files; files[at] is what detect
	 * knows. What it allocates is the arena's. NULL: report alone, and the event log
	 * where a file is one. -EINVAL: parts are missing; *ret_why says which.
	 */
	int (*gather)(const struct evidence_file *files, size_t n, size_t at, struct arena *arena,
		      Assay__ChipReport *report, const char **ret_why);

	/* As verify, of evidence on its own. NULL: verify does it. */
	int (*verify_alone)(const struct evidence_input *input, struct appraisal *a,
			    struct evidence_result *ret);

	/* The report's fields, decoded, nothing checked; *ret is the caller's. -EBADMSG. */
	int (*show)(const Assay__ChipReport *report, json_t **ret);

	/*
	 * Platforms whose reports lie beside this one's as parts of its evidence, so that they are
	 * not a second one; ended by NULL. NULL: none.
	 */
	const char *const *parts;

	/* What a good verdict proves and what not, each a line for people. */
	const char *proves, *proves_not;
};

extern const struct evidence_ops *const evidence_table[];

/* NULL: no such platform. */
const struct evidence_ops *evidence_find(const char *platform);

/* Evidence in files, on its own: what `assay evidence` does. */
struct evidence_alone {
	const char *platform; /* NULL: found from the bytes */
	const struct evidence_file *files;
	size_t n_files;
	const struct endorsements *endorsements; /* may be NULL */
	int64_t now;
	struct view report_data;     /* expected; empty: not compared */
	const struct policy *policy; /* NULL: the platform's default */
	const struct x509_pin *roots;
	size_t n_roots;
	struct appraisal_cache *cache; /* may be NULL */
};

/* The evidence as a ChipReport. Everything is lent from the files or the arena. */
struct evidence_found {
	const struct evidence_ops *ops;
	Assay__ChipReport report;
	size_t at; /* the file with the report, or with the wrapper (cmw.h) that it is in */
};

/*
 * What the files are. -ENOENT: no file is a report (of that platform); -EEXIST: more than one
 * is; -EINVAL: parts are missing; *ret_why says it in words that live for ever or as long as
 * the arena.
 */
MUST_CHECK int evidence_detect(const struct evidence_alone *in, struct arena *arena,
			       struct evidence_found *ret, const char **ret_why);

/* The platform's provider in Linux's configfs-tsm; NULL: it has none there. */
const char *evidence_provider(const char *platform);

/*
 * Judges; finishes a. Where the files are no evidence of the platform a says so (rule
 * "evidence.format") and ret_found->ops may be NULL. A negative errno: not judged.
 */
MUST_CHECK int evidence_appraise(const struct evidence_alone *in, struct arena *arena,
				 struct appraisal *a, struct evidence_found *ret_found,
				 struct evidence_result *ret);

/* What a finished appraisal comes to. */
enum evidence_verdict {
	EVIDENCE_INVALID, /* not genuine, or could not be checked */
	EVIDENCE_POLICY,  /* genuine, and the policy (or the default) does not accept it */
	EVIDENCE_VALID,
};
enum evidence_verdict evidence_verdict(const struct appraisal *a);
const char *evidence_verdict_name(enum evidence_verdict v);

/*
 * What every platform's verify begins and ends with; 1, 0 and a reason, or a negative errno.
 * "platforms": the policy, where there is one, names the platform.
 */
MUST_CHECK int evidence_judge_platform(const struct evidence_input *in, const char *platform,
				       struct appraisal *a);

/*
 * "evidence.claims": seen is SHA-512 of the Claims; "evidence.report_data" where judged alone:
 * it is in->report_data, which may be shorter if the rest is zero, or there is none.
 */
MUST_CHECK int evidence_judge_report_data(const struct evidence_input *in, struct view seen,
					  struct appraisal *a);

/*
 * gather of a platform whose evidence is a report, perhaps an event log, and else endorsements:
 * what is none of them is left out where endorsements are read. is_log NULL: there is no log.
 * -ENOMEM.
 */
MUST_CHECK int evidence_gather(const struct evidence_file *files, size_t n, size_t at,
			       bool (*is_log)(struct view v), struct arena *arena,
			       Assay__ChipReport *report);

/* in->endorsements and those that came with the report, as one set. Blobs of the report that
 * are not recognised are left out: what needs them will miss them. */
MUST_CHECK int evidence_endorsements(const struct evidence_input *in, struct endorsements **ret);

/*
 * Digest of all that a chain is verified with: those endorsements, byte for byte, and the roots.
 * For keys of in->cache. -ENOMEM.
 */
MUST_CHECK int evidence_basis(const struct evidence_input *in, const struct x509_pin *pins,
			      size_t n_pins, struct cache_key *ret);

#endif
