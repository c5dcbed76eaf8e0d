/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "boot_files.h"
#include "claims.h"
#include "command.h"
#include "output.h"
#include "snp_boot.h"
#include "tdx_boot.h"
#include "terminal.h"

#define BANKS_MAX 4

struct request {
	struct boot_files files;
	size_t n_banks;
	enum hash_alg banks[BANKS_MAX];
	struct snp_boot snp;
	const char *tdx_firmware;
	const char *application;
	bool policy, json;
};

/* What was predicted of the reports of a TEE, apart from the banks. snp "": it was not asked for.
 */
struct launch {
	char snp[DIGEST_HEX_MAX]; /* the launch digest */
	bool has_tdx;
	struct tdx_boot tdx;
};

/* What was predicted for one bank. */
struct prediction {
	struct boot_values values;
	bool has_aggregate;
	struct digest aggregate;
};

static bool known(const struct boot_values *v, unsigned int pcr)
{
	return v->known >> pcr & 1;
}

static const char *comment(const struct request *q, unsigned int pcr)
{
	switch (pcr) {
	case BOOT_PCR_IMAGES:
		return q->files.uki ? "the unified kernel image" : "the kernel";
	case BOOT_PCR_LINUX:
		return "command line and initrd";
	case BOOT_PCR_IMA:
		return "boot_aggregate, where there is no IMA policy";
	case BOOT_PCR_UNIFIED:
		return q->files.uki ? "sections of the image" : "nothing";
	default:
		return "as given";
	}
}

static void print_text(const struct request *q, const struct prediction *p)
{
	char hex[DIGEST_HEX_MAX];

	for (unsigned int i = 0; i < BOOT_PCRS; i++) {
		if (known(&p->values, i))
			printf("%s %2u  %s  %s\n", hash_name(p->values.alg), i,
			       digest_hex(&p->values.pcr[i], hex), comment(q, i));
	}
	if (p->has_aggregate)
		printf("%s boot_aggregate  %s\n", hash_name(p->values.alg),
		       digest_hex(&p->aggregate, hex));
}

static void print_tdx(const struct tdx_boot *t)
{
	char hex[DIGEST_HEX_MAX];

	printf("tdx mrtd  %s\n", digest_hex(&t->mrtd, hex));
	for (size_t i = 0; i < t->n; i++)
		printf("tdx rtmr1  %s  %s\n", digest_hex(&t->rtmr1[i].value, hex), t->rtmr1[i].of);
	if (t->has_rtmr2)
		printf("tdx rtmr2  %s  command line and initrd\n", digest_hex(&t->rtmr2, hex));
}

static void print_tdx_policy(const struct tdx_boot *t)
{
	char hex[DIGEST_HEX_MAX];

	printf("  tdx:\n    mrtd: [%s]\n", digest_hex(&t->mrtd, hex));
	if (t->n)
		printf("    rtmr1:\n");
	for (size_t i = 0; i < t->n; i++)
		printf("      - %s # %s\n", digest_hex(&t->rtmr1[i].value, hex), t->rtmr1[i].of);
	if (t->has_rtmr2)
		printf("    rtmr2: [%s] # command line and initrd\n", digest_hex(&t->rtmr2, hex));
}

static int print_policy(const struct request *q, const struct prediction *p,
			const struct launch *launch)
{
	char hex[DIGEST_HEX_MAX];

	printf("# Boot values from the files that will be booted. Still to be said: whose TPM\n"
	       "# (ek_ca), what the application may be and do, and the stages.\n"
	       "application: \"%s\"\n"
	       "version: 1\n"
	       "platforms:\n"
	       "  tpm:\n"
	       "    bank: %s\n"
	       "    pcrs:\n",
	       q->application, hash_name(p->values.alg));
	for (unsigned int i = 0; i < BOOT_PCRS; i++) {
		/* IMA goes on extending its PCR, and one that nobody extends says nothing. */
		if (!known(&p->values, i) || i == BOOT_PCR_IMA ||
		    (i == BOOT_PCR_UNIFIED && !q->files.uki))
			continue;
		printf("      %u: [%s] # %s\n", i, digest_hex(&p->values.pcr[i], hex),
		       comment(q, i));
	}
	if (launch->snp[0])
		printf("  sev-snp:\n    measurement: [%s]\n", launch->snp);
	if (launch->has_tdx)
		print_tdx_policy(&launch->tdx);
	return EXIT_GOOD;
}

static json_t *bank_json(const struct prediction *p)
{
	json_t *pcrs = json_object(), *bank;
	char hex[DIGEST_HEX_MAX], name[8];
	int r = pcrs ? 0 : -1;

	for (unsigned int i = 0; i < BOOT_PCRS && r == 0; i++) {
		if (!known(&p->values, i))
			continue;
		snprintf(name, sizeof(name), "%u", i);
		r = json_object_set_new(pcrs, name,
					json_string(digest_hex(&p->values.pcr[i], hex)));
	}
	bank = r == 0 ? json_pack("{s:O}", "pcrs", pcrs) : NULL;
	json_decref(pcrs);
	if (bank && p->has_aggregate)
		r = json_object_set_new(bank, "boot_aggregate",
					json_string(digest_hex(&p->aggregate, hex)));
	if (r == 0)
		return bank;
	json_decref(bank);
	return NULL;
}

static json_t *tdx_json(const struct tdx_boot *t)
{
	json_t *tdx = json_object(), *rtmr1 = json_array();
	char hex[DIGEST_HEX_MAX];
	int r = tdx && rtmr1 ? 0 : -1;

	for (size_t i = 0; i < t->n && r == 0; i++)
		r = json_array_append_new(rtmr1, json_string(digest_hex(&t->rtmr1[i].value, hex)));
	if (r == 0)
		r = json_object_set_new(tdx, "mrtd", json_string(digest_hex(&t->mrtd, hex)));
	if (r == 0 && t->n)
		r = json_object_set(tdx, "rtmr1", rtmr1);
	if (r == 0 && t->has_rtmr2)
		r = json_object_set_new(tdx, "rtmr2", json_string(digest_hex(&t->rtmr2, hex)));
	json_decref(rtmr1);
	if (r == 0)
		return tdx;
	json_decref(tdx);
	return NULL;
}

/* {platform: {name: hex}} of those that were asked for. */
static int add_launch(json_t *all, const struct launch *launch)
{
	int r = 0;

	if (launch->snp[0])
		r = json_object_set_new(all, "sev_snp",
					json_pack("{s:s}", "measurement", launch->snp));
	if (r == 0 && launch->has_tdx)
		r = json_object_set_new(all, "tdx", tdx_json(&launch->tdx));
	return r;
}

static int print_json(const struct request *q, const struct prediction *p,
		      const struct launch *launch)
{
	json_t *banks = json_object(), *all = NULL;
	int r = banks ? 0 : -1;

	for (size_t i = 0; i < q->n_banks && r == 0; i++)
		r = json_object_set_new(banks, hash_name(p[i].values.alg), bank_json(&p[i]));
	if (r == 0)
		all = json_pack("{s:s, s:b, s:O}", "boot", q->files.uki ? "uki" : "direct",
				"secure_boot", (int)q->files.secure_boot, "banks", banks);
	json_decref(banks);
	if (all && add_launch(all, launch) < 0) {
		json_decref(all);
		all = NULL;
	}
	return output_json(all, EXIT_GOOD);
}

static int predict(const struct request *q, enum hash_alg bank, struct prediction *ret)
{
	struct prediction p = { 0 };
	int status, r;

	status = boot_files_values(&q->files, bank, &p.values);
	if (status != EXIT_GOOD)
		return status;
	/* The kernel makes its aggregate of the SHA-256 bank where there is one. */
	r = bank == HASH_SHA256 ? boot_values_aggregate(&p.values, &p.aggregate) : -ENODATA;
	p.has_aggregate = r == 0;
	if (r == 0 && !known(&p.values, BOOT_PCR_IMA))
		r = boot_values_ima(&p.values);
	if (r < 0 && r != -ENODATA) {
		terminal_error("%s", strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	*ret = p;
	return EXIT_GOOD;
}

static int measure_boot(const struct request *q)
{
	struct prediction predictions[BANKS_MAX];
	struct launch launch = { 0 };
	struct digest measurement;
	int status;

	for (size_t i = 0; i < q->n_banks; i++) {
		status = predict(q, q->banks[i], &predictions[i]);
		if (status != EXIT_GOOD)
			return status;
	}
	if (q->snp.firmware) {
		status = snp_boot_measurement(&q->snp, &q->files, &measurement);
		if (status != EXIT_GOOD)
			return status;
		digest_hex(&measurement, launch.snp);
	}
	if (q->tdx_firmware) {
		status = tdx_boot_predict(q->tdx_firmware, &q->files, &launch.tdx);
		if (status != EXIT_GOOD)
			return status;
		launch.has_tdx = true;
	}
	if (q->files.kernel && !q->files.memory_mib)
		terminal_note("PCR 4 is left out: it depends on the machine's --memory");
	if (q->policy)
		return print_policy(q, &predictions[0], &launch);
	if (q->json)
		return print_json(q, predictions, &launch);
	for (size_t i = 0; i < q->n_banks; i++)
		print_text(q, &predictions[i]);
	if (launch.snp[0])
		printf("sev-snp measurement  %s\n", launch.snp);
	if (launch.has_tdx)
		print_tdx(&launch.tdx);
	return EXIT_GOOD;
}

/* "sha256,sha384". */
static int read_banks(struct request *q, const char *text)
{
	char name[16];
	size_t len;

	q->n_banks = 0;
	for (;; text += len + 1) {
		len = strcspn(text, ",");
		if (q->n_banks == BANKS_MAX || len >= sizeof(name))
			return -EINVAL;
		snprintf(name, sizeof(name), "%.*s", (int)len, text);
		q->banks[q->n_banks] = hash_by_name(name);
		if (q->banks[q->n_banks] == HASH_NONE)
			return -EINVAL;
		for (size_t i = 0; i < q->n_banks; i++)
			if (q->banks[i] == q->banks[q->n_banks])
				return -EINVAL;
		q->n_banks++;
		if (!text[len])
			return 0;
	}
}

enum {
	OPTION_BANKS = BOOT_FILES_OTHER,
	OPTION_APPLICATION,
	OPTION_FIRMWARE,
	OPTION_VCPUS,
	OPTION_CPU,
	OPTION_TDX_FIRMWARE,
};

static int run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		BOOT_FILES_OPTIONS,
		{ "bank", required_argument, NULL, OPTION_BANKS },
		{ "application", required_argument, NULL, OPTION_APPLICATION },
		{ "firmware", required_argument, NULL, OPTION_FIRMWARE },
		{ "vcpus", required_argument, NULL, OPTION_VCPUS },
		{ "cpu", required_argument, NULL, OPTION_CPU },
		{ "tdx-firmware", required_argument, NULL, OPTION_TDX_FIRMWARE },
		{ "policy", no_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct request q = { .n_banks = 1, .banks = { HASH_SHA256 }, .application = "application" };
	int o, r;

	while ((o = getopt_long(argc, argv, "pjh", options, NULL)) != -1) {
		r = boot_files_option(&q.files, o, optarg);
		if (r < 0)
			return EXIT_WRONG_USE;
		if (r > 0)
			continue;
		if (o == OPTION_BANKS && read_banks(&q, optarg) < 0)
			return command_wrong_use(c,
						 "--bank: expected sha256, sha384 and so on, "
						 "each once, found '%s'",
						 optarg);
		else if (o == OPTION_VCPUS && snp_boot_vcpus(&q.snp, optarg) < 0)
			return command_wrong_use(c, "--vcpus: expected 1 to %d, found '%s'",
						 SNP_VCPUS_MAX, optarg);
		else if (o == OPTION_CPU && snp_boot_cpu(&q.snp, optarg) < 0)
			return command_wrong_use(c,
						 "--cpu: expected FAMILY,MODEL,STEPPING, "
						 "found '%s'",
						 optarg);
		else if (o == OPTION_FIRMWARE)
			q.snp.firmware = optarg;
		else if (o == OPTION_TDX_FIRMWARE)
			q.tdx_firmware = optarg;
		else if (o == OPTION_APPLICATION)
			q.application = optarg;
		else if (o == 'p')
			q.policy = true;
		else if (o == 'j')
			q.json = true;
		else if (o != OPTION_BANKS && o != OPTION_VCPUS && o != OPTION_CPU)
			return command_other_option(c, o);
	}
	if (optind != argc)
		return command_wrong_use(c, "unexpected argument '%s'", argv[optind]);
	if (boot_files_wrong(&q.files))
		return command_wrong_use(c, "%s", boot_files_wrong(&q.files));
	if (!q.snp.firmware != !q.snp.vcpus || !q.snp.firmware != !q.snp.cpu_given)
		return command_wrong_use(c, "--firmware, --vcpus and --cpu go together");
	if (q.policy && q.json)
		return command_wrong_use(c, "either --policy or --json goes to standard output");
	if (q.policy && q.n_banks > 1)
		return command_wrong_use(c, "a policy has the values of one bank");
	if (!application_name_valid(q.application))
		return command_wrong_use(c, "'%s' is not the name of an application",
					 q.application);
	return measure_boot(&q);
}

const struct command command_measure_boot = {
	.name = "measure boot",
	.arguments = BOOT_FILES_ARGUMENTS " [--firmware FILE --vcpus N --cpu F,M,S] "
					  "[--tdx-firmware FILE] [--pcr N=HEX]... [--bank NAMES] "
					  "[--policy [--application NAME]|--json]",
	.summary = "Predict the PCRs of a boot from the files that will be booted",
	.options = "PCR 4, 9 and 11 as OVMF, Linux' EFI stub and the stub of systemd 252 extend "
		   "them. With PCR 0\nto 9 known, also IMA's boot_aggregate.\n\n" BOOT_FILES_HELP
		   "      --firmware FILE   for SEV-SNP the measurement of a launch by QEMU with "
		   "this OVMF,\n"
		   "                        and with the hashes of the kernel of --kernel\n"
		   "      --vcpus N         its processors (-smp)\n"
		   "      --cpu F,M,S       family, model and stepping that they have (-cpu): "
		   "25,1,1 is\n"
		   "                        EPYC-Milan, 25,17,0 EPYC-Genoa\n"
		   "      --tdx-firmware FILE\n"
		   "                        for TDX the MRTD of a machine that QEMU builds of "
		   "this OVMF,\n"
		   "                        RTMR1 of one with --kernel, and RTMR2\n"
		   "      --bank NAMES      of the PCRs: sha256 (the default), sha384, sha512, "
		   "sha1; with commas\n"
		   "  -p, --policy          print a policy to start from\n"
		   "      --application N   the policy's application\n"
		   "  -j, --json            print one JSON object\n",
	.run = run,
};
