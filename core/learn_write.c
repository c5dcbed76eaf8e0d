/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "learnt.h"
#include "policy.h"
#include "quantity.h"

#define KIB 1024
#define MIB (1024 * 1024)

/* A policy while it is written; the first error is kept. */
struct writing {
	const struct learn *l;
	const struct learn_options *options;
	struct bytes *out;
	int error;
};

static void put(struct writing *w, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(struct writing *w, const char *format, ...)
{
	char text[2048];
	va_list args;
	int n;

	if (w->error < 0)
		return;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(text))
		w->error = -EMSGSIZE;
	else
		w->error = bytes_append(w->out, text, (size_t)n);
}

/*
 * What the measured machine says, in a comment: printable ASCII alone, since YAML ends a line at
 * more characters than the newline, and what follows would be a rule.
 */
#define SAID_MAX 512
static const char *said(const char *text, char to[SAID_MAX])
{
	size_t n = 0;

	for (; *text && n + 1 < SAID_MAX; text++)
		to[n++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
	to[n] = '\0';
	return to;
}

/* The character at *at, which moves on; U+FFFD for what is not UTF-8. */
static uint32_t next_character(const char **at)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)*at;
	int more = *p < 0x80 ? 0 : *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc0 ? 1 : -1;
	uint32_t c;

	(*at)++;
	if (more < 0 || *p >= 0xf8)
		return 0xfffd;
	c = more == 0 ? *p : *p & (0x3fu >> more);
	for (int i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0xfffd;
		c = c << 6 | (p[i] & 0x3f);
	}
	*at += more;
	if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0xfffd;
	return c;
}

/* Text as a YAML scalar in double quotes, whatever is in it. */
static void put_text(struct writing *w, const char *text)
{
	put(w, "\"");
	while (*text && w->error == 0) {
		uint32_t c = next_character(&text);

		if (c == '"' || c == '\\')
			put(w, "\\%c", (int)c);
		else if (c >= 0x20 && c < 0x7f)
			put(w, "%c", (int)c);
		else
			put(w, "\\U%08" PRIX32, c);
	}
	put(w, "\"");
}

static void review(struct writing *w, const char *indent, const char *format, ...)
	PRINTF_LIKE(3, 4);
static void review(struct writing *w, const char *indent, const char *format, ...)
{
	char text[1024], clean[SAID_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put(w, "%s# REVIEW: %s\n", indent, said(text, clean));
}

/*
 * Begins the mapping of rules about an item. False: there is nothing to make rules of, which is
 * said.
 */
static bool begin(struct writing *w, const char *key, enum learnt_item item)
{
	const struct learnt_status *s = &w->l->items[item];
	char why[SAID_MAX];

	if (s->seen == 0) {
		review(w, "  ", "no rules on %s: %.200s", key, s->why ? said(s->why, why) : "");
		return false;
	}
	if (s->seen < w->l->nodes)
		review(w, "  ", "%s could not be used in %" PRIu64 " of %" PRIu64 " nodes", key,
		       w->l->nodes - s->seen, w->l->nodes);
	put(w, "  %s:\n", key);
	if (s->partial == 0)
		return true;
	review(w, "    ", "not everything was seen in %" PRIu64 " of %" PRIu64 " nodes: %.300s",
	       s->partial, w->l->nodes, s->why);
	if (w->options->accept_partial)
		put(w, "    partial: accept\n");
	return true;
}

/* A list, one entry a line, with what is known of each. */
static void put_list(struct writing *w, const char *indent, const char *key,
		     const struct learnt_list *list)
{
	char note[SAID_MAX];

	put(w, "%s%s:%s\n", indent, key, list->n == 0 ? " []" : "");
	for (size_t i = 0; i < list->n; i++) {
		const struct learnt *e = &list->items[i];

		put(w, "%s  - ", indent);
		put_text(w, e->text);
		put(w, "  # %s%s%" PRIu64 " nodes\n", e->note ? said(e->note, note) : "",
		    e->note ? ", " : "", e->nodes);
	}
}

/* A list in one line, of what was seen in at least so many nodes. */
static void put_words(struct writing *w, const char *key, const struct learnt_list *list,
		      uint64_t least)
{
	const char *comma = "";

	put(w, "%s: [", key);
	for (size_t i = 0; i < list->n; i++) {
		if (list->items[i].nodes < least)
			continue;
		put(w, "%s", comma);
		put_text(w, list->items[i].text);
		comma = ", ";
	}
	put(w, "]\n");
}

static bool in_all(const struct learnt_list *list, uint64_t nodes)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->items[i].nodes >= nodes)
			return true;
	}
	return false;
}

/* The largest value with its slack, rounded up to a multiple of unit. */
static uint64_t limit_of(const struct writing *w, uint64_t max, uint64_t unit)
{
	unsigned __int128 n = (unsigned __int128)max * (100 + w->options->slack);

	n = (n + 99) / 100;
	n = (n + unit - 1) / unit * unit;
	if (n == 0 && unit > 1)
		n = unit; /* a measure of less than its unit */
	return n > UINT64_MAX ? UINT64_MAX : (uint64_t)n;
}

static void put_limit(struct writing *w, const char *indent, const char *key,
		      const struct learnt_range *r, uint64_t unit,
		      const char *(*text)(uint64_t, char[QUANTITY_TEXT_MAX]))
{
	char low[QUANTITY_TEXT_MAX], high[QUANTITY_TEXT_MAX], max[QUANTITY_TEXT_MAX],
		step[QUANTITY_TEXT_MAX];

	if (r->nodes == 0)
		return;
	put(w, "%s%s: {max: %s}  # %s to %s in %" PRIu64 " nodes, rounded up to %s\n", indent, key,
	    text(limit_of(w, r->max, unit), max), text(r->min, low), text(r->max, high), r->nodes,
	    text(unit, step));
}

static void write_code(struct writing *w)
{
	const struct learn *l = w->l;
	char bytes[QUANTITY_TEXT_MAX];

	if (!begin(w, "code", LEARNT_CODE))
		return;
	if (l->unhashed_file)
		review(w, "    ", "without a digest, so it is refused: %.300s", l->unhashed_file);
	if (l->files.n > 0)
		put(w, "    files: listed\n");
	if (l->files.n > 0)
		put_list(w, "    ", "allow", &l->files);
	/* No matter what was seen. */
	put(w, "    modified_text: deny\n    relro: deny\n    imports: deny\n"
	       "    loader_list: deny\n    deleted: deny\n");
	if (l->aliases)
		review(w, "    ",
		       "files were code and mapped writable in %" PRIu64 " nodes: no "
		       "rule aliases",
		       l->aliases);
	else
		put(w, "    aliases: deny\n");
	if (l->memory_files)
		review(w, "    ",
		       "code of files in memory in %" PRIu64 " nodes: no rule "
		       "memory_files",
		       l->memory_files);
	else
		put(w, "    memory_files: deny\n");
	if (l->remote_files)
		review(w, "    ",
		       "code of FUSE or a network in %" PRIu64 " nodes: no rule "
		       "remote_files",
		       l->remote_files);
	else
		put(w, "    remote_files: deny\n");
	if (l->jit_regions.max == 0)
		put(w, "    anonymous: deny\n");
	if (l->wx)
		review(w, "    ",
		       "memory writable and executable at once in %" PRIu64 " nodes: no "
		       "rule jit.wx",
		       l->wx);
	if (l->jit_regions.max == 0 && l->wx)
		return;
	put(w, "    jit:\n");
	if (l->jit_regions.max > 0)
		put(w,
		    "      # %" PRIu64 " to %" PRIu64 " bytes in %" PRIu64 " to %" PRIu64
		    " regions, rounded up to 4 KiB\n"
		    "      max_bytes: %s\n      max_regions: %" PRIu64 "\n",
		    l->jit_bytes.min, l->jit_bytes.max, l->jit_regions.min, l->jit_regions.max,
		    quantity_size_text(limit_of(w, l->jit_bytes.max, 4 * KIB), bytes),
		    limit_of(w, l->jit_regions.max, 1));
	if (!l->wx)
		put(w, "      wx: deny\n");
}

static void write_network(struct writing *w)
{
	const struct learn *l = w->l;
	bool partial = l->items[LEARNT_NETWORK].partial > 0;

	if (!begin(w, "listen", LEARNT_NETWORK))
		return;
	for (size_t i = 0; i < l->odd_addresses.n; i++)
		review(w, "    ", "no rule can have this address, so it is refused: %.300s",
		       l->odd_addresses.items[i].text);
	put_list(w, "    ", "allow", &l->listeners);
	if (!begin(w, "connections", LEARNT_NETWORK))
		return;
	put(w, "    # Those that it opened, each as it was seen\n");
	put_list(w, "    ", "allow", &l->outgoing);
	put(w, "    # Those opened to it: by address, since clients have another port each time\n"
	       "    incoming:\n");
	put_list(w, "      ", "allow", &l->incoming);
	if (partial) {
		review(w, "  ", "no rules on traffic: not all of it was counted");
		return;
	}
	if (l->sent.nodes == 0)
		return;
	put(w, "  traffic:\n");
	put_limit(w, "    ", "sent_per_second", &l->sent, KIB, quantity_size_text);
	put_limit(w, "    ", "received_per_second", &l->received, KIB, quantity_size_text);
}

static void write_resources(struct writing *w)
{
	const struct learn *l = w->l;

	if (!begin(w, "memory", LEARNT_RESOURCES))
		return;
	put_limit(w, "    ", "resident", &l->resident, MIB, quantity_size_text);
	if (l->proportional.min > 0)
		put_limit(w, "    ", "proportional", &l->proportional, MIB, quantity_size_text);
	put(w, "  cpu:\n");
	put_limit(w, "    ", "share", &l->share, 100, quantity_milli_text);
}

static size_t folder_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash > path ? (size_t)(slash - path) : 1;
}

/* As the policy wants paths; another one (relative, with "..") is not a rule. */
static bool is_plain(const char *path)
{
	size_t len = strlen(path);

	return path[0] == '/' && !strstr(path, "//") && !strstr(path, "/./") &&
	       !strstr(path, "/../") && !(len >= 3 && strcmp(path + len - 3, "/..") == 0);
}

/* Whether an earlier entry is in the same folder. */
static bool folder_listed(const struct learnt_list *list, size_t at)
{
	size_t len = folder_len(list->items[at].text);

	for (size_t i = 0; i < at; i++) {
		if (is_plain(list->items[i].text) && folder_len(list->items[i].text) == len &&
		    strncmp(list->items[i].text, list->items[at].text, len) == 0)
			return true;
	}
	return false;
}

static void put_write(struct writing *w, const struct learnt *e)
{
	char folder[4096];
	size_t len = folder_len(e->text);

	put(w, "      - ");
	if (!w->options->folders || len >= sizeof(folder)) {
		put_text(w, e->text);
		put(w, "  # %" PRIu64 " nodes\n", e->nodes);
		return;
	}
	memcpy(folder, e->text, len);
	folder[len] = '\0';
	put_text(w, folder);
	put(w, "\n");
}

static void write_storage(struct writing *w)
{
	const struct learn *l = w->l;
	size_t written = 0;

	if (!begin(w, "disk", LEARNT_STORAGE))
		return;
	put(w, "    # %s that were open for writing\n    writes_within:\n",
	    w->options->folders ? "Folders of the files" : "Files");
	for (size_t i = 0; i < l->writes.n; i++) {
		const struct learnt *e = &l->writes.items[i];

		if (!is_plain(e->text))
			review(w, "      ", "not a path that a rule can have: %.300s", e->text);
		else if (!w->options->folders || !folder_listed(&l->writes, i))
			put_write(w, e);
		written += is_plain(e->text);
	}
	if (written == 0)
		put(w, "      - /dev/null  # none: this is no regular file\n");
	if (l->trees == l->nodes)
		put_limit(w, "    ", "used", &l->disk_used, MIB, quantity_size_text);
}

static void write_environment(struct writing *w)
{
	if (!begin(w, "environment", LEARNT_ENVIRONMENT))
		return;
	put(w, "    # Names; of values there is no rule\n");
	if (w->l->names.n > 0)
		put_list(w, "    ", "only", &w->l->names);
	else
		put(w, "    deny: [\"*\"]\n");
}

/* A key of a mapping stands once: what is not UTF-8 would become the same text as another. */
static bool is_utf8(const char *text)
{
	while (*text) {
		if (next_character(&text) == 0xfffd)
			return false;
	}
	return true;
}

static void write_logs(struct writing *w)
{
	const struct learnt_list *list = &w->l->logs;

	if (list->n == 0)
		return;
	put(w, "  # Lines with these patterns from one node to the next\n  logs:\n");
	for (size_t i = 0; i < list->n; i++) {
		if (!is_utf8(list->items[i].text))
			continue;
		put(w, "    ");
		put_text(w, list->items[i].text);
		put(w, ": {max: %" PRIu64 "}\n", limit_of(w, list->items[i].max, 1));
	}
}

/* What every process had, or some had not. */
static void put_held_by_all(struct writing *w, const char *key, const char *what, uint64_t without)
{
	if (without)
		put(w, "    # no rule %s: processes %s in %" PRIu64 " nodes\n", key, what, without);
	else
		put(w, "    %s: require\n", key);
}

static void write_processes(struct writing *w)
{
	const struct learn *l = w->l;

	put(w, "  processes:\n    # %" PRIu64 " to %" PRIu64 " processes\n    max: %" PRIu64 "\n",
	    l->processes.min, l->processes.max, limit_of(w, l->processes.max, 1));
	put_words(w, "    users", &l->users, 0);
	if (l->items[LEARNT_CREDENTIALS].seen == 0) {
		review(w, "    ", "no rules on credentials: %.300s",
		       l->items[LEARNT_CREDENTIALS].why);
		return;
	}
	if (l->items[LEARNT_CREDENTIALS].partial > 0) {
		review(w, "    ", "not everything was seen in %" PRIu64 " nodes: %.300s",
		       l->items[LEARNT_CREDENTIALS].partial, l->items[LEARNT_CREDENTIALS].why);
		if (w->options->accept_partial)
			put(w, "    partial: accept\n");
	}
	put(w, "    credentials: unchanged\n    namespaces: unchanged\n    threads: deny\n"
	       "    tracer: deny\n    replaced: deny\n");
	put_held_by_all(w, "seccomp", "had none", l->no_seccomp);
	put_held_by_all(w, "no_new_privs", "had it not", l->no_no_new_privs);
	if (l->dumpable)
		put(w, "    # no rule dumpable: processes were in %" PRIu64 " nodes\n",
		    l->dumpable);
	else
		put(w, "    dumpable: deny\n");
	put_words(w, "    capabilities:\n      within", &l->capabilities, 0);
	if (l->executables.n == 0)
		return;
	put(w, "    executables: listed\n");
	put_list(w, "    ", "programs", &l->executables);
}

/* Violations whoever does it: denied even where they were seen. */
static bool never_learnt(enum policy_held held)
{
	return held == HELD_PROCESS_MEMORY || held == HELD_KERNEL_MEMORY ||
	       held == HELD_FOREIGN_MEMORY || held == HELD_FOREIGN_PORT ||
	       held == HELD_FOREIGN_TRACE;
}

static void write_descriptors(struct writing *w)
{
	static const char before[] = "dynamic.descriptors.";

	if (!begin(w, "descriptors", LEARNT_DESCRIPTORS))
		return;
	for (size_t i = 0; i < HELD_KINDS; i++) {
		const char *key = policy_held_kinds[i].path + strlen(before);
		const struct learnt *e = learnt_find(&w->l->descriptors, policy_held_kinds[i].kind);

		if (!e || never_learnt(i))
			put(w, "    %s: deny\n", key);
		else
			review(w, "    ", "no rule %s: in %" PRIu64 " nodes, the first %.200s", key,
			       e->nodes, e->note);
	}
}

static void write_machine(struct writing *w)
{
	const struct learn *l = w->l;
	bool integrity = learnt_find(&l->lockdown, "integrity");
	bool whole = learnt_find(&l->lockdown, "confidentiality");

	if (!begin(w, "machine", LEARNT_MACHINE))
		return;
	put(w, "    # The kernel's settings as they were\n    sysctl:%s\n",
	    l->settings.n == 0 ? " {}" : "");
	for (size_t i = 0; i < l->settings.n; i++) {
		const struct learnt *e = &l->settings.items[i];

		if (e->varies || !is_utf8(e->text)) {
			review(w, "      ", "no rule on %.100s: it changed", e->text);
			continue;
		}
		put(w, "      ");
		put_text(w, e->text);
		put(w, ": {equal: ");
		put_text(w, e->note);
		put(w, "}\n");
	}
	if (l->swap)
		review(w, "    ", "no rule swap: areas were in use in %" PRIu64 " nodes", l->swap);
	else
		put(w, "    swap: deny\n");
	if (l->taint)
		review(w, "    ", "no rule taint: the kernel was in %" PRIu64 " nodes", l->taint);
	else
		put(w, "    taint: deny\n");
	put(w, "    probes: deny\n    modules: %s\n    cpus: unchanged\n    clock: unchanged\n",
	    l->modules ? "unchanged" : "none");
	if (l->lockdown.n == (size_t)integrity + whole)
		put(w, "    lockdown: %s\n", integrity ? "integrity" : "confidentiality");
	put(w, "    bpf:\n      foreign: deny\n");
	if (l->programs.n == 0)
		return;
	review(w, "      ", "programs of others were loaded; keep those that you know");
	put_list(w, "      ", "tags", &l->programs);
}

/* The counter of the rule that saw the most, or one that was not always there: NULL. */
static bool counted(const struct learn *l, enum policy_kernel_rule which, uint64_t *ret_seen)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < 4 && judge_kernel_rules[which].counters[i]; i++) {
		const struct learnt *e =
			learnt_find(&l->counters, judge_kernel_rules[which].counters[i]);

		if (!e || e->nodes < l->items[LEARNT_KERNEL].seen)
			return false;
		if (e->sum > seen)
			seen = e->sum;
	}
	*ret_seen = seen;
	return true;
}

static void put_event(struct writing *w, enum policy_kernel_rule which)
{
	static const char before[] = "dynamic.kernel.";
	const char *key = judge_kernel_rules[which].path + strlen(before);
	bool always = which == KERNEL_FILE_CHANGED || which == KERNEL_ASSAYD_ACCESS;
	uint64_t seen;

	if (!counted(w->l, which, &seen))
		put(w, "    # no rule %s: it was not counted on that machine\n", key);
	else if (which == KERNEL_FOREIGN_READ)
		put(w,
		    "    # no rule %s: monitoring looks; %" PRIu64 " times while this was learnt\n",
		    key, seen);
	else if (seen == 0 || always)
		put(w, "    %s: deny\n", key);
	else
		review(w, "    ", "no rule %s: it was counted %" PRIu64 " times", key, seen);
}

static void write_exec(struct writing *w)
{
	const struct learnt_list *list = &w->l->execs;
	bool any = false;

	put(w, "    # Programs executed while it ran\n    exec:\n");
	if (w->l->execs_unlisted) {
		review(w, "      ", "programs of %" PRIu64 " nodes are not in their lists",
		       w->l->execs_unlisted);
		if (w->options->accept_partial)
			put(w, "      partial: accept\n");
	}
	for (size_t i = 0; i < list->n; i++)
		any |= is_plain(list->items[i].text);
	put(w, "      allow:%s\n", any ? "" : " []");
	for (size_t i = 0; i < list->n; i++) {
		if (!is_plain(list->items[i].text)) {
			review(w, "        ", "not a path that a rule can have: %.300s",
			       list->items[i].text);
			continue;
		}
		put(w, "        - ");
		put_text(w, list->items[i].text);
		put(w, "  # %" PRIu64 " nodes\n", list->items[i].nodes);
	}
}

static void write_kernel(struct writing *w)
{
	const struct learn *l = w->l;
	uint64_t all = l->items[LEARNT_KERNEL].seen;
	const struct learnt *e;

	if (!begin(w, "kernel", LEARNT_KERNEL))
		return;
	put(w, "    lost: {max: 0}\n");
	e = learnt_find(&l->counters, "foreign_access");
	put(w, e && e->nodes == all ? "    foreign_access: deny\n"
				    : "    # no rule foreign_access: it was not counted\n");
	for (enum policy_kernel_rule i = 0; i < KERNEL_RULES; i++)
		put_event(w, i);
	e = learnt_find(&l->counters, "exec");
	if (e && e->nodes == all)
		write_exec(w);
	if (!in_all(&l->covers, all)) {
		review(w, "    ", "no attack was covered in every node");
		return;
	}
	put(w, "    # Attacks that were covered in every node\n");
	put_words(w, "    require", &l->covers, all);
}

static void write_head(struct writing *w)
{
	const struct learn *l = w->l;
	const char *name = w->options->application ? w->options->application : l->application;
	char text[SAID_MAX];

	put(w, "# Written by assay learn from %" PRIu64 " nodes: %s.\n", l->nodes,
	    said(w->options->source, text));
	put(w,
	    "# For a person to review, above all where it says REVIEW. It accepts what was seen "
	    "and\n"
	    "# no more: what was not seen is not allowed, limits are the largest values seen plus\n"
	    "# %u per cent, and changed code or access from outside is refused even if it was "
	    "seen.\n",
	    w->options->slack);
	put(w, "application: ");
	put_text(w, name);
	put(w,
	    "\nversion: 1\n# REVIEW: the chip is not learnt; say which boot values are accepted.\n"
	    "platforms:\n  tpm: {}\n");
	if (w->options->manifest && l->manifest.len > 0) {
		put(w, "static: {manifest: ");
		put_text(w, w->options->manifest);
		put(w, "}\n");
	} else {
		put(w, "# REVIEW: no static reference values; assay measure writes them.\n");
	}
	put(w, "dynamic:\n");
}

int learn_write(const struct learn *l, const struct learn_options *options, struct bytes *ret)
{
	struct writing w = { .l = l, .options = options, .out = ret };

	if (l->nodes == 0)
		return -ENODATA;
	write_head(&w);
	write_code(&w);
	write_network(&w);
	write_resources(&w);
	write_storage(&w);
	write_environment(&w);
	write_logs(&w);
	if (l->items[LEARNT_START_TIME].seen > 0)
		put(&w, "  start_time: {unchanged: true}\n");
	if (options->manifest && l->manifest.len > 0)
		put(&w, "  static_files: {unchanged: true}\n");
	write_processes(&w);
	write_descriptors(&w);
	write_machine(&w);
	write_kernel(&w);
	put_limit(&w, "  ", "missed_nodes", &l->missed, 1, judge_count_text);
	put(&w, "# REVIEW: stages and what they release are the owner's to say.\n");
	return w.error;
}
