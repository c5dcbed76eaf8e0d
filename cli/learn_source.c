/* SPDX-License-Identifier: Apache-2.0 */
#include "learn_source.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cleanup.h"
#include "command.h"
#include "mi.h"
#include "terminal.h"
#include "verifier/store.h"
#include "watch.h"

CLEANUP_FUNCTION(struct mi *, mi_free)

void lesson_mis_done(struct lesson_mis *g)
{
	for (size_t i = 0; i < g->n; i++) {
		bytes_done(&g->items[i].packed);
		free(g->items[i].name);
	}
	free(g->items);
	*g = (struct lesson_mis){ 0 };
}

/* Takes packed over; the MI in it is mi. */
static int keep(struct lesson_mis *g, const char *name, const struct mi *mi, struct bytes *packed)
{
	struct lesson_mi *x;

	if (packed->len > LESSON_MIS_MAX - g->bytes) {
		terminal_error("%s: more measurements than fit into %d MiB", name,
			       LESSON_MIS_MAX / (1024 * 1024));
		return EXIT_WRONG_USE;
	}
	if (g->n == g->room) {
		x = reallocarray(g->items, g->room ? 2 * g->room : 64, sizeof(*x));
		if (!x)
			return EXIT_ENVIRONMENT;
		g->items = x;
		g->room = g->room ? 2 * g->room : 64;
	}
	x = &g->items[g->n];
	*x = (struct lesson_mi){ .order = g->n, .name = strdup(name), .packed = *packed };
	if (!x->name)
		return EXIT_ENVIRONMENT;
	if (mi->msg->node)
		x->taken_ns = mi->msg->node->taken_realtime_ns;
	g->bytes += packed->len;
	g->n++;
	*packed = BYTES_INIT(0);
	return EXIT_GOOD;
}

static int keep_packed(struct lesson_mis *g, const char *name, struct bytes *packed)
{
	CLEANUP(mi_freep) struct mi *mi = NULL;
	int r;

	r = mi_unpack(bytes_view(packed), &mi);
	if (r < 0) {
		terminal_error("%s: not an MI as assayd sends it", name);
		return EXIT_WRONG_USE;
	}
	return keep(g, name, mi, packed);
}

static int read_file(struct lesson_mis *g, const char *path)
{
	CLEANUP(bytes_cleanup) struct bytes packed = BYTES_INIT(MI_MAX);
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? neg_errno() : bytes_read_fd(&packed, fd);
	if (r < 0) {
		terminal_error("%s: %s", path,
			       r == -EMSGSIZE ? "too large for an MI" : strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	return keep_packed(g, path, &packed);
}

static int is_visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

int lesson_file(struct lesson_mis *g, const char *path)
{
	struct dirent **names;
	struct stat st;
	int n, status = EXIT_GOOD;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return read_file(g, path);
	n = scandir(path, &names, is_visible, alphasort);
	if (n <= 0) {
		terminal_error("%s: %s", path, n == 0 ? "nothing is in it" : strerror(errno));
		return EXIT_ENVIRONMENT;
	}
	for (int i = 0; i < n; i++) {
		CLEANUP(cleanup_mem) char *file = NULL;

		if (status == EXIT_GOOD && asprintf(&file, "%s/%s", path, names[i]->d_name) < 0)
			status = EXIT_ENVIRONMENT;
		if (status == EXIT_GOOD)
			status = read_file(g, file);
		free(names[i]);
	}
	free(names);
	return status;
}

struct storing {
	struct lesson_mis *g;
	const char *store;
	int status;
};

static int on_stored(void *arg, int64_t row, struct view mi)
{
	CLEANUP(bytes_cleanup) struct bytes packed = BYTES_INIT(MI_MAX);
	struct storing *s = arg;
	char name[512];
	int r;

	snprintf(name, sizeof(name), "%.400s, row %lld", s->store, (long long)row);
	r = bytes_append_view(&packed, mi);
	if (r < 0)
		return r;
	s->status = keep_packed(s->g, name, &packed);
	return s->status == EXIT_GOOD ? 0 : -ECANCELED;
}

int lesson_store(struct lesson_mis *g, const char *path, const char *application)
{
	struct storing s = { .g = g, .store = path, .status = EXIT_GOOD };
	size_t before = g->n;
	struct store *store;
	char why[256];
	int r;

	r = store_open(path, true, &store, why, sizeof(why));
	if (r < 0) {
		terminal_error("%s: %s", path, why);
		return EXIT_ENVIRONMENT;
	}
	r = store_accepted_mis(store, application, on_stored, &s);
	store_close(store);
	if (s.status != EXIT_GOOD)
		return s.status;
	if (r == 0 && g->n > before)
		return EXIT_GOOD;
	terminal_error("%s: %s", path,
		       r < 0 ? strerror(-r) : "it has no accepted measurement of that application");
	return EXIT_ENVIRONMENT;
}

static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
	(void)number;
	stopped = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int wait_until(struct watch *w, uint64_t ns)
{
	uint64_t now;
	int r = 0;

	while (!stopped && r == 0 && (now = now_ns()) < ns) {
		r = watch_wait(w, ns - now);
		r = r == -EINTR ? 0 : r;
	}
	if (r < 0)
		terminal_error("%s (%s)", watch_failed(w), strerror(-r));
	return r < 0 ? EXIT_ENVIRONMENT : EXIT_GOOD;
}

static int keep_measured(struct lesson_mis *g, struct watch *w, bool *ret_ended)
{
	CLEANUP(bytes_cleanup) struct bytes packed = BYTES_INIT(MI_MAX);
	const struct mi *mi;
	char name[64];
	int r;

	r = watch_measure(w, &mi);
	*ret_ended = r == -ESRCH;
	if (r == -ESRCH)
		return EXIT_GOOD;
	if (r == 0)
		r = mi_pack(mi, &packed);
	if (r < 0) {
		terminal_error("%s (%s)", watch_failed(w), strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	snprintf(name, sizeof(name), "node %zu", g->n + 1);
	return keep(g, name, mi, &packed);
}

int lesson_watched(struct lesson_mis *g, const struct lesson_watch *how, char program[4096])
{
	struct sigaction stop = { .sa_handler = on_stop }, before;
	char failed[WATCH_FAILED_MAX];
	uint64_t start, due;
	bool ended = false;
	const struct mi *first;
	struct watch *w;
	int r, status;

	r = watch_open(how->pid, &w, failed);
	if (r < 0) {
		terminal_error("process %d: %s (%s)", how->pid, failed, strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	snprintf(program, 4096, "%s", watch_program(w));
	stopped = 0;
	sigaction(SIGINT, &stop, &before);
	start = due = now_ns();
	/* The first is not kept: its windows go back to when the process began, unwatched. */
	status = watch_measure(w, &first) < 0 ? EXIT_ENVIRONMENT : EXIT_GOOD;
	if (status != EXIT_GOOD)
		terminal_error("process %d: %s", how->pid, watch_failed(w));
	while (status == EXIT_GOOD && !ended && !stopped && due - start < how->for_ns) {
		due += how->every_ns;
		status = wait_until(w, due);
		if (status == EXIT_GOOD)
			status = keep_measured(g, w, &ended);
	}
	sigaction(SIGINT, &before, NULL);
	watch_close(w);
	if (status == EXIT_GOOD && ended)
		terminal_note("process %d ended; learnt from what was seen until then", how->pid);
	if (status == EXIT_GOOD && g->n == 0) {
		terminal_error("process %d: nothing of it was measured", how->pid);
		status = EXIT_ENVIRONMENT;
	}
	return status;
}

static int in_time(const void *a, const void *b)
{
	const struct lesson_mi *x = a, *y = b;

	if (x->taken_ns != y->taken_ns)
		return x->taken_ns < y->taken_ns ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

void lesson_sort(struct lesson_mis *g)
{
	if (g->n > 0)
		qsort(g->items, g->n, sizeof(*g->items), in_time);
}
