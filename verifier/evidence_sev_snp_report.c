/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_sev_snp_report.h"

#include <string.h>

#define ALGORITHM_ECDSA_P384_SHA384 1
#define VMPL_HOST		    UINT32_MAX /* a report the host asked for */
#define NUMBER_FIELD		    72	       /* r and s have room for larger curves */

#define SIGNER_AUTHOR_KEY (1u << 0)
#define SIGNER_MASKED	  (1u << 1)
#define SIGNER_KEY_SHIFT  2
#define SIGNER_KEY_MASK	  7u
#define SIGNER_KNOWN	  0x1fu

bool snp_all_zero(const uint8_t *bytes, size_t len)
{
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= bytes[i];
	return any == 0;
}

struct view snp_report_signed(struct view raw)
{
	return view_of(raw.data, raw.len < SNP_SIGNED_SIZE ? raw.len : SNP_SIGNED_SIZE);
}

/* A step of the reading; NULL: go on, or why the bytes are no report. */
typedef const char *snp_step(struct reader *in, struct snp_report *p);

static const char cut[] = "it is cut short";

static const char *skip_zero(struct reader *in, size_t len, const char *why)
{
	struct view v;

	if (read_view(in, len, &v) < 0)
		return cut;
	return snp_all_zero(v.data, v.len) ? NULL : why;
}

static const char *read_head(struct reader *in, struct snp_report *p)
{
	if (read_le32(in, &p->version) < 0)
		return cut;
	if (p->version < SNP_VERSION_MIN || p->version > SNP_VERSION_MAX)
		return "its version is not one of 2 to 5";
	if (read_le32(in, &p->guest_svn) < 0 || read_le64(in, &p->policy) < 0)
		return cut;
	if (!(p->policy & SNP_POLICY_MUST_BE_ONE))
		return "bit 17 of its guest policy is not one";
	if (p->policy & ~SNP_POLICY_KNOWN)
		return "reserved bits of its guest policy are set";
	return NULL;
}

static const char *read_platform(struct reader *in, struct snp_report *p)
{
	uint32_t algorithm, signer;

	if (read_copy(in, p->family_id, sizeof(p->family_id)) < 0 ||
	    read_copy(in, p->image_id, sizeof(p->image_id)) < 0 || read_le32(in, &p->vmpl) < 0 ||
	    read_le32(in, &algorithm) < 0 ||
	    read_copy(in, p->current_tcb, sizeof(p->current_tcb)) < 0 ||
	    read_le64(in, &p->platform_info) < 0 || read_le32(in, &signer) < 0)
		return cut;
	if (p->vmpl == VMPL_HOST)
		return "the host asked for it, not the guest";
	if (p->vmpl > SNP_VMPL_MAX)
		return "its VMPL is not one of 0 to 3";
	if (algorithm != ALGORITHM_ECDSA_P384_SHA384)
		return "its signature algorithm is not ECDSA P-384 with SHA-384";
	if (p->platform_info & ~SNP_PLATFORM_KNOWN)
		return "reserved bits of its platform info are set";
	if (signer & ~SIGNER_KNOWN)
		return "reserved bits beside its signing key are set";
	p->author_key_enabled = signer & SIGNER_AUTHOR_KEY;
	p->chip_key_masked = signer & SIGNER_MASKED;
	p->signing_key = (enum snp_signing_key)(signer >> SIGNER_KEY_SHIFT & SIGNER_KEY_MASK);
	/* With the chip's key masked the firmware leaves the signature zero. */
	if (p->signing_key == SNP_KEY_NONE || p->chip_key_masked)
		return "it says that no key signed it";
	if (p->signing_key != SNP_KEY_VCEK && p->signing_key != SNP_KEY_VLEK)
		return "its signing key is neither VCEK nor VLEK";
	return skip_zero(in, 4, "reserved bytes at 0x4c are set");
}

static const char *read_guest(struct reader *in, struct snp_report *p)
{
	if (read_copy(in, p->report_data, sizeof(p->report_data)) < 0 ||
	    read_copy(in, p->measurement, sizeof(p->measurement)) < 0 ||
	    read_copy(in, p->host_data, sizeof(p->host_data)) < 0 ||
	    read_copy(in, p->id_key_digest, sizeof(p->id_key_digest)) < 0 ||
	    read_copy(in, p->author_key_digest, sizeof(p->author_key_digest)) < 0 ||
	    read_copy(in, p->report_id, sizeof(p->report_id)) < 0 ||
	    read_copy(in, p->report_id_ma, sizeof(p->report_id_ma)) < 0)
		return cut;
	return NULL;
}

static const char *read_chip(struct reader *in, struct snp_report *p)
{
	static const char reserved[] = "reserved bytes from 0x188 on are set";

	if (read_copy(in, p->reported_tcb, sizeof(p->reported_tcb)) < 0)
		return cut;
	if (p->version < SNP_VERSION_CPUID) {
		const char *why = skip_zero(in, 0x18, reserved);

		if (why)
			return why;
	} else {
		const char *why;

		if (read_u8(in, &p->family) < 0 || read_u8(in, &p->model) < 0 ||
		    read_u8(in, &p->stepping) < 0)
			return cut;
		why = skip_zero(in, 0x15, reserved);
		if (why)
			return why;
	}
	if (read_copy(in, p->chip_id, sizeof(p->chip_id)) < 0 ||
	    read_copy(in, p->committed_tcb, sizeof(p->committed_tcb)) < 0)
		return cut;
	return NULL;
}

static const char *read_version(struct reader *in, struct snp_firmware *ret)
{
	if (read_u8(in, &ret->build) < 0 || read_u8(in, &ret->minor) < 0 ||
	    read_u8(in, &ret->major) < 0)
		return cut;
	return skip_zero(in, 1, "a reserved byte beside its firmware version is set");
}

static const char *read_firmware(struct reader *in, struct snp_report *p)
{
	static const char reserved[] = "reserved bytes before the signature are set";
	const char *why;

	why = read_version(in, &p->current);
	if (!why)
		why = read_version(in, &p->committed);
	if (why)
		return why;
	if (read_copy(in, p->launch_tcb, sizeof(p->launch_tcb)) < 0)
		return cut;
	if (p->version < SNP_VERSION_MITIGATIONS)
		return skip_zero(in, 16 + 0x98, reserved);
	if (read_le64(in, &p->launch_mitigations) < 0 || read_le64(in, &p->current_mitigations) < 0)
		return cut;
	return skip_zero(in, 0x98, reserved);
}

static const char *read_number(struct reader *in, uint8_t ret[SNP_NUMBER_SIZE])
{
	struct view little;

	if (read_view(in, SNP_NUMBER_SIZE, &little) < 0)
		return cut;
	for (size_t i = 0; i < SNP_NUMBER_SIZE; i++)
		ret[i] = little.data[SNP_NUMBER_SIZE - 1 - i];
	return skip_zero(in, NUMBER_FIELD - SNP_NUMBER_SIZE,
			 "a number of its signature does not fit P-384");
}

static const char *read_signature(struct reader *in, struct snp_report *p)
{
	const char *why;

	why = read_number(in, p->r);
	if (!why)
		why = read_number(in, p->s);
	if (why)
		return why;
	return skip_zero(in, in->left, "reserved bytes behind the signature are set");
}

int snp_report_parse(struct view raw, struct snp_report *ret, const char **ret_why)
{
	static snp_step *const steps[] = {
		read_head, read_platform, read_guest, read_chip, read_firmware, read_signature,
	};
	struct reader in = reader_of(raw);
	struct snp_report p = { 0 };
	const char *why = NULL;

	if (raw.len != SNP_REPORT_SIZE)
		why = "its size is not 1184 bytes";
	for (size_t i = 0; !why && i < ARRAY_LEN(steps); i++)
		why = steps[i](&in, &p);
	if (why) {
		*ret_why = why;
		return -EBADMSG;
	}
	*ret = p;
	return 0;
}
