/* SPDX-License-Identifier: Apache-2.0 */
#include "policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "claims.h"
#include "cleanup.h"
#include "policy_cca_form.h"
#include "policy_csv_form.h"
#include "policy_form.h"
#include "policy_sev_snp_form.h"
#include "quantity.h"

#define EK_CA_MAX (1024 * 1024)

CLEANUP_FUNCTION(struct policy *, policy_free)
CLEANUP_FUNCTION(struct yamldoc *, yamldoc_free)

void policy_free(struct policy *p)
{
	if (!p)
		return;
	yamldoc_unload(&policy_schema, p->form);
	arena_free(p->arena);
	bytes_done(&p->ek_ca);
	for (size_t i = 0; i < ARRAY_LEN(p->references); i++)
		manifest_done(&p->references[i].manifest);
	free(p);
}

static void read_u32(struct yamldoc *d, const char *path, const char *text, uint32_t min,
		     uint32_t max, uint32_t *ret)
{
	char found[YAMLDOC_FOUND_MAX];
	uint64_t n;

	if (!text)
		return;
	if (quantity_count(text, &n) < 0 || n < min || n > max)
		yamldoc_problem(d, path, "expected a whole number from %u to %u, found %s", min,
				max, yamldoc_quoted(text, found));
	else
		*ret = (uint32_t)n;
}

static int read_platforms(struct yamldoc *d, struct policy *p)
{
	const struct yamldoc_node *platforms = yamldoc_find(d, "platforms"), *key, *value;
	size_t n = 0;

	while (yamldoc_pair(d, platforms, n, &key, &value))
		n++;
	if (n == 0)
		yamldoc_problem(d, "platforms", "expected at least one platform, found none");
	p->platforms = arena_alloc(p->arena, (n + 1) * sizeof(*p->platforms));
	if (!p->platforms)
		return -ENOMEM;
	for (size_t i = 0; yamldoc_pair(d, platforms, i, &key, &value); i++) {
		p->platforms[i] = arena_text(p->arena, yamldoc_text(key));
		if (!p->platforms[i])
			return -ENOMEM;
	}
	return 0;
}

static int read_soft(struct yamldoc *d, struct policy *p, struct policy_soft *soft)
{
	struct digest *digests;
	char hex[DIGEST_HEX_MAX];

	if (soft->n_keys == 0)
		return 0;
	digests = policy_read_digests(d, p->arena, "platforms.soft.keys", soft->keys, soft->n_keys,
				      HASH_SHA256);
	soft->lower = arena_alloc(p->arena, (soft->n_keys + 1) * sizeof(*soft->lower));
	if (!digests || !soft->lower)
		return -ENOMEM;
	for (size_t i = 0; i < soft->n_keys; i++) {
		soft->lower[i] = arena_text(p->arena, digest_hex(&digests[i], hex));
		if (!soft->lower[i])
			return -ENOMEM;
	}
	return 0;
}

/* Values of the registers of one platform's TPM. */
struct pcrs_read {
	const char *path; /* "platforms.tpm.pcrs" */
	enum hash_alg bank;
	struct policy_pcr *pcrs;
};

static int read_pcr(struct yamldoc *d, struct policy *p, const struct pcrs_read *x,
		    unsigned int pcr, const struct yamldoc_node *list)
{
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];
	struct policy_pcr *to = &x->pcrs[pcr];
	const struct yamldoc_node *item;
	size_t n = 0;
	int r;

	snprintf(path, sizeof(path), "%s.%u", x->path, pcr);
	while (yamldoc_item(d, list, n))
		n++;
	if (n == 0) {
		yamldoc_problem_at(d, list, path, "expected a list of accepted values, found %s",
				   yamldoc_is_sequence(list) ? "an empty one"
							     : yamldoc_found(list, found));
		return 0;
	}
	to->values = arena_alloc(p->arena, n * sizeof(struct digest));
	if (!to->values)
		return -ENOMEM;
	to->n = n;
	for (size_t i = 0; (item = yamldoc_item(d, list, i)); i++) {
		r = yamldoc_text(item)
			    ? quantity_digest(yamldoc_text(item), x->bank, &to->values[i])
			    : -EINVAL;
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			yamldoc_problem_at(d, item, path, "expected %zu hex digits (%s), found %s",
					   2 * hash_size(x->bank), hash_name(x->bank),
					   yamldoc_found(item, found));
	}
	return 0;
}

static int read_pcrs(struct yamldoc *d, struct policy *p, const struct pcrs_read *x)
{
	const struct yamldoc_node *pcrs = yamldoc_find(d, x->path), *key, *value;
	char found[YAMLDOC_FOUND_MAX];
	uint64_t pcr;
	int r;

	if (!pcrs)
		return 0;
	if (!yamldoc_is_mapping(pcrs)) {
		yamldoc_problem_at(d, pcrs, x->path, "expected a mapping of PCR numbers, found %s",
				   yamldoc_found(pcrs, found));
		return 0;
	}
	for (size_t i = 0; yamldoc_pair(d, pcrs, i, &key, &value); i++) {
		if (quantity_count(yamldoc_text(key), &pcr) < 0 || pcr >= POLICY_PCRS) {
			yamldoc_problem_at(d, key, x->path, "expected a PCR from 0 to %d, found %s",
					   POLICY_PCRS - 1, yamldoc_found(key, found));
			continue;
		}
		r = read_pcr(d, p, x, (unsigned int)pcr, value);
		if (r < 0)
			return r;
	}
	return 0;
}

static void check_release(struct yamldoc *d, const struct policy_stage_form *s, size_t i)
{
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];

	if (s->n_release == 0) {
		snprintf(path, sizeof(path), "stages[%zu].release", i);
		yamldoc_problem(d, path, "expected the names of secrets, found nothing");
	}
	for (size_t k = 0; k < s->n_release; k++) {
		snprintf(path, sizeof(path), "stages[%zu].release[%zu]", i, k);
		if (!application_name_valid(s->release[k]))
			yamldoc_problem(d, path, "expected the name of a secret, found %s",
					yamldoc_quoted(s->release[k], found));
		for (size_t before = 0; before < k; before++) {
			if (strcmp(s->release[before], s->release[k]) == 0)
				yamldoc_problem(d, path,
						"expected each secret once, found %s again",
						yamldoc_quoted(s->release[k], found));
		}
	}
}

static int read_stage(struct yamldoc *d, struct policy *p, size_t i)
{
	const struct policy_stage_form *s = &p->form->stages[i];
	struct policy_stage *stage = &p->stages[i];
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];
	const char **release;
	uint64_t number;

	snprintf(path, sizeof(path), "stages[%zu].stage", i);
	if (quantity_count(s->stage, &number) < 0 || number != i + 1)
		yamldoc_problem(d, path,
				"expected %zu (stages from 1, in order, without a gap), "
				"found %s",
				i + 1, yamldoc_quoted(s->stage, found));
	snprintf(path, sizeof(path), "stages[%zu].after", i);
	if (s->after == AFTER_STATIC && !p->form->static_rules)
		yamldoc_problem(d, path, "expected reference values under \"static\", found none");
	if (s->after == AFTER_DYNAMIC && !p->form->dynamic)
		yamldoc_problem(d, path, "expected rules under \"dynamic\", found none");
	snprintf(path, sizeof(path), "stages[%zu].within", i);
	if (s->within && quantity_duration(s->within, &stage->within_ns) < 0)
		yamldoc_problem(d, path, "expected " QUANTITY_DURATION ", found %s",
				yamldoc_quoted(s->within, found));
	check_release(d, s, i);

	release = arena_alloc(p->arena, (s->n_release + 1) * sizeof(*release));
	if (!release)
		return -ENOMEM;
	for (size_t k = 0; k < s->n_release; k++)
		release[k] = s->release[k];
	stage->stage = (uint32_t)i + 1;
	stage->after = s->after == AFTER_STATIC ? POLICY_STATIC : POLICY_DYNAMIC;
	stage->release = release;
	return 0;
}

static int read_stages(struct yamldoc *d, struct policy *p)
{
	int r;

	p->stages = arena_alloc(p->arena, (p->form->n_stages + 1) * sizeof(*p->stages));
	if (!p->stages)
		return -ENOMEM;
	for (size_t i = 0; i < p->form->n_stages; i++) {
		r = read_stage(d, p, i);
		if (r < 0)
			return r;
	}
	return 0;
}

static void check_ima(struct yamldoc *d, const struct policy_platforms *platforms)
{
	const struct policy_ima *ima = platforms->tpm ? platforms->tpm->ima : NULL;

	if (ima)
		policy_check_paths(d, "platforms.tpm.ima.except", ima->except, ima->n_except);
	ima = platforms->vtpm ? platforms->vtpm->ima : NULL;
	if (ima)
		policy_check_paths(d, "platforms.vtpm.ima.except", ima->except, ima->n_except);
}

static int read_form(struct yamldoc *d, struct policy *p)
{
	struct policy_form *f = p->form;
	char found[YAMLDOC_FOUND_MAX];
	int r;

	if (!application_name_valid(f->application))
		yamldoc_problem(
			d, "application",
			"expected a name of 1 to %d letters, digits, '.', '_', '-', found %s",
			APPLICATION_NAME_MAX, yamldoc_quoted(f->application, found));
	p->version = 1;
	read_u32(d, "version", f->version, 1, UINT32_MAX, &p->version);
	p->report_every = 1;
	if (f->report_every)
		read_u32(d, "report_every.max", f->report_every->max, 1, QUANTITY_EVERY_MAX,
			 &p->report_every);
	r = read_platforms(d, p);
	if (r < 0)
		return r;
	if (f->platforms->soft) {
		r = read_soft(d, p, f->platforms->soft);
		if (r < 0)
			return r;
	}
	if (f->platforms->snp) {
		r = policy_read_sev_snp(d, p->arena, f->platforms->snp);
		if (r < 0)
			return r;
	}
	if (f->platforms->csv) {
		r = policy_read_csv(d, p->arena, f->platforms->csv);
		if (r < 0)
			return r;
	}
	if (f->platforms->cca) {
		r = policy_read_cca(d, p->arena, f->platforms->cca);
		if (r < 0)
			return r;
	}
	r = read_pcrs(d, p,
		      &(struct pcrs_read){ "platforms.tpm.pcrs", policy_tpm_bank(p), p->pcrs });
	if (r < 0)
		return r;
	r = read_pcrs(
		d, p,
		&(struct pcrs_read){ "platforms.vtpm.pcrs", policy_vtpm_bank(p), p->vtpm_pcrs });
	if (r < 0)
		return r;
	check_ima(d, f->platforms);
	if (f->platforms->tdx) {
		r = policy_read_tdx(d, p->arena, f->platforms->tdx);
		if (r < 0)
			return r;
	}
	p->configs = policy_read_digests(d, p->arena, "configurations", f->configurations,
					 f->n_configurations, HASH_SHA384);
	if (!p->configs)
		return -ENOMEM;
	policy_read_updates(d, f);
	if (f->dynamic) {
		r = policy_read_rules(d, p->arena, f->dynamic);
		if (r < 0)
			return r;
	}
	return read_stages(d, p);
}

static int parse(struct yamldoc *d, struct policy **ret)
{
	CLEANUP(policy_freep) struct policy *p = NULL;
	int r;

	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->ek_ca = BYTES_INIT(EK_CA_MAX);
	r = arena_new(POLICY_MEMORY_MAX, &p->arena);
	if (r < 0)
		return r;
	r = yamldoc_load(d, &policy_schema, &p->form);
	if (r < 0)
		return r;
	r = read_form(d, p);
	if (r < 0)
		return r;
	r = yamldoc_verdict(d);
	if (r < 0)
		return r;
	*ret = TAKE(p);
	return 0;
}

int policy_parse(struct view text, const char *file, struct policy **ret, char **ret_error)
{
	CLEANUP(yamldoc_freep) struct yamldoc *d = NULL;
	char *problems;
	int r;

	r = yamldoc_open(text, POLICY_TEXT_MAX, file, &d);
	if (r < 0)
		return r;
	r = parse(d, ret);
	if (r != -EINVAL)
		return r;
	problems = yamldoc_take_problems(d);
	if (!problems)
		return -ENOMEM;
	*ret_error = problems;
	return -EINVAL;
}

const char *policy_application(const struct policy *p)
{
	return p->form->application;
}

uint32_t policy_version(const struct policy *p)
{
	return p->version;
}

bool policy_allows_platform(const struct policy *p, const char *platform)
{
	for (char **named = p->platforms; *named; named++) {
		if (strcmp(*named, platform) == 0)
			return true;
	}
	return false;
}

enum policy_event_log policy_tpm_event_log(const struct policy *p)
{
	const struct policy_tpm *tpm = p->form->platforms->tpm;

	return tpm ? tpm->event_log : EVENT_LOG_UNSET;
}

const struct policy_ima *policy_ima_of(const struct policy *p, const char *platform)
{
	const struct policy_platforms *all = p ? p->form->platforms : NULL;

	if (all && all->tpm && strcmp(platform, "tpm") == 0)
		return all->tpm->ima;
	if (all && all->vtpm && strcmp(platform, "vtpm") == 0)
		return all->vtpm->ima;
	return NULL;
}

size_t policy_tpm_pcr(const struct policy *p, unsigned int index, const struct digest **ret)
{
	if (index >= POLICY_PCRS || p->pcrs[index].n == 0)
		return 0;
	*ret = p->pcrs[index].values;
	return p->pcrs[index].n;
}

enum hash_alg policy_tpm_bank(const struct policy *p)
{
	const struct policy_tpm *tpm = p->form->platforms->tpm;

	return tpm && tpm->bank ? tpm->bank : HASH_SHA256;
}

enum policy_event_log policy_vtpm_event_log(const struct policy *p)
{
	const struct policy_vtpm *vtpm = p ? p->form->platforms->vtpm : NULL;

	return vtpm ? vtpm->event_log : EVENT_LOG_UNSET;
}

size_t policy_vtpm_pcr(const struct policy *p, unsigned int index, const struct digest **ret)
{
	if (!p || index >= POLICY_PCRS || p->vtpm_pcrs[index].n == 0)
		return 0;
	*ret = p->vtpm_pcrs[index].values;
	return p->vtpm_pcrs[index].n;
}

enum hash_alg policy_vtpm_bank(const struct policy *p)
{
	const struct policy_vtpm *vtpm = p ? p->form->platforms->vtpm : NULL;

	return vtpm && vtpm->bank ? vtpm->bank : HASH_SHA256;
}

const char *policy_tpm_ek_ca_file(const struct policy *p)
{
	return p->form->platforms->tpm ? p->form->platforms->tpm->ek_ca : NULL;
}

struct view policy_tpm_ek_ca(const struct policy *p)
{
	return bytes_view(&p->ek_ca);
}

int policy_attach_ek_ca(struct policy *p, struct view pem)
{
	bytes_reset(&p->ek_ca);
	return bytes_append_view(&p->ek_ca, pem);
}

const char *const *policy_soft_keys(const struct policy *p)
{
	return p->form->platforms->soft ? p->form->platforms->soft->lower : NULL;
}

bool policy_requires_initrd(const struct policy *p)
{
	return p->form->initrd == INITRD_REQUIRE;
}

uint32_t policy_report_every_max(const struct policy *p)
{
	return p->report_every;
}

size_t policy_configs(const struct policy *p, const struct digest **ret)
{
	*ret = p->configs;
	return p->form->n_configurations;
}

size_t policy_stage_count(const struct policy *p)
{
	return p->form->n_stages;
}

const struct policy_stage *policy_stage(const struct policy *p, uint32_t stage)
{
	return stage >= 1 && stage <= p->form->n_stages ? &p->stages[stage - 1] : NULL;
}
