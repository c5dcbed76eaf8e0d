/* SPDX-License-Identifier: Apache-2.0 */
#include "initrd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <libkmod.h>

#include "cleanup.h"
#include "log.h"

#define MODULES_MAX	 1024
#define MODULES_FILE_MAX (256 * 1024)

static void cleanup_kmod(struct kmod_ctx **ctx)
{
	kmod_unref(*ctx);
}

static void cleanup_list(struct kmod_list **list)
{
	kmod_module_unref_list(*list);
}

size_t initrd_module_list(char *text, const char **ret, size_t max)
{
	size_t n = 0;

	for (char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line[strcspn(line, "#")] = '\0';
		line += strspn(line, " \t\r");
		line[strcspn(line, " \t\r")] = '\0';
		if (!*line)
			continue;
		if (n < max)
			ret[n] = line;
		n++;
	}
	return n;
}

/* Without flags: what the kernel has, loaded or built in, is left alone. */
static int insert(struct kmod_module *m)
{
	int r = kmod_module_probe_insert_module(m, 0, NULL, NULL, NULL, NULL);

	return r == -EEXIST ? 0 : r;
}

/* By name, or alias, with what it needs. */
static int load_named(struct kmod_ctx *ctx, const char *name)
{
	CLEANUP(cleanup_list) struct kmod_list *list = NULL;
	struct kmod_list *at;
	int r;

	r = kmod_module_new_from_lookup(ctx, name, &list);
	if (r < 0)
		return r;
	/* The kernel's index has built-in ones, too; a name that is nowhere gives none. */
	if (!list)
		return -ENOENT;
	kmod_list_foreach(at, list) {
		struct kmod_module *m = kmod_module_get_module(at);

		r = insert(m);
		kmod_module_unref(m);
		if (r < 0)
			return r;
	}
	return 0;
}

static int load_file(struct kmod_ctx *ctx, const char *path)
{
	struct kmod_module *m;
	int r;

	r = kmod_module_new_from_path(ctx, path, &m);
	if (r < 0)
		return r;
	r = kmod_module_insert_module(m, 0, NULL);
	kmod_module_unref(m);
	return r == -EEXIST ? 0 : r;
}

static int load(struct kmod_ctx *ctx, const char *what, char *ret_why, size_t size)
{
	int r = *what == '/' ? load_file(ctx, what) : load_named(ctx, what);

	if (r < 0)
		snprintf(ret_why, size,
			 "module %s cannot be loaded: %s; is it, with those it needs and "
			 "modules.dep, in this initrd, and of this kernel?",
			 what, strerror(-r));
	return r;
}

static int load_listed(struct kmod_ctx *ctx, const char *path, char *ret_why, size_t size)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(MODULES_FILE_MAX);
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	const char *names[MODULES_MAX];
	size_t n;
	int r;

	r = fd < 0 ? neg_errno() : bytes_read_fd(&text, fd);
	if (r == 0)
		r = bytes_append(&text, "", 1);
	if (r < 0) {
		snprintf(ret_why, size, "initrd.modules_file: %s: %s", path, strerror(-r));
		return r;
	}
	n = initrd_module_list((char *)text.data, names, ARRAY_LEN(names));
	if (n > ARRAY_LEN(names)) {
		snprintf(ret_why, size, "initrd.modules_file: %s: more than %d modules", path,
			 MODULES_MAX);
		return -E2BIG;
	}
	for (size_t i = 0; i < n; i++) {
		r = load(ctx, names[i], ret_why, size);
		if (r < 0)
			return r;
	}
	return 0;
}

static void quiet(void *data, int priority, const char *file, int line, const char *fn,
		  const char *format, va_list args)
{
}

int initrd_load_modules(const struct config_initrd *c, char *ret_why, size_t size)
{
	/* No directory of configuration: what is measured says which module is loaded how. */
	static const char *const no_config[] = { NULL };
	CLEANUP(cleanup_kmod) struct kmod_ctx *ctx = NULL;
	int r;

	if ((!c->modules || !c->modules[0]) && !c->modules_file)
		return 0;
	ctx = kmod_new(NULL, no_config);
	if (!ctx) {
		snprintf(ret_why, size, "out of memory");
		return -ENOMEM;
	}
	kmod_set_log_fn(ctx, quiet, NULL);
	for (size_t i = 0; c->modules && c->modules[i]; i++) {
		r = load(ctx, c->modules[i], ret_why, size);
		if (r < 0)
			return r;
	}
	return c->modules_file ? load_listed(ctx, c->modules_file, ret_why, size) : 0;
}
