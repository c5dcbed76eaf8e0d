/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "claims.h"
#include "cleanup.h"
#include "log.h"
#include "results.h"

#define CLIENT_SECONDS 30
#define LOG_PAGE       200

struct control {
	struct store *store;
	struct store_time (*clock)(void);
	control_demand_fn demand;
	void *arg;
	const struct results *results;
	struct evconnlistener *listener;
	char *path;
	unsigned int clients;
};

struct control_client {
	struct control *control;
	struct bufferevent *bev;
};

CLEANUP_FUNCTION(struct control *, control_close)

static json_t *failed(const char *why)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", why);
}

/* What a request names. */
struct subject {
	const char *application; /* NULL: none */
	uint8_t key_name[KEEPER_KEY_NAME_MAX];
	size_t key_name_len; /* 0: none */
	int64_t after;
	const char *attester, *nonce; /* as they came; NULL: none */
};

/* NULL, or what is wrong. */
static const char *read_subject(json_t *request, struct subject *ret)
{
	const char *key = json_string_value(json_object_get(request, "attester"));
	size_t len = key ? strlen(key) / 2 : 0;

	ret->application = json_string_value(json_object_get(request, "application"));
	ret->attester = key;
	ret->nonce = json_string_value(json_object_get(request, "nonce"));
	ret->after = json_integer_value(json_object_get(request, "after"));
	if (ret->application && !application_name_valid(ret->application))
		return "not an application's name";
	if (key && (len == 0 || len > sizeof(ret->key_name) ||
		    hex_decode_exact(key, ret->key_name, len) < 0))
		return "not the name of an attester's key in hex";
	ret->key_name_len = len;
	return NULL;
}

static json_t *in_transaction(struct control *c, int r, json_t *good)
{
	if (r == 0)
		r = store_commit(c->store);
	if (r == 0)
		return good;
	store_rollback(c->store);
	json_decref(good);
	return failed(r == -ENOENT ? "nothing of that name" : strerror(-r));
}

static json_t *do_fleet(struct control *c, const struct subject *s)
{
	json_t *fleet;
	int r;

	r = store_fleet(c->store, s->application, &fleet);
	return r < 0 ? failed(strerror(-r)) : json_pack("{s:b, s:o}", "ok", 1, "attesters", fleet);
}

static json_t *do_log(struct control *c, const struct subject *s)
{
	json_t *rows;
	int r;

	r = store_log_rows(c->store, s->after, LOG_PAGE, s->application, &rows);
	return r < 0 ? failed(strerror(-r)) : json_pack("{s:b, s:o}", "ok", 1, "rows", rows);
}

static json_t *do_verify(struct control *c, const struct subject *s)
{
	json_t *result;
	bool good;
	int r;

	r = store_verify(c->store, &good, &result);
	if (r < 0)
		return failed(strerror(-r));
	return json_pack("{s:b, s:b, s:o}", "ok", 1, "good", good, "store", result);
}

/* Asks every attester it concerns that is connected to measure now. */
static int demand_now(struct control *c, const struct subject *s, const char *reason)
{
	struct keeper_demand d;

	memset(&d, 0, sizeof(d));
	keeper_text(d.application, sizeof(d.application), s->application);
	keeper_text(d.reason, sizeof(d.reason), reason);
	memcpy(d.key_name, s->key_name, s->key_name_len);
	d.key_name_len = (uint8_t)s->key_name_len;
	return c->demand(c->arg, &d, KEEPER_DEMAND);
}

static json_t *do_readmit(struct control *c, const struct subject *s)
{
	json_t *answer;
	size_t n = 0;
	int r;

	if (!s->application)
		return failed("which application?");
	r = store_begin(c->store);
	if (r == 0)
		r = store_readmit(c->store, s->application, view_of(s->key_name, s->key_name_len),
				  c->clock(), &n);
	if (r == 0)
		log_notice("%s: readmitted, %zu latched", s->application, n);
	answer =
		in_transaction(c, r, json_pack("{s:b, s:I}", "ok", 1, "readmitted", (json_int_t)n));
	if (r < 0 || n == 0)
		return answer;
	/* The attester learns of it by being asked to measure; one that is away, when it comes. */
	r = demand_now(c, s, CHALLENGE_READMITTED);
	if (r < 0)
		log_warning("continuing without telling the attesters: %s", strerror(-r));
	return answer;
}

static json_t *do_forget(struct control *c, const struct subject *s)
{
	struct keeper_demand d;
	json_t *answer;
	int r;

	if (s->key_name_len == 0)
		return failed("which attester?");
	r = store_begin(c->store);
	if (r == 0)
		r = store_forget(c->store, view_of(s->key_name, s->key_name_len), c->clock());
	answer = in_transaction(c, r, json_pack("{s:b}", "ok", 1));
	if (r < 0)
		return answer;
	memset(&d, 0, sizeof(d));
	memcpy(d.key_name, s->key_name, s->key_name_len);
	d.key_name_len = (uint8_t)s->key_name_len;
	/* Its sessions are ended in the store already; this closes their connections. */
	r = c->demand(c->arg, &d, KEEPER_END);
	if (r < 0)
		log_warning("continuing without closing its sessions: %s", strerror(-r));
	return answer;
}

static json_t *do_demand(struct control *c, const struct subject *s)
{
	int r;

	if (!s->application)
		return failed("which application?");
	r = demand_now(c, s, "the operator demands it");
	return r < 0 ? failed(strerror(-r)) : json_pack("{s:b}", "ok", 1);
}

static json_t *do_result(struct control *c, const struct subject *s)
{
	const struct results_wanted wanted = {
		.application = s->application,
		.attester = s->attester,
		.nonce = s->nonce,
		.now = c->clock().at_ns / 1000000000,
	};
	json_t *list;
	int r;

	if (!s->application)
		return failed("which application?");
	r = results_sign(c->results, c->store, &wanted, &list);
	if (r == 0)
		return json_pack("{s:b, s:o}", "ok", 1, "results", list);
	return failed(r == -ENOTSUP  ? "results are not signed here: results.key is not configured"
		      : r == -ENOENT ? "no machine has shown this application"
		      : r == -EINVAL ? "a nonce has 8 to 88 characters"
				     : strerror(-r));
}

void control_use_results(struct control *c, const struct results *results)
{
	c->results = results;
}

static const struct {
	const char *name;
	json_t *(*answer)(struct control *c, const struct subject *s);
} commands[] = {
	{ "fleet", do_fleet },	   { "log", do_log },	    { "verify", do_verify },
	{ "readmit", do_readmit }, { "forget", do_forget }, { "demand", do_demand },
	{ "result", do_result },
};

json_t *control_answer(struct control *c, struct view request)
{
	json_t *in =
		json_loadb((const char *)request.data, request.len, JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(in, "do"));
	json_t *answer = NULL;
	struct subject s = { 0 };
	const char *why;

	why = in ? read_subject(in, &s) : "not a JSON object";
	if (why)
		answer = failed(why);
	for (size_t i = 0; !answer && name && i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			answer = commands[i].answer(c, &s);
	}
	if (!answer)
		answer = failed("no such command");
	json_decref(in);
	return answer;
}

static void client_free(struct control_client *client)
{
	client->control->clients--;
	bufferevent_free(client->bev);
	free(client);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	client_free(arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	client_free(arg);
}

static void on_readable(struct bufferevent *bev, void *arg)
{
	struct control_client *client = arg;
	CLEANUP(cleanup_mem) char *text = NULL;
	CLEANUP(cleanup_mem) char *line = NULL;
	size_t len;
	json_t *answer;

	line = evbuffer_readln(bufferevent_get_input(bev), &len, EVBUFFER_EOL_LF);
	if (!line) {
		if (evbuffer_get_length(bufferevent_get_input(bev)) > CONTROL_REQUEST_MAX)
			client_free(client);
		return;
	}
	bufferevent_disable(bev, EV_READ);
	answer = control_answer(client->control, view_of(line, len));
	text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
	json_decref(answer);
	if (!text || bufferevent_write(bev, text, strlen(text)) < 0 ||
	    bufferevent_write(bev, "\n", 1) < 0) {
		client_free(client);
		return;
	}
	bufferevent_setcb(bev, NULL, on_written, on_event, client);
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd,
			  struct sockaddr *from, int len, void *arg)
{
	const struct timeval patience = { .tv_sec = CLIENT_SECONDS };
	struct control *c = arg;
	struct control_client *client = NULL;
	struct ucred peer;
	socklen_t size = sizeof(peer);

	/* The mode of the socket says it already; a descriptor that was passed on does not. */
	if (c->clients >= CONTROL_CLIENTS_MAX ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    (peer.uid != 0 && peer.uid != geteuid())) {
		close(fd);
		return;
	}
	client = calloc(1, sizeof(*client));
	if (client)
		client->bev = bufferevent_socket_new(evconnlistener_get_base(listener), fd,
						     BEV_OPT_CLOSE_ON_FREE);
	if (!client || !client->bev) {
		free(client);
		close(fd);
		return;
	}
	client->control = c;
	c->clients++;
	bufferevent_setcb(client->bev, on_readable, NULL, on_event, client);
	bufferevent_set_timeouts(client->bev, &patience, &patience);
	bufferevent_setwatermark(client->bev, EV_READ, 0, CONTROL_REQUEST_MAX + 1);
	bufferevent_enable(client->bev, EV_READ | EV_WRITE);
}

int control_open(struct event_base *base, const char *path, struct store *store,
		 struct store_time (*clock)(void), control_demand_fn demand, void *arg,
		 struct control **ret)
{
	CLEANUP(control_closep) struct control *c = calloc(1, sizeof(*c));
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	CLEANUP(cleanup_fd) int fd = -1;
	mode_t mask;
	int r;

	if (!c)
		return -ENOMEM;
	c->store = store;
	c->clock = clock;
	c->demand = demand;
	c->arg = arg;
	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	strcpy(to.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return neg_errno();
	unlink(path);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? neg_errno() : 0;
	umask(mask);
	if (r < 0)
		return r;
	c->path = strdup(path);
	if (!c->path)
		return -ENOMEM;
	c->listener = evconnlistener_new(base, on_connection, c,
					 LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 8, fd);
	if (!c->listener)
		return -ENOMEM;
	fd = -1;
	*ret = TAKE(c);
	return 0;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	if (c->listener)
		evconnlistener_free(c->listener);
	if (c->path)
		unlink(c->path);
	free(c->path);
	free(c);
}
