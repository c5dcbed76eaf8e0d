/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "tests/support/shared_evidence.h"
#include "verifier/evidence_sev_snp_report.h"

/* The form of reports: genuine ones, read in place, whole, cut and changed. */

#define FOLDER "sev-snp"
#define GOOD   "v3-milan-2026.report"

static void a_report_cut_anywhere_is_refused(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes r;
	struct snp_report report;
	const char *why = NULL;
	uint8_t *copy;

	(void)state;
	shared_evidence_needed();
	r = shared_evidence(FOLDER, GOOD);
	for (size_t len = 0; len < r.len; len++) {
		/* In room of its own, so that a read past it is seen. */
		copy = malloc(len ? len : 1);
		assert_non_null(copy);
		memcpy(copy, r.data, len);
		assert_int_equal(snp_report_parse(view_of(copy, len), &report, &why), -EBADMSG);
		free(copy);
	}
	assert_int_equal(bytes_append_u8(&r, 0), 0);
	assert_int_equal(snp_report_parse(bytes_view(&r), &report, &why), -EBADMSG);
}

/* What must be zero, and what must have one of a few values: refused before any signature. */
static const struct {
	const char *what, *report;
	size_t at;
	uint8_t value;
	const char *why;
} layouts[] = {
	{ "version 1", "v3-milan-2026.report", 0x000, 1, "version" },
	{ "version 6", "v3-milan-2026.report", 0x000, 6, "version" },
	{ "a version of more than a byte", "v3-milan-2026.report", 0x001, 1, "version" },
	{ "policy bit 17 zero", "v3-milan-2026.report", 0x00a, 0x01, "bit 17" },
	{ "policy bit 26", "v3-milan-2026.report", 0x00b, 0x04, "guest policy" },
	{ "policy bit 63", "v3-milan-2026.report", 0x00f, 0x80, "guest policy" },
	{ "VMPL 4", "v3-milan-2026.report", 0x030, 4, "VMPL" },
	{ "signature algorithm 2", "v3-milan-2026.report", 0x034, 2, "signature algorithm" },
	{ "platform info bit 6", "v3-milan-2026.report", 0x040, 0x40, "platform info" },
	{ "platform info bit 8", "v3-milan-2026.report", 0x041, 1, "platform info" },
	{ "a masked chip key", "v3-milan-2026.report", 0x048, 2, "no key" },
	{ "signing key 7", "v3-milan-2026.report", 0x048, 7 << 2, "no key" },
	{ "signing key 2", "v3-milan-2026.report", 0x048, 2 << 2, "signing key" },
	{ "reserved bits beside the signing key", "v3-milan-2026.report", 0x048, 0x20, "reserved" },
	{ "reserved bytes at 0x4c", "v3-milan-2026.report", 0x04c, 1, "0x4c" },
	{ "the last of them", "v3-milan-2026.report", 0x04f, 1, "0x4c" },
	{ "family in version 2", "v2-milan-virtee.report", 0x188, 0x19, "0x188" },
	{ "the byte behind the stepping", "v3-milan-2026.report", 0x18b, 1, "0x188" },
	{ "the last before the chip id", "v3-milan-2026.report", 0x19f, 1, "0x188" },
	{ "behind the current version", "v3-milan-2026.report", 0x1eb, 1, "firmware version" },
	{ "behind the committed version", "v3-milan-2026.report", 0x1ef, 1, "firmware version" },
	{ "mitigations in version 3", "v3-milan-2026.report", 0x1f8, 1, "before the signature" },
	{ "current mitigations in version 3", "v3-milan-2026.report", 0x207, 1,
	  "before the signature" },
	{ "behind the mitigations", "v5-genoa-siena.report", 0x208, 1, "before the signature" },
	{ "the last signed byte", "v5-genoa-siena.report", 0x29f, 1, "before the signature" },
	{ "r larger than P-384", "v3-milan-2026.report", 0x2a0 + 48, 1, "does not fit" },
	{ "s larger than P-384", "v3-milan-2026.report", 0x2a0 + 72 + 71, 1, "does not fit" },
	{ "behind the signature", "v3-milan-2026.report", 0x2a0 + 144, 1, "behind the signature" },
	{ "the last byte", "v3-milan-2026.report", 0x49f, 1, "behind the signature" },
};

static void what_is_reserved_is_zero(void **state)
{
	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
		CLEANUP(bytes_cleanup) struct bytes r = shared_evidence(FOLDER, layouts[i].report);
		struct snp_report report;
		const char *why = "it was read";

		assert_int_equal(snp_report_parse(bytes_view(&r), &report, &why), 0);
		r.data[layouts[i].at] = layouts[i].value;
		if (snp_report_parse(bytes_view(&r), &report, &why) != -EBADMSG ||
		    !strstr(why, layouts[i].why))
			fail_msg("%s: %s", layouts[i].what, why);
	}
}

/* As the README beside the reports gives them. */
static const struct {
	const char *report;
	uint32_t version, vmpl;
	const char *policy, *current_tcb, *platform_info, *report_data, *measurement, *reported_tcb,
		*cpu, *chip_id, *committed_tcb, *firmware, *launch_tcb, *launch_mitigations;
} values[] = {
	{ "v2-milan-go.report", 2, 0, "0xb0000", "0200000000000544", "0x1",
	  "0102030405000000000000000000000000000000000000000000000000000000000000000000000000000000"
	  "0000000000000000000000000000000000000000",
	  "b07af9620f3b839b47996422ddec6058338951d984e312115131ea82705eaf5b6bdf8a9ece31a5a608eb0cf2"
	  "e4872b01",
	  "0200000000000544", "000000",
	  "3ac3fe21e13fb0990eb28a802e3fb6a29483a6b0753590c951bdd3b8e53786184ca39e359669a2b76a193677"
	  "6b564ea464cdce40c05f63c9b610c5068b006b5d",
	  "0200000000000544", "3.49.1", "0200000000000544", "0" },
	{ "v2-milan-virtee.report", 2, 0, "0x30000", "0300000000000873", "0x1",
	  "d447b55d197491bfe15cf298f9de9986b7a7c4be2468b4f6e2d53b71d7c645810b0f2cdfca0040433be063fc"
	  "1a8293f0f3f8dae7b79fecb3d1cd82bd6a93ebfd",
	  "7a1e5c266c0108dbc9bb94fa926951320940915d0aafb42464bd88b579ea158d3e1a0dc39b2c60bd95b9c480"
	  "cd81841f",
	  "0300000000000873", "000000",
	  "d49554ec717f4e5b0fe6b143bcf0405bd7ae304727edf46603f2a76aef6a3abc15d7af38db757039029f0efa"
	  "cfd08e244324884738c72b082e2f87a44d541eb6",
	  "0300000000000873", "4.52.1", "0300000000000873", "0" },
	{ "v3-genoa-tsm.report", 3, 0, "0x30000", "0a00000000001754", "0x25",
	  "4d4944424e48323869696f69736a5079787878787878787878787878787878784d4944424e48323869696f69"
	  "736a507978787878787878787878787878787878",
	  "7699e6ac12ccdfd1dfac70e649ce1f046cb2afbb003438f4cdddfe2ccbe182fa5ffbe8dcdb930454324e10c5"
	  "2c788980",
	  "0a00000000001754", "191101",
	  "7b1584c94c7a426164b2db1198903db0685b7f5fdabdf42d4da981b0de521d1d5d5d8a91932bbbc1b13f5d5c"
	  "ae45a7304657d9a9d01c50c435670f0562a5970b",
	  "0a00000000001754", "40.55.1", "0a00000000001754", "0" },
	{ "v3-milan-2026.report", 3, 0, "0x30000", "04000000000018d5", "0x25",
	  "6174746573742d746573742d666978747572652d323032360000000000000000000000000000000000000000"
	  "0000000000000000000000000000000000000000",
	  "7f51e17f72a04d5422cb2c00998166536019a217376f3aa45a630e59c805a599847ff250dbffcd07e1ba6397"
	  "71d6f05d",
	  "04000000000017d5", "190101",
	  "38d174589d2dff97a6d40cb9f9d90b9507c027491219083cef3ce73ed18f7289142d941ad61eabecd27d25f2"
	  "68c1095d665f6001358e98a4769c82734a6bb877",
	  "04000000000018d5", "29.55.1", "04000000000018d5", "0" },
	{ "v3-milan-vlek-aws.report", 3, 1, "0x30000", "04000000000018dc", "0x27",
	  "819770b7e6ea6df8dd8fd4dd146b073c0bf4f3ce5b0977ecac486e3a05ed1bd54e2a7ac1f5d1ca02e7d7d5ef"
	  "9f73b8574fd9359e3a480d741a4478e8a7bc27ca",
	  "8922ebbdd00ec2c541f36a6e7a82a8773a7accb451ed67bc94e740dbe92c93c4e8c9af857f5ceeb5a493df2a"
	  "570d7bf0",
	  "04000000000018d9", "190101",
	  "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	  "0000000000000000000000000000000000000000",
	  "04000000000018db", "29.55.1", "04000000000018db", "0" },
	{ "v4-milan-gce-no-vcek.report", 4, 0, "0x30000", "04000000000019db", "0x25",
	  "29e348d0fd42479cdeb07160db25bd924cbb46e2310a267087b2169c2537a4ea4968ab4f6b06a1fa5df386b0"
	  "f53ab5829376ecf44041bda12d6e8ad78a563b88",
	  "59ead9b42664d54fda54f707670386f61b1d3bd34e2da8c8f9ac067e617a0aae4623304a4aa98bb30756affb"
	  "4b6c0a05",
	  "04000000000019db", "190101",
	  "12d937a2e0fa646929a42b83afe5b478d3987735e384a015707ec06898e17c0997bb872e0bbb72cfd71c50ca"
	  "1560767ce1e198733e648c0ec03c2d67aac8c0b9",
	  "04000000000019db", "31.55.1", "04000000000019db", "0" },
	{ "v5-genoa-siena.report", 5, 0, "0x30000", "0a00000000001b1b", "0x25",
	  "67656e6f612d746573742d666978747572650000000000000000000000000000000000000000000000000000"
	  "0000000000000000000000000000000000000000",
	  "d9912ba396ce409c2947841d93a5076b6839b898c22b4aae05edb3b2b058a99927f8cf9a4f8617ee695deb14"
	  "795496c8",
	  "0a00000000001b1b", "19a002",
	  "b5f9a4c8280e63c97d288db6648577dc2b848884aa682d7a227ba40e50deb2b0d112b599d87aaccda78d06f4"
	  "254b1e81c4d953ef3c699db39d4e06013e9fa4ce",
	  "0a00000000001b1b", "49.55.1", "0a00000000001b1b", "b" },
};

static void hex_is(const char *report, const char *what, const void *seen, size_t len,
		   const char *expected)
{
	char hex[2 * 64 + 1];

	hex_encode(seen, len, hex);
	if (strcmp(hex, expected) != 0)
		fail_msg("%s: %s is %s, not %s", report, what, hex, expected);
}

#define HEX_IS(field) hex_is(values[i].report, #field, r.field, sizeof(r.field), values[i].field)

static void fields_have_the_values_that_the_maker_put_there(void **state)
{
	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		CLEANUP(bytes_cleanup) struct bytes raw = shared_evidence(FOLDER, values[i].report);
		struct snp_report r;
		const char *why = "";
		char text[32];

		if (snp_report_parse(bytes_view(&raw), &r, &why) != 0)
			fail_msg("%s: %s", values[i].report, why);
		assert_int_equal(r.version, values[i].version);
		assert_int_equal(r.vmpl, values[i].vmpl);
		snprintf(text, sizeof(text), "0x%llx", (unsigned long long)r.policy);
		assert_string_equal(text, values[i].policy);
		snprintf(text, sizeof(text), "0x%llx", (unsigned long long)r.platform_info);
		assert_string_equal(text, values[i].platform_info);
		snprintf(text, sizeof(text), "%02x%02x%02x", r.family, r.model, r.stepping);
		assert_string_equal(text, values[i].cpu);
		snprintf(text, sizeof(text), "%u.%u.%u", r.current.build, r.current.minor,
			 r.current.major);
		assert_string_equal(text, values[i].firmware);
		snprintf(text, sizeof(text), "%llx", (unsigned long long)r.launch_mitigations);
		assert_string_equal(text, values[i].launch_mitigations);
		HEX_IS(current_tcb);
		HEX_IS(report_data);
		HEX_IS(measurement);
		HEX_IS(reported_tcb);
		HEX_IS(chip_id);
		HEX_IS(committed_tcb);
		HEX_IS(launch_tcb);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_cut_anywhere_is_refused),
		cmocka_unit_test(what_is_reserved_is_zero),
		cmocka_unit_test(fields_have_the_values_that_the_maker_put_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
