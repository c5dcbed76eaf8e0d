/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_POLICY_H
#define ASSAY_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "appraisal.h"
#include "bytes.h"
#include "digest.h"
#include "ima_files.h"
#include "manifest.h"
#include "mi.h"
#include "policy_cca.h"
#include "policy_csv.h"
#include "policy_sev_snp.h"
#include "tdx_status.h"

/*
 * The owner's policy for one application: what the chip must have measured at
 * boot, the static reference values, one rule or more for each MI item, and which
 * secrets each stage releases. Read from YAML (docs/policy.md), every error with
 * file, line and what was expected.
 *
 * Reading files is the caller's: policy_parse takes text, and names of further
 * files (manifest, CA) stay names until policy_attach_* is given their content.
 */

#define POLICY_TEXT_MAX	   (1024 * 1024)
#define POLICY_STAGES_MAX  4096
#define POLICY_SECRETS_MAX 64 /* of one stage */
#define POLICY_UPDATES_MAX 16

enum policy_mode { POLICY_ENFORCE, POLICY_WARN };
enum policy_kind { POLICY_STATIC, POLICY_DYNAMIC };

struct policy; /* as parsed; policy.c in core/ */

/*
 * Parses. file names it in errors. On failure -EINVAL, and *ret_error is text of one line a
 * problem, "FILE:LINE: KEY: what was expected" (free() it).
 */
MUST_CHECK int policy_parse(struct view text, const char *file, struct policy **ret,
			    char **ret_error);
void policy_free(struct policy *p);

const char *policy_application(const struct policy *p);
uint32_t policy_version(const struct policy *p);

/* True if the policy names the platform; one that it does not name is refused. */
bool policy_allows_platform(const struct policy *p, const char *platform);

/* What the policy thinks of a violation in the runtime register (violation.h). */
enum policy_answer { POLICY_SILENT, POLICY_WARNS, POLICY_DENIES };
enum policy_answer policy_on_violation(const struct policy *p, uint8_t kind, int64_t now_s);

/*
 * Whether the evidence's event log may be absent, must be there and replay to the quoted registers,
 * or must moreover tell that the boot services were left (eventlog.h).
 */
enum policy_event_log { EVENT_LOG_UNSET, EVENT_LOG_ALLOW, EVENT_LOG_REQUIRE, EVENT_LOG_COMPLETE };
enum policy_event_log policy_tpm_event_log(const struct policy *p);

/* What is asked of the kernel's own list of measurements (IMA). */
struct policy_ima {
	enum { POLICY_IMA_UNSET, POLICY_IMA_REQUIRE, POLICY_IMA_OPTIONAL } log;
	/* A file measured while it was open for writing; not given: a warning. */
	enum { POLICY_IMA_WARN, POLICY_IMA_DENY, POLICY_IMA_ALLOW } violations;
	/*
	 * The list's boot_aggregate is the digest of the PCRs 0 to 9 as they were quoted. Not
	 * given: another value is a warning, and what cannot be compared passes.
	 */
	enum {
		POLICY_IMA_AGGREGATE_UNSET,
		POLICY_IMA_AGGREGATE_REQUIRE,
		POLICY_IMA_AGGREGATE_WARN,
		POLICY_IMA_AGGREGATE_ALLOW
	} boot_aggregate;
	/* What IMA saw against what assayd measured: policy_judge_ima. Not given: off. */
	enum {
		POLICY_IMA_WITNESS_OFF,
		POLICY_IMA_WITNESS_REQUIRE,
		POLICY_IMA_WITNESS_WARN
	} witness;
	char **except; /* directories that the kernel's IMA policy leaves out */
	uint32_t n_except;
};

/*
 * Of platform tpm or vtpm; NULL: the policy does not speak of it, or p is NULL, or it is another
 * platform. Lent.
 */
const struct policy_ima *policy_ima_of(const struct policy *p, const char *platform);

/*
 * Values accepted for a PCR: their number, 0 where the policy does not speak of it;
 * *ret lends the array.
 */
size_t policy_tpm_pcr(const struct policy *p, unsigned int index, const struct digest **ret);

/* Bank of these values; SHA-256 where the policy does not say. */
enum hash_alg policy_tpm_bank(const struct policy *p);

/* Name of the file with EK roots (PEM) and its content once attached; empty: none. */
const char *policy_tpm_ek_ca_file(const struct policy *p);
struct view policy_tpm_ek_ca(const struct policy *p);
MUST_CHECK int policy_attach_ek_ca(struct policy *p, struct view pem);

/*
 * Intel TDX. p may be NULL, as without a policy: UpToDate alone is accepted, no TD under
 * debug, any measurement, and no event log is asked for.
 */
enum policy_tdx_register {
	POLICY_TDX_MRTD,
	POLICY_TDX_RTMR0,
	POLICY_TDX_RTMR1,
	POLICY_TDX_RTMR2,
	POLICY_TDX_RTMR3,
	POLICY_TDX_REGISTERS,
};

/* Values accepted for a register (SHA-384): their number, 0: any; *ret lends the array. */
size_t policy_tdx_register(const struct policy *p, enum policy_tdx_register which,
			   const struct digest **ret);
bool policy_tdx_accepts(const struct policy *p, enum tdx_status s);
bool policy_tdx_debug_allowed(const struct policy *p);
bool policy_tdx_event_log_required(const struct policy *p);
/* False: a TD whose kernel lets no program extend an RTMR is accepted (runtime_log: allow). */
bool policy_tdx_runtime_log_required(const struct policy *p);

/*
 * Seconds for which collateral (TCB info, QE identity, revocation lists) is accepted past its
 * end; 0: not at all. At most POLICY_TDX_GRACE_MAX.
 */
#define POLICY_TDX_GRACE_MAX (90 * 24 * 60 * 60)
int64_t policy_tdx_collateral_grace(const struct policy *p);

/* SHA-256 hex (lower case) digests of keys accepted for soft: NULL-terminated; NULL: any key. */
const char *const *policy_soft_keys(const struct policy *p);

/*
 * As of tpm, for the vTPM that a chip's report vouches for; p may be NULL: it says nothing
 * of it. What is accepted of that report is the chip's own platform's (sev-snp, tdx).
 */
enum policy_event_log policy_vtpm_event_log(const struct policy *p);
size_t policy_vtpm_pcr(const struct policy *p, unsigned int index, const struct digest **ret);
enum hash_alg policy_vtpm_bank(const struct policy *p);

/* What is accepted of an SEV-SNP report; p may be NULL: what is accepted by default. */
const struct policy_snp *policy_sev_snp(const struct policy *p);

/* What is accepted of a CSV report; p may be NULL: what is accepted by default. */
const struct policy_csv *policy_csv(const struct policy *p);

/* What is accepted of a CCA token; p may be NULL: what is accepted by default. */
const struct policy_cca *policy_cca(const struct policy *p);

/* Static reference values. */
const char *policy_manifest_file(const struct policy *p);
MUST_CHECK int policy_attach_manifest(struct policy *p, struct view text, char **ret_error);
/* NULL before it is attached or where the policy has none. */
const struct manifest *policy_manifest(const struct policy *p);

/*
 * Updates: further reference values in order, each good beside those before it until its time and
 * instead of them after that; or as soon as an application was started with its files. now_s is
 * seconds since 1970 by the verifier's clock, here and below.
 */
size_t policy_update_count(const struct policy *p);
const char *policy_update_file(const struct policy *p, size_t i);
/* As policy_attach_manifest. Until each is attached nothing that needs reference values passes. */
MUST_CHECK int policy_attach_update(struct policy *p, size_t i, struct view text, char **ret_error);
/* True while more than one set is good. */
bool policy_update_open(const struct policy *p, int64_t now_s);
/* True if m is the M of reference values that are good. */
bool policy_expects_m(const struct policy *p, int64_t now_s, struct view m);

/* How the configuration hash, initrd and reports between stages are judged. */
bool policy_requires_initrd(const struct policy *p);
/* Most measurements that one chip report may cover; 1: each its own. */
uint32_t policy_report_every_max(const struct policy *p);
/* Configuration digests accepted (SHA-384): their number, 0: any. */
size_t policy_configs(const struct policy *p, const struct digest **ret);

/* Stages. Numbers run from 1 without a gap. */
struct policy_stage {
	uint32_t stage;
	enum policy_kind after;
	const char *const *release; /* names of secrets, NULL-terminated */
	uint64_t within_ns;	    /* of the Challenge; 0: as long as the nonce is good */
};
size_t policy_stage_count(const struct policy *p);
/* NULL: no such stage. */
const struct policy_stage *policy_stage(const struct policy *p, uint32_t stage);

/*
 * Judges a static measurement: the manifest that was shipped as MI against the
 * reference. Rules "static.manifest" and below: each file that differs is named.
 */
void policy_judge_static(const struct policy *p, struct view manifest_text, int64_t now_s,
			 struct appraisal *a);

/*
 * Judges a dynamic measurement. previous may be NULL (the first of its run): rules
 * that compare (start_time.unchanged) then pass. A rule whose item is missing or whose
 * collector says FAILED is refused as "could not be checked".
 */
void policy_judge_dynamic(const struct policy *p, const struct mi *mi, const struct mi *previous,
			  int64_t now_s, struct appraisal *a);

/*
 * Compares what assayd measured with the files that IMA saw, where the policy asks for it
 * (platforms.PLATFORM.ima.witness). mi NULL: of a static measurement, before the application runs.
 * seen NULL: no list is proven, so that nothing could be checked; why says what is missing. Rules,
 * below platforms.PLATFORM.ima.witness: "unseen_file": a file that code is mapped from, or that a
 * process executes, IMA did not see; "other_digest": IMA saw such a file, or one of the reference
 * values, with other content; "unlisted_file": IMA saw a file below a directory of the reference
 * values that they do not have.
 */
void policy_judge_ima(const struct policy *p, const char *platform, const struct mi *mi,
		      const struct ima_files *seen, const char *why, int64_t now_s,
		      struct appraisal *a);

#endif
