/* SPDX-License-Identifier: Apache-2.0 */
#include "ear.h"

#include <stdbool.h>
#include <string.h>

#include "cleanup.h"

#define PROFILE	  "tag:ietf.org,2026:rats/ear#04"
#define DEVELOPER "assay"

/* AR4SI, 2.3: 2 to 31 affirm, 32 to 95 warn, 96 to 127 contraindicate; 0 claims nothing. */
enum {
	NOTHING = 0,
	GOOD = 2,
	GOOD_BOOT = 3,
	WARNING = 32,
	UNRECOGNISED = 33,
	VISIBLE = 96,
	BAD_INSTANCE = 97,
	BAD_SIGNATURE = 99
};

enum claim {
	INSTANCE_IDENTITY,
	CONFIGURATION,
	EXECUTABLES,
	FILE_SYSTEM,
	HARDWARE,
	RUNTIME_OPAQUE,
	SOURCED_DATA,
	CLAIMS,
};

static const char *const claim_names[CLAIMS] = {
	[INSTANCE_IDENTITY] = "instance-identity",
	[CONFIGURATION] = "configuration",
	[EXECUTABLES] = "executables",
	[FILE_SYSTEM] = "file-system",
	[HARDWARE] = "hardware",
	[RUNTIME_OPAQUE] = "runtime-opaque",
	[SOURCED_DATA] = "sourced-data",
};

/* What a broken rule says of which claim: the first row whose text the rule begins with. */
static const struct {
	const char *begins, *ends; /* ends may be NULL: any */
	enum claim claim;
	int value;
} meanings[] = {
	{ "evidence.key", NULL, INSTANCE_IDENTITY, BAD_INSTANCE },
	{ "evidence", NULL, HARDWARE, BAD_SIGNATURE },
	{ "platforms", ".debug", RUNTIME_OPAQUE, VISIBLE },
	{ "platforms", "tcb_status", HARDWARE, WARNING },
	{ "platforms", "minimum_tcb", HARDWARE, WARNING },
	{ "platforms", NULL, EXECUTABLES, UNRECOGNISED },
	{ "static", NULL, FILE_SYSTEM, WARNING },
	{ "dynamic.files", NULL, FILE_SYSTEM, WARNING },
	{ "dynamic.code", NULL, EXECUTABLES, UNRECOGNISED },
	{ "dynamic.process", NULL, EXECUTABLES, UNRECOGNISED },
	{ "dynamic.kernel", NULL, RUNTIME_OPAQUE, VISIBLE },
	{ "dynamic.descriptors", NULL, RUNTIME_OPAQUE, VISIBLE },
	{ "dynamic.environment", NULL, CONFIGURATION, WARNING },
	{ "dynamic.machine", NULL, CONFIGURATION, WARNING },
	{ "machine", NULL, CONFIGURATION, WARNING },
	{ "runtime", NULL, RUNTIME_OPAQUE, VISIBLE },
	{ "", NULL, SOURCED_DATA, WARNING }, /* connections, traffic, logs, resources, disk ... */
};

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool ends(const char *text, const char *with)
{
	size_t len = strlen(text), n = strlen(with);

	return len >= n && strcmp(text + len - n, with) == 0;
}

/* Memory that the chip encrypts: a machine with nothing but a TPM has none. */
static bool encrypts(const char *platform)
{
	return strcmp(platform, "tpm") != 0;
}

/* A good verdict affirms what was judged, and claims nothing of the rest. */
static void affirm(const char *platform, bool dynamic, int vector[CLAIMS])
{
	for (size_t i = 0; i < CLAIMS; i++)
		vector[i] = GOOD;
	if (!encrypts(platform))
		vector[RUNTIME_OPAQUE] = NOTHING;
	if (dynamic)
		return;
	vector[EXECUTABLES] = GOOD_BOOT;
	vector[RUNTIME_OPAQUE] = NOTHING;
	vector[SOURCED_DATA] = NOTHING;
}

static void charge(const char *rule, bool warning, int vector[CLAIMS])
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		int value = warning ? WARNING : meanings[i].value;

		if (!starts(rule, meanings[i].begins) ||
		    (meanings[i].ends && !ends(rule, meanings[i].ends)))
			continue;
		if (value > vector[meanings[i].claim])
			vector[meanings[i].claim] = value;
		return;
	}
}

/* Of evidence that is not genuine nothing else was learnt. */
static bool genuine(const json_t *reasons)
{
	json_t *one;
	size_t i;

	json_array_foreach(reasons, i, one)
	{
		const char *rule = json_string_value(json_object_get(one, "rule"));

		if (rule && starts(rule, "evidence") &&
		    !json_is_true(json_object_get(one, "warning")))
			return false;
	}
	return true;
}

static const char *status_of(const json_t *application, const int vector[CLAIMS])
{
	int worst = NOTHING;

	if (!json_is_true(json_object_get(application, "accepted")) ||
	    json_is_true(json_object_get(application, "latched")))
		return "contraindicated";
	for (size_t i = 0; i < CLAIMS; i++)
		worst = vector[i] > worst ? vector[i] : worst;
	return worst == NOTHING ? "none" : worst < WARNING ? "affirming" : "warning";
}

static json_t *vector_json(const int vector[CLAIMS])
{
	json_t *o = json_object();

	for (size_t i = 0; o && i < CLAIMS; i++) {
		if (vector[i] != NOTHING)
			json_object_set_new(o, claim_names[i], json_integer(vector[i]));
	}
	return o;
}

/* AR4SI has no claim for a chip that is none: whatever it signs proves nothing. */
static json_t *appraisal_of(const json_t *application, const char *platform, bool insecure)
{
	const char *kind = json_string_value(json_object_get(application, "kind"));
	json_t *reasons = json_object_get(application, "reasons"), *one, *o;
	int vector[CLAIMS] = { 0 };
	size_t i;

	if (!insecure && genuine(reasons))
		affirm(platform, kind && strcmp(kind, "dynamic") == 0, vector);
	json_array_foreach(reasons, i, one)
	{
		const char *rule = json_string_value(json_object_get(one, "rule"));

		if (rule)
			charge(rule, json_is_true(json_object_get(one, "warning")), vector);
	}
	o = json_pack("{s:s, s:o, s:O?, s:O?, s:O?, s:O?, s:O?}", "ear_status",
		      status_of(application, vector), "ear_trustworthiness_vector",
		      vector_json(vector), "assay_run", json_object_get(application, "run"),
		      "assay_kind", json_object_get(application, "kind"), "assay_stage",
		      json_object_get(application, "stage"), "assay_sequence",
		      json_object_get(application, "sequence"), "assay_reasons", reasons);
	if (o)
		json_object_set(o, "assay_measured_ns", json_object_get(application, "last_ns"));
	return o;
}

int ear_claims(const json_t *attester, const struct ear_context *context, json_t **ret)
{
	const char *platform = json_string_value(json_object_get(attester, "platform"));
	bool insecure = json_is_true(json_object_get(attester, "insecure"));
	size_t nonce = context->nonce ? strlen(context->nonce) : 0;
	json_t *submods, *one, *o;
	size_t i;

	if (context->nonce && (nonce < EAR_NONCE_MIN || nonce > EAR_NONCE_MAX))
		return -EINVAL;
	submods = json_object();
	json_array_foreach(json_object_get(attester, "applications"), i, one)
	{
		const char *name = json_string_value(json_object_get(one, "application"));

		if (!submods || !name ||
		    json_object_set_new(submods, name,
					appraisal_of(one, platform ? platform : "", insecure)) <
			    0) {
			json_decref(submods);
			return -ENOMEM;
		}
	}
	o = json_pack("{s:s, s:I, s:I, s:{s:s, s:s}, s:o, s:O?, s:s?}", "eat_profile", PROFILE,
		      "iat", (json_int_t)context->now, "exp",
		      (json_int_t)(context->now + context->valid), "ear_verifier_id", "developer",
		      DEVELOPER, "build", context->build, "submods", submods, "assay_attester",
		      json_object_get(attester, "attester"), "assay_platform", platform);
	if (!o)
		return -ENOMEM;
	if (context->nonce &&
	    json_object_set_new(o, "eat_nonce", json_string(context->nonce)) < 0) {
		json_decref(o);
		return -ENOMEM;
	}
	*ret = o;
	return 0;
}
