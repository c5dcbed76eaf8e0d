/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "cleanup.h"
#include "errors.h"
#include "fetch_cache.h"

#define CHAIN_SUFFIX "-Issuer-Chain"

struct fetch {
	struct fetch_config config;
	CURL *curl;
	unsigned int waited;
	char why[FETCH_WHY_MAX];
	char curl_why[CURL_ERROR_SIZE];
};

/* One answer as it comes. */
struct answer {
	struct fetch *fetch;
	struct fetched *to;
	bool too_large;
	int64_t max_age; /* seconds; -1: it does not say */
};

const char *fetch_why(const struct fetch *f)
{
	return f->why;
}

void fetch_free(struct fetch *f)
{
	if (!f)
		return;
	curl_easy_cleanup(f->curl);
	curl_global_cleanup();
	free(f);
}

int fetch_new(const struct fetch_config *config, struct fetch **ret)
{
	struct fetch *f;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	f = calloc(1, sizeof(*f));
	if (!f) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	f->config = *config;
	f->curl = curl_easy_init();
	if (!f->curl) {
		fetch_free(f);
		return -ENOMEM;
	}
	*ret = f;
	return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct answer *a = arg;

	if (bytes_append(&a->to->body, data, size * n) < 0) {
		a->too_large = true;
		return 0;
	}
	return size * n;
}

/* Percent-encoded PEM. */
static void take_chain(struct answer *a, const char *value, size_t len)
{
	int decoded_len = 0;
	char *decoded;

	/* A length of zero would have curl look for the end itself, which a header line has none of. */
	if (len == 0)
		return;
	if (len > FETCH_CHAIN_MAX) {
		a->too_large = true;
		return;
	}
	decoded = curl_easy_unescape(a->fetch->curl, value, (int)len, &decoded_len);
	if (!decoded || bytes_append(&a->to->chain, decoded, (size_t)decoded_len) < 0)
		a->too_large = true;
	curl_free(decoded);
}

static void take_age(struct answer *a, const char *value)
{
	const char *age = strcasestr(value, "max-age=");

	if (strcasestr(value, "no-store") || strcasestr(value, "no-cache"))
		a->max_age = 0;
	else if (age)
		a->max_age = strtoll(age + strlen("max-age="), NULL, 10);
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	static const char suffix[] = CHAIN_SUFFIX, control[] = "Cache-Control";
	size_t len = size * n, name;
	struct answer *a = arg;
	char value[256];
	char *colon = memchr(line, ':', len);

	if (!colon)
		return len;
	name = (size_t)(colon - line);
	for (colon++; colon < line + len && *colon == ' '; colon++)
		;
	for (len -= (size_t)(colon - line); len > 0 && strchr("\r\n ", colon[len - 1]); len--)
		;
	if (name > strlen(suffix) &&
	    strncasecmp(line + name - strlen(suffix), suffix, strlen(suffix)) == 0) {
		take_chain(a, colon, len);
	} else if (name == strlen(control) && strncasecmp(line, control, name) == 0) {
		snprintf(value, sizeof(value), "%.*s", (int)(len < 255 ? len : 255), colon);
		take_age(a, value);
	}
	return a->too_large ? 0 : size * n;
}

static bool set_up(struct fetch *f, const char *url, struct answer *a)
{
	const char *protocols = f->config.allow_http ? "https,http" : "https";
	CURL *c = f->curl;

	curl_easy_reset(c);
	f->curl_why[0] = '\0';
	/* No redirection: the services give none, and where one leads nobody looked at. */
	return curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, protocols) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
	       (!f->config.ca || curl_easy_setopt(c, CURLOPT_CAINFO, f->config.ca) == CURLE_OK) &&
	       curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)FETCH_CONNECT_S) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)FETCH_TRANSFER_S) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_MAXFILESIZE, (long)FETCH_BODY_MAX) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_USERAGENT, "assay/" ASSAY_VERSION) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_ERRORBUFFER, f->curl_why) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEDATA, a) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_HEADERDATA, a) == CURLE_OK;
}

static int say(struct fetch *f, int r, const char *why)
{
	snprintf(f->why, sizeof(f->why), "%s", why);
	return r;
}

/* What a transfer came to. -EAGAIN: to be tried again, *ret_wait seconds later at the soonest. */
static int judge(struct fetch *f, const struct answer *a, CURLcode done, unsigned int *ret_wait)
{
	curl_off_t after = 0;
	char text[64];
	long status = 0;

	if (a->too_large || done == CURLE_FILESIZE_EXCEEDED)
		return say(f, -EMSGSIZE, "the answer is larger than an endorsement may be");
	if (done != CURLE_OK)
		return say(f, -EHOSTUNREACH,
			   f->curl_why[0] ? f->curl_why : curl_easy_strerror(done));
	curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(f->curl, CURLINFO_RETRY_AFTER, &after);
	if (status == 200)
		return 0;
	snprintf(text, sizeof(text), "the service answers %ld", status);
	if (status == 429 || status == 503) {
		*ret_wait = after > 0 && after < 86400 ? (unsigned int)after : after > 0 ? 86400 : 0;
		return say(f, -EAGAIN, text);
	}
	return say(f, status == 404 ? -ENOENT : -EPROTO, text);
}

/* Twice as long each time, and never shorter than the service says. */
static bool wait_for(struct fetch *f, unsigned int asked, unsigned int try)
{
	unsigned int seconds = asked > 1u << try ? asked : 1u << try;

	if (seconds > f->config.max_wait - f->waited) {
		snprintf(f->why + strlen(f->why), sizeof(f->why) - strlen(f->why),
			 " and asks to wait %u s, of %u s that are left", seconds,
			 f->config.max_wait - f->waited);
		return false;
	}
	f->waited += seconds;
	f->config.wait(seconds);
	return true;
}

static int transfer(struct fetch *f, const char *url, struct fetched *to, int64_t *ret_max_age)
{
	unsigned int asked = 0;
	struct answer a;
	int r = -EAGAIN;

	for (unsigned int try = 0; r == -EAGAIN && try < FETCH_TRIES_MAX; try++) {
		if (try > 0 && !wait_for(f, asked, try - 1))
			return -EAGAIN;
		bytes_reset(&to->body);
		bytes_reset(&to->chain);
		a = (struct answer){ .fetch = f, .to = to, .max_age = -1 };
		if (!set_up(f, url, &a))
			return say(f, -EPROTO, "the transfer could not be set up");
		asked = 0;
		r = judge(f, &a, curl_easy_perform(f->curl), &asked);
	}
	*ret_max_age = a.max_age < 0 || a.max_age > FETCH_AGE_MAX ? FETCH_AGE_MAX : a.max_age;
	return r;
}

int fetch_get(struct fetch *f, const char *url, bool again, struct fetched *ret)
{
	struct fetched got = { .body = BYTES_INIT(FETCH_BODY_MAX),
			       .chain = BYTES_INIT(FETCH_CHAIN_MAX) };
	int64_t now = f->config.now(), max_age = 0;
	int r = -ENOENT;

	f->why[0] = '\0';
	if (f->config.cache && !again)
		r = fetch_cache_read(f->config.cache, url, now, &got);
	if (r == 0) {
		got.from_cache = true;
	} else if (r != -ENOMEM) {
		r = transfer(f, url, &got, &max_age);
		/* An answer that cannot be kept is an answer all the same. */
		if (r == 0 && f->config.cache)
			(void)!fetch_cache_write(f->config.cache, url, now, max_age, &got);
	}
	if (r < 0) {
		fetched_done(&got);
		return r;
	}
	*ret = got;
	return 0;
}
