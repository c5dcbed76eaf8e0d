/* SPDX-License-Identifier: Apache-2.0 */
#include "policies.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "credential.h"
#include "manifest.h"

#define EK_CA_MAX (1024 * 1024)

static void describe(char **ret_error, const char *path, const char *why)
{
	if (!*ret_error && asprintf(ret_error, "%s: %s", path, why) < 0)
		*ret_error = NULL;
}

int policies_read_file(const char *path, size_t max, struct bytes *ret, char **ret_error)
{
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	ret->max = max;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? neg_errno() : bytes_read_fd(ret, fd);
	if (r < 0)
		describe(ret_error, path, r == -EMSGSIZE ? "it is too large" : strerror(-r));
	return r;
}

/* The folder that a file is in, for the names inside it. NULL: no memory. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int attach(struct policy *p, const char *directory, const char *name, size_t max,
		  int (*take)(struct policy *p, struct view content, char **ret_error),
		  char **ret_error)
{
	CLEANUP(bytes_cleanup) struct bytes content = BYTES_INIT(0);
	CLEANUP(cleanup_mem) char *path = NULL;
	int r;

	if (!name || !*name)
		return 0;
	path = config_path(directory, name);
	if (!path)
		return -ENOMEM;
	r = policies_read_file(path, max, &content, ret_error);
	if (r < 0)
		return r;
	r = take(p, bytes_view(&content), ret_error);
	if (r < 0)
		describe(ret_error, path, strerror(-r));
	return r;
}

static int take_ek_ca(struct policy *p, struct view content, char **ret_error)
{
	return policy_attach_ek_ca(p, content);
}

static int attach_update(struct policy *p, const char *folder, size_t i, char **ret_error)
{
	CLEANUP(bytes_cleanup) struct bytes content = BYTES_INIT(0);
	CLEANUP(cleanup_mem) char *path = config_path(folder, policy_update_file(p, i));
	int r;

	if (!path)
		return -ENOMEM;
	r = policies_read_file(path, MANIFEST_MAX, &content, ret_error);
	if (r < 0)
		return r;
	r = policy_attach_update(p, i, bytes_view(&content), ret_error);
	if (r < 0)
		describe(ret_error, path, strerror(-r));
	return r;
}

static int load_one(const char *path, struct policy **ret, char **ret_error)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(0);
	CLEANUP(cleanup_mem) char *folder = NULL;
	struct policy *p = NULL;
	int r;

	r = policies_read_file(path, POLICY_TEXT_MAX, &text, ret_error);
	if (r < 0)
		return r;
	folder = folder_of(path);
	if (!folder)
		return -ENOMEM;
	r = policy_parse(bytes_view(&text), path, &p, ret_error);
	if (r < 0)
		return r;
	r = attach(p, folder, policy_manifest_file(p), MANIFEST_MAX, policy_attach_manifest,
		   ret_error);
	for (size_t i = 0; r == 0 && i < policy_update_count(p); i++)
		r = attach_update(p, folder, i, ret_error);
	if (r == 0)
		r = attach(p, folder, policy_tpm_ek_ca_file(p), EK_CA_MAX, take_ek_ca, ret_error);
	if (r < 0) {
		policy_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

int policies_load(const struct verifier_config *config, const char *directory, struct policies *ret,
		  char **ret_error)
{
	struct policies p = { 0 };
	int r = 0;

	*ret_error = NULL;
	p.items = calloc(config->n_policies, sizeof(*p.items));
	if (!p.items)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < config->n_policies; i++) {
		CLEANUP(cleanup_mem) char *path = config_path(directory, config->policies[i]);

		if (!path) {
			r = -ENOMEM;
			break;
		}
		r = load_one(path, &p.items[p.n], ret_error);
		if (r < 0)
			break;
		p.n++;
		for (size_t k = 0; k + 1 < p.n && r == 0; k++) {
			if (strcmp(policy_application(p.items[k]),
				   policy_application(p.items[p.n - 1])) != 0)
				continue;
			describe(ret_error, path, "a second policy for the same application");
			r = -EINVAL;
		}
	}
	if (r < 0) {
		policies_done(&p);
		return r;
	}
	*ret = p;
	return 0;
}

void policies_done(struct policies *p)
{
	for (size_t i = 0; i < p->n; i++)
		policy_free(p->items[i]);
	free(p->items);
	*p = (struct policies){ 0 };
}

const struct policy *policies_find(const struct policies *p, const char *application)
{
	for (size_t i = 0; i < p->n; i++) {
		if (strcmp(policy_application(p->items[i]), application) == 0)
			return p->items[i];
	}
	return NULL;
}
