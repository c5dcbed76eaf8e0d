/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <systemd/sd-daemon.h>

#include "cleanup.h"
#include "control.h"
#include "keeper.h"
#include "keeper_files.h"
#include "log.h"
#include "results.h"

/* The keeper as a process: its loop, and what is around keeper_handle(). */
struct keeper_loop {
	struct keeper keeper;
	struct event_base *base;
	struct bufferevent *appraiser;
	struct event *signals[3];
	struct control *control;
	const struct verifier_config *config;
	const char *directory; /* the configuration's */
	struct store_time (*clock)(void);
	struct bytes body, answer;
	bool ready;
	int exit_status;
};

static void end(struct keeper_loop *l, int status)
{
	l->exit_status = status;
	event_base_loopbreak(l->base);
}

/* 1: a request was answered; 0: there is no whole one. */
static int take_request(struct keeper_loop *l)
{
	struct evbuffer *in = bufferevent_get_input(l->appraiser);
	const struct keeper_shape *shape;
	struct keeper_header h;
	uint8_t *to;
	int r;

	if (evbuffer_copyout(in, &h, sizeof(h)) < (ev_ssize_t)sizeof(h))
		return 0;
	shape = keeper_shape(h.type);
	if (!shape || h.len > keeper_len_max(shape))
		return -EBADMSG;
	if (evbuffer_get_length(in) < sizeof(h) + h.len)
		return 0;
	bytes_reset(&l->body);
	r = bytes_reserve(&l->body, h.len, &to);
	if (r < 0)
		return r;
	evbuffer_drain(in, sizeof(h));
	evbuffer_remove(in, to, h.len);
	l->body.len = h.len;
	r = keeper_handle(&l->keeper, h.type, bytes_view(&l->body), l->clock(), &l->answer);
	if (r < 0)
		return r;
	if (bufferevent_write(l->appraiser, l->answer.data, l->answer.len) < 0)
		return -ENOMEM;
	return 1;
}

static void on_readable(struct bufferevent *bev, void *arg)
{
	struct keeper_loop *l = arg;
	int r;

	do {
		r = take_request(l);
	} while (r == 1);
	if (r < 0) {
		/* It is broken or taken over. Its end is the end of both; systemd starts them
		 * again. */
		log_error("the appraiser sent what is not a request: %s", strerror(-r));
		end(l, 3);
	}
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct keeper_loop *l = arg;

	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
		log_error("the appraiser has ended");
		end(l, 3);
	}
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct keeper_loop *l = arg;

	log_notice("ending: %s", strsignal(number));
	sd_notify(0, "STOPPING=1");
	end(l, 0);
}

static int send_message(void *arg, struct view message)
{
	struct keeper_loop *l = arg;

	return bufferevent_write(l->appraiser, message.data, message.len) < 0 ? -ENOMEM : 0;
}

static void on_reload(evutil_socket_t number, short what, void *arg)
{
	struct keeper_loop *l = arg;
	const struct keeper_files_sink to = { send_message, l };
	int r;

	log_notice("reading endorsements again");
	r = keeper_files_send(l->config, l->directory, &to);
	if (r < 0) {
		/* Half a message may be under way. */
		log_error("sending endorsements to the appraiser: %s", strerror(-r));
		end(l, 3);
	}
}

/* Both loops are alive when the appraiser's word gets here. */
static void on_alive(void *arg)
{
	struct keeper_loop *l = arg;

	if (!l->ready) {
		l->ready = true;
		sd_notify(0, "READY=1");
		log_notice("ready");
	}
	sd_notify(0, "WATCHDOG=1");
}

static int demand(void *arg, const struct keeper_demand *d, enum keeper_type type)
{
	CLEANUP(bytes_cleanup) struct bytes message = BYTES_INIT(4096);
	struct keeper_loop *l = arg;
	int r;

	r = keeper_write(&message, type, d, NULL);
	if (r == 0 && bufferevent_write(l->appraiser, message.data, message.len) < 0)
		r = -ENOMEM;
	return r;
}

static int start_loop(struct keeper_loop *l, int fd, const char *control_socket)
{
	static const struct {
		int number;
		event_callback_fn callback;
	} signals[] = { { SIGTERM, on_signal }, { SIGINT, on_signal }, { SIGHUP, on_reload } };
	int r;

	l->base = event_base_new();
	if (!l->base)
		return -ENOMEM;
	l->appraiser = bufferevent_socket_new(l->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!l->appraiser)
		return -ENOMEM;
	bufferevent_setcb(l->appraiser, on_readable, NULL, on_event, l);
	bufferevent_setwatermark(l->appraiser, EV_READ, 0,
				 KEEPER_MESSAGE_MAX + sizeof(struct keeper_header));
	if (bufferevent_enable(l->appraiser, EV_READ | EV_WRITE) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		l->signals[i] = evsignal_new(l->base, signals[i].number, signals[i].callback, l);
		if (!l->signals[i] || event_add(l->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	r = control_open(l->base, control_socket, l->keeper.store, l->clock, demand, l,
			 &l->control);
	if (r < 0)
		log_error("%s: %s", control_socket, strerror(-r));
	return r;
}

static void loop_done(struct keeper_loop *l)
{
	control_close(l->control);
	for (size_t i = 0; i < ARRAY_LEN(l->signals); i++) {
		if (l->signals[i])
			event_free(l->signals[i]);
	}
	if (l->appraiser)
		bufferevent_free(l->appraiser);
	if (l->base)
		event_base_free(l->base);
	store_close(l->keeper.store);
	bytes_done(&l->body);
	bytes_done(&l->answer);
}

static int open_vault(const struct verifier_config *config, const char *directory,
		      const struct policies *policies, struct vault *ret,
		      struct results *ret_results)
{
	CLEANUP(cleanup_mem) char *error = NULL;
	int r;

	r = secret_heap_open();
	if (r < 0) {
		log_error("memory for secrets could not be locked: %s", strerror(-r));
		return 3;
	}
	r = vault_load(config, directory, ret, &error);
	if (r == 0)
		r = vault_check(ret, policies, &error);
	if (r == 0)
		r = results_load(config, directory, ret_results, &error);
	if (r < 0) {
		log_error("%s", error ? error : strerror(-r));
		return 2;
	}
	return 0;
}

int keeper_main(const struct verifier_config *config, const char *directory,
		const struct policies *policies, int fd, struct store_time (*clock)(void))
{
	CLEANUP(cleanup_mem) char *path = config_path(directory, config->store);
	struct results results = { 0 };
	struct vault vault = { 0 };
	struct keeper_loop l = {
		.keeper = { .policies = policies,
			    .vault = &vault,
			    .nonce_valid_ns = config->nonce_valid_ns,
			    .on_alive = on_alive },
		.config = config,
		.directory = directory,
		.clock = clock,
		.body = BYTES_INIT(KEEPER_MESSAGE_MAX),
		.answer = BYTES_INIT(KEEPER_MESSAGE_MAX),
	};
	char why[256] = "";
	int r;

	l.keeper.arg = &l;
	/* Secrets are in here: no core dump, no tracing by a process of the same user. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		log_warning("continuing without PR_SET_DUMPABLE: %s", strerror(errno));
	l.exit_status = open_vault(config, directory, policies, &vault, &results);
	if (l.exit_status == 0) {
		r = path ? store_open(path, false, &l.keeper.store, why, sizeof(why)) : -ENOMEM;
		if (r < 0)
			log_error("%s: %s", path ? path : config->store, why);
		else
			r = start_loop(&l, fd, config->control_socket);
		if (r < 0) {
			l.exit_status = 3;
		} else {
			control_use_results(l.control, &results);
			event_base_dispatch(l.base);
		}
	}
	loop_done(&l);
	results_done(&results);
	vault_done(&vault);
	secret_heap_close();
	return l.exit_status;
}
