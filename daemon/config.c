/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config_form.h"
#include "log.h"
#include "quantity.h"

#define DEFAULT_RUNTIME	    "/run/assay"
#define DEFAULT_STATE	    "/var/lib/assay"
#define DEFAULT_NET_USER    "_assay-net"
#define DEFAULT_TCTI	    "device:/dev/tpmrm0"
#define DEFAULT_PCRS	    0xbffu /* 0 to 9, and 11, where systemd's stub measures the kernel */
#define DEFAULT_RUNTIME_PCR 15
#define DEFAULT_QUEUE	    1000
#define QUEUE_MAX	    1000000
#define TEE_TIMEOUT_MIN_NS  (UINT64_C(1000) * 1000 * 1000)
#define TEE_TIMEOUT_MAX_NS  (UINT64_C(600) * 1000 * 1000 * 1000)

/* All that the configuration points to is in the arena. */
struct loaded {
	struct config config; /* first: a caller's pointer casts back */
	struct arena *arena;
};

static void loaded_free(struct loaded *l)
{
	if (!l)
		return;
	arena_free(l->arena);
	free(l);
}

CLEANUP_FUNCTION(struct loaded *, loaded_free)
CLEANUP_FUNCTION(struct yamldoc *, yamldoc_free)

void config_free(struct config *c)
{
	loaded_free((struct loaded *)c);
}

void *config_room(struct config_reading *x, size_t n, size_t size)
{
	void *p = arena_alloc(x->arena, (n + 1) * size);

	if (!p)
		x->out_of_memory = true;
	return p;
}

char *config_text(struct config_reading *x, const char *text)
{
	char *copy = text ? arena_text(x->arena, text) : NULL;

	if (text && !copy)
		x->out_of_memory = true;
	return copy;
}

char **config_texts(struct config_reading *x, char *const *texts, size_t n)
{
	char **copies = config_room(x, n, sizeof(*copies));

	for (size_t i = 0; copies && i < n; i++)
		copies[i] = config_text(x, texts[i]);
	return copies;
}

void config_check_path(struct config_reading *x, const char *path, const char *text)
{
	char found[YAMLDOC_FOUND_MAX];

	if (text && text[0] != '/')
		yamldoc_problem(x->d, path, "expected an absolute path, found %s",
				yamldoc_quoted(text, found));
}

void config_check_paths(struct config_reading *x, const char *path, char *const *texts, size_t n)
{
	char item[YAMLDOC_PATH_MAX];

	for (size_t i = 0; i < n; i++) {
		snprintf(item, sizeof(item), "%s[%zu]", path, i);
		config_check_path(x, item, texts[i]);
	}
}

void config_number(struct config_reading *x, const char *path, const char *text, uint32_t min,
		   uint32_t max, uint32_t *ret)
{
	char found[YAMLDOC_FOUND_MAX];
	uint64_t n;

	if (!text)
		return;
	if (quantity_count(text, &n) < 0 || n < min || n > max)
		yamldoc_problem(x->d, path, "expected a whole number from %u to %u, found %s", min,
				max, yamldoc_quoted(text, found));
	else
		*ret = (uint32_t)n;
}

/* HOST:PORT; the length of the host, without brackets, in *ret. */
static int host_of(const char *address, const char **ret, size_t *ret_len)
{
	const char *port = strrchr(address, ':'), *host = address;
	size_t len;
	uint64_t n;
	int r;

	if (!port)
		return -EINVAL;
	len = (size_t)(port - address);
	r = quantity_count(port + 1, &n);
	if (r < 0)
		return r;
	if (n < 1 || n > UINT16_MAX)
		return -EINVAL;
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(host, ':', len)) {
		return -EINVAL;
	}
	if (len == 0)
		return -EINVAL;
	*ret = host;
	*ret_len = len;
	return 0;
}

static void read_verifier(struct config_reading *x, const struct form_verifier *f, struct config *c)
{
	const char *dialled = f->address ? f->address : f->listen, *host;
	char found[YAMLDOC_FOUND_MAX];
	size_t len;

	if (!f->address == !f->listen) {
		yamldoc_problem(x->d, "verifier", "expected either address or listen, found %s",
				f->address ? "both" : "neither");
		return;
	}
	config_check_path(x, "verifier.ca", f->ca);
	c->verifier_address = config_text(x, f->address);
	c->verifier_listen = config_text(x, f->listen);
	c->verifier_ca = config_text(x, f->ca);
	c->verifier_name = config_text(x, f->name);
	if (host_of(dialled, &host, &len) < 0) {
		yamldoc_problem(x->d, f->address ? "verifier.address" : "verifier.listen",
				"expected HOST:PORT, found %s", yamldoc_quoted(dialled, found));
		return;
	}
	if (f->listen && !f->name)
		yamldoc_problem(x->d, "verifier.name",
				"expected the name in the verifier's certificate, found nothing");
	if (f->address && !f->name) {
		c->verifier_name = arena_printf(x->arena, "%.*s", (int)len, host);
		if (!c->verifier_name)
			x->out_of_memory = true;
	}
}

static void read_attester(struct config_reading *x, const char *text, struct config *c)
{
	static const char *const known[] = {
		"auto", "tdx", "sev-snp", "csv", "cca", "vtpm", "tpm", "soft"
	};
	char found[YAMLDOC_FOUND_MAX];

	c->attester = config_text(x, text ? text : "auto");
	for (size_t i = 0; text && i < ARRAY_LEN(known); i++) {
		if (strcmp(text, known[i]) == 0)
			return;
	}
	if (text)
		yamldoc_problem(x->d, "attester",
				"expected one of auto, tdx, sev-snp, csv, cca, vtpm, tpm, "
				"soft, found %s",
				yamldoc_quoted(text, found));
}

static void read_chip(struct config_reading *x, const struct form *form, struct config *c)
{
	static const struct form_tpm none;
	const struct form_tpm *f = form->tpm ? form->tpm : &none;
	uint32_t pcr, runtime = DEFAULT_RUNTIME_PCR;
	char path[YAMLDOC_PATH_MAX];

	config_check_path(x, "tpm.event_log", f->event_log);
	if (f->ima_log && strcmp(f->ima_log, CONFIG_NONE) != 0)
		config_check_path(x, "tpm.ima_log", f->ima_log);
	/* From 16 on a PCR can be reset, or belongs to the processor's own launch. */
	config_number(x, "tpm.runtime_pcr", f->runtime_pcr, 0, 15, &runtime);
	c->chip.runtime_pcr = runtime;
	c->chip.pcrs = f->n_pcrs > 0 ? 0 : DEFAULT_PCRS;
	for (size_t i = 0; i < f->n_pcrs; i++) {
		pcr = 0;
		snprintf(path, sizeof(path), "tpm.pcrs[%zu]", i);
		config_number(x, path, f->pcrs[i], 0, 23, &pcr);
		c->chip.pcrs |= 1u << pcr;
	}
	c->chip.tcti = config_text(x, f->tcti ? f->tcti : DEFAULT_TCTI);
	c->chip.state = c->state_directory;
	c->chip.bank = f->bank ? f->bank : HASH_SHA256;
	c->chip.event_log = config_text(x, f->event_log);
	c->ima_log = config_text(x, f->ima_log);
	if (form->soft)
		config_check_path(x, "soft.key", form->soft->key);
	c->chip.key = config_text(x, form->soft ? form->soft->key : NULL);
	if (strcmp(c->attester ? c->attester : "", "soft") == 0 && !form->soft)
		yamldoc_problem(x->d, "soft.key",
				"expected a key file for the attester soft, "
				"found nothing");
}

static void read_tee(struct config_reading *x, const struct form_tee *f, struct config *c)
{
	char found[YAMLDOC_FOUND_MAX];
	uint64_t ns = 0;

	if (!f)
		return;
	if (f->timeout && (quantity_duration(f->timeout, &ns) < 0 || ns < TEE_TIMEOUT_MIN_NS ||
			   ns > TEE_TIMEOUT_MAX_NS))
		yamldoc_problem(x->d, "tee.timeout",
				"expected " QUANTITY_DURATION " from 1s to 10m, found %s",
				yamldoc_quoted(f->timeout, found));
	c->chip.timeout_ms = (uint32_t)(ns / (1000 * 1000));
	config_check_path(x, "tee.event_log", f->event_log);
	c->chip.tee_event_log = config_text(x, f->event_log);
	config_check_paths(x, "tee.endorsements", f->endorsements, f->n_endorsements);
	c->chip.tee_endorsements = config_texts(x, f->endorsements, f->n_endorsements);
}

static void read_places(struct config_reading *x, const struct form *f, struct config *c)
{
	config_check_path(x, "socket", f->socket);
	config_check_path(x, "credential_socket", f->credential_socket);
	config_check_path(x, "runtime_directory", f->runtime_directory);
	config_check_path(x, "state_directory", f->state_directory);
	config_check_path(x, "cgroup", f->cgroup);
	c->runtime_directory =
		config_text(x, f->runtime_directory ? f->runtime_directory : DEFAULT_RUNTIME);
	c->state_directory =
		config_text(x, f->state_directory ? f->state_directory : DEFAULT_STATE);
	c->socket = f->socket ? config_text(x, f->socket)
			      : arena_printf(x->arena, "%s/app.sock",
					     c->runtime_directory ? c->runtime_directory : "");
	if (!c->socket)
		x->out_of_memory = true;
	c->credential_socket = config_text(x, f->credential_socket);
	c->cgroup = config_text(x, f->cgroup);
}

static void read_applications(struct config_reading *x, const struct form *f, struct config *c)
{
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];

	c->applications = config_room(x, f->n_applications, sizeof(*c->applications));
	if (!c->applications)
		return;
	c->n_applications = f->n_applications;
	for (size_t i = 0; i < c->n_applications; i++) {
		config_read_application(x, &f->applications[i], i, &c->applications[i]);
		for (size_t k = 0; k < i; k++) {
			if (strcmp(f->applications[k].name, f->applications[i].name) != 0)
				continue;
			snprintf(path, sizeof(path), "applications[%zu].name", i);
			yamldoc_problem(x->d, path, "expected another name, found %s again",
					yamldoc_quoted(f->applications[i].name, found));
			break;
		}
	}
}

static void read_protect(struct config_reading *x, const struct form *f, struct config *c)
{
	for (size_t i = 0; i < f->n_protect; i++)
		c->protect |= f->protect[i];
	c->protect_required = f->protect_required == FORM_TRUE;
	if (c->protect_required && !c->protect)
		yamldoc_problem(x->d, "protect",
				"expected self, files or chip beside \"protect_required: true\", "
				"found nothing");
}

static void read_form(struct config_reading *x, const struct form *f, struct config *c)
{
	read_verifier(x, f->verifier, c);
	c->mi_separate = f->mi_channel == FORM_MI_SEPARATE;
	c->hooks_full = f->hooks == FORM_HOOKS_FULL;
	if (c->mi_separate && c->verifier_listen)
		yamldoc_problem(x->d, "mi_channel",
				"expected same where the verifier dials (verifier.listen), "
				"found separate");
	read_protect(x, f, c);
	read_attester(x, f->attester, c);
	read_places(x, f, c);
	read_chip(x, f, c);
	read_tee(x, f->tee, c);
	c->net_user = config_text(x, f->net_user ? f->net_user : DEFAULT_NET_USER);
	c->queue_max = DEFAULT_QUEUE;
	config_number(x, "queue", f->queue, 1, QUEUE_MAX, &c->queue_max);
	c->log_level = f->log_level ? f->log_level : LOG_LEVEL_INFO;
	config_read_initrd(x, f->initrd, c);
	read_applications(x, f, c);
}

static int parse(struct yamldoc *d, struct loaded *l)
{
	struct config_reading x = { .d = d, .arena = l->arena };
	struct form *form = NULL;
	int r;

	r = yamldoc_load(d, &config_schema, &form);
	if (r < 0)
		return r;
	read_form(&x, form, &l->config);
	yamldoc_unload(&config_schema, form);
	if (x.out_of_memory)
		return -ENOMEM;
	return yamldoc_verdict(d);
}

int config_parse(struct view text, const char *file, struct config **ret, char **ret_error)
{
	CLEANUP(yamldoc_freep) struct yamldoc *d = NULL;
	CLEANUP(loaded_freep) struct loaded *l = NULL;
	char *problems;
	int r;

	r = yamldoc_open(text, CONFIG_MAX, file, &d);
	if (r < 0)
		return r;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	r = arena_new(CONFIG_MEMORY_MAX, &l->arena);
	if (r == 0)
		r = parse(d, l);
	if (r == 0)
		r = digest_of(HASH_SHA384, text, &l->config.digest);
	if (r == 0) {
		*ret = &TAKE(l)->config;
		return 0;
	}
	if (r != -EINVAL)
		return r;
	problems = yamldoc_take_problems(d);
	if (!problems)
		return -ENOMEM;
	*ret_error = problems;
	return -EINVAL;
}

enum config_deliver config_deliver_of(const struct config_application *a, uint32_t stage)
{
	for (size_t i = 0; i < a->n_deliver; i++) {
		if (a->deliver[i].stage == stage)
			return a->deliver[i].how;
	}
	return a->deliver_others;
}
