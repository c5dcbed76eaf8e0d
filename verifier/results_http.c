/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "cleanup.h"
#include "jws.h"
#include "log.h"
#include "results.h"
#include "results_keys.h"

#define PATH	    "/.well-known/jwks.json"
#define HEADERS_MAX 4096
#define SECONDS	    5

struct results_http {
	struct evhttp *http;
	char *keys; /* the key set, as it is served */
};

CLEANUP_FUNCTION(struct results_http *, results_http_close)

static void on_request(struct evhttp_request *request, void *arg)
{
	struct results_http *h = arg;
	struct evbuffer *body;

	body = evbuffer_new();
	if (!body || evbuffer_add(body, h->keys, strlen(h->keys)) < 0) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
	} else {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
				  "application/jwk-set+json");
		evhttp_send_reply(request, HTTP_OK, "OK", body);
	}
	if (body)
		evbuffer_free(body);
}

static int make_keys(const struct verifier_config *config, const char *directory, char **ret)
{
	CLEANUP(cleanup_mem) char *error = NULL;
	struct results_keys keys = { 0 };
	json_t *set = NULL;
	int r;

	r = results_keys_load(config, directory, &keys, &error);
	if (r == 0)
		r = jws_key_set(keys.keys, keys.n, &set);
	if (r < 0)
		log_error("results: %s", error		? error
					 : r == -EINVAL ? "not a public key of P-256"
							: strerror(-r));
	results_keys_done(&keys);
	if (r < 0)
		return r;
	*ret = json_dumps(set, JSON_COMPACT);
	json_decref(set);
	return *ret ? 0 : -ENOMEM;
}

/* HOST:PORT was checked with the configuration. */
static int bind_to(struct evhttp *http, const char *address)
{
	const char *colon = strrchr(address, ':');
	bool bracketed = address[0] == '[';
	CLEANUP(cleanup_mem)
	char *host = strndup(address + bracketed, (size_t)(colon - address) - 2 * bracketed);

	if (!host)
		return -ENOMEM;
	errno = 0;
	if (evhttp_bind_socket(http, host, (uint16_t)strtoul(colon + 1, NULL, 10)) < 0)
		return errno ? neg_errno() : -EADDRNOTAVAIL;
	return 0;
}

int results_http_open(struct event_base *base, const struct verifier_config *config,
		      const char *directory, struct results_http **ret)
{
	CLEANUP(results_http_closep) struct results_http *h = NULL;
	int r;

	*ret = NULL;
	if (!config->results_listen)
		return 0;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	r = make_keys(config, directory, &h->keys);
	if (r < 0)
		return r;
	h->http = evhttp_new(base);
	if (!h->http || evhttp_set_cb(h->http, PATH, on_request, h) < 0)
		return -ENOMEM;
	evhttp_set_allowed_methods(h->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(h->http, HEADERS_MAX);
	evhttp_set_max_body_size(h->http, 0);
	evhttp_set_timeout(h->http, SECONDS);
	r = bind_to(h->http, config->results_listen);
	if (r < 0) {
		log_error("results: listening on %s: %s", config->results_listen, strerror(-r));
		return r;
	}
	log_notice("keys of the results at http://%s" PATH, config->results_listen);
	*ret = TAKE(h);
	return 0;
}

void results_http_close(struct results_http *h)
{
	if (!h)
		return;
	if (h->http)
		evhttp_free(h->http);
	free(h->keys);
	free(h);
}
