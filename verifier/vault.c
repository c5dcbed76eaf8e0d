/* SPDX-License-Identifier: Apache-2.0 */
#include "vault.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "claims.h"
#include "cleanup.h"

static int describe(char **ret_error, const char *path, const char *why, int r)
{
	if (!*ret_error && asprintf(ret_error, "%s: %s", path, why) < 0)
		*ret_error = NULL;
	return r;
}

static int read_secret(const char *path, struct secret *ret, char **ret_error)
{
	CLEANUP(cleanup_file) FILE *f = NULL;
	struct stat st;
	size_t n;
	int r;

	/* Straight into the secure heap: no copy of it is left in a buffer of ours. */
	f = fopen(path, "rce");
	if (!f)
		return describe(ret_error, path, strerror(errno), neg_errno());
	setvbuf(f, NULL, _IONBF, 0);
	if (fstat(fileno(f), &st) < 0 || !S_ISREG(st.st_mode))
		return describe(ret_error, path, "not a regular file", -EINVAL);
	if (st.st_size > (off_t)SECRET_MAX)
		return describe(ret_error, path, "larger than a secret may be (64 KiB)", -EMSGSIZE);
	r = secret_new((size_t)st.st_size, ret);
	if (r < 0)
		return describe(ret_error, path, "the secure heap is full", r);
	n = fread(ret->data, 1, ret->len, f);
	if (n != ret->len) {
		secret_done(ret);
		return describe(ret_error, path, "it changed while it was read", -ESTALE);
	}
	return 0;
}

static int add(struct vault *v, const char *name, const char *path, char **ret_error)
{
	struct vault_secret *grown, *s;
	int r;

	if (v->n == VERIFIER_SECRETS_MAX)
		return describe(ret_error, path, "more secrets than there may be", -EMSGSIZE);
	if (!application_name_valid(name))
		return describe(ret_error, path, "not a name for a secret", -EINVAL);
	if (vault_find(v, name))
		return describe(ret_error, path, "a second secret of that name", -EEXIST);
	grown = reallocarray(v->secrets, v->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	v->secrets = grown;
	s = &v->secrets[v->n];
	s->name = strdup(name);
	if (!s->name)
		return -ENOMEM;
	r = read_secret(path, &s->secret, ret_error);
	if (r < 0) {
		free(s->name);
		return r;
	}
	v->n++;
	return 0;
}

static int add_folder(struct vault *v, const char *path, char **ret_error)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int r = 0;

	if (!dir)
		return describe(ret_error, path, strerror(errno), neg_errno());
	while (r == 0 && (e = readdir(dir))) {
		CLEANUP(cleanup_mem) char *file = NULL;
		struct stat st;

		if (e->d_name[0] == '.')
			continue;
		file = config_path(path, e->d_name);
		if (!file)
			r = -ENOMEM;
		else if (stat(file, &st) == 0 && S_ISREG(st.st_mode))
			r = add(v, e->d_name, file, ret_error);
	}
	closedir(dir);
	return r;
}

int vault_load(const struct verifier_config *config, const char *directory, struct vault *ret,
	       char **ret_error)
{
	struct vault v = { 0 };
	int r = 0;

	*ret_error = NULL;
	for (size_t i = 0; r == 0 && i < config->n_secrets; i++) {
		CLEANUP(cleanup_mem)
		char *path = config_path(directory, config->secrets[i].file);

		r = path ? add(&v, config->secrets[i].name, path, ret_error) : -ENOMEM;
	}
	if (r == 0 && config->secrets_directory) {
		CLEANUP(cleanup_mem)
		char *path = config_path(directory, config->secrets_directory);

		r = path ? add_folder(&v, path, ret_error) : -ENOMEM;
	}
	if (r < 0) {
		vault_done(&v);
		return r;
	}
	*ret = v;
	return 0;
}

void vault_done(struct vault *v)
{
	for (size_t i = 0; i < v->n; i++) {
		free(v->secrets[i].name);
		secret_done(&v->secrets[i].secret);
	}
	free(v->secrets);
	*v = (struct vault){ 0 };
}

const struct secret *vault_find(const struct vault *v, const char *name)
{
	for (size_t i = 0; i < v->n; i++) {
		if (strcmp(v->secrets[i].name, name) == 0)
			return &v->secrets[i].secret;
	}
	return NULL;
}

int vault_check(const struct vault *v, const struct policies *policies, char **ret_error)
{
	struct bytes text = BYTES_INIT(64 * 1024);
	int r = 0;

	*ret_error = NULL;
	for (size_t i = 0; i < policies->n; i++) {
		const struct policy *p = policies->items[i];

		for (uint32_t n = 1; n <= policy_stage_count(p); n++) {
			const struct policy_stage *stage = policy_stage(p, n);

			for (const char *const *s = stage->release; s && *s; s++) {
				if (vault_find(v, *s))
					continue;
				r = -EINVAL;
				if (bytes_printf(&text, "%s%s: stage %u: no secret of the name %s",
						 text.len ? "\n" : "", policy_application(p), n,
						 *s) < 0)
					break;
			}
		}
	}
	if (text.len > 0)
		*ret_error = strndup((const char *)text.data, text.len);
	bytes_done(&text);
	return r;
}
