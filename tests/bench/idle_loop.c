/* SPDX-License-Identifier: Apache-2.0 */
/* The least a program of our kind is: a libevent loop with nothing to do but a timer each 10 s. */
#include <stdlib.h>

#include <event2/event.h>

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
}

int main(void)
{
	static const struct timeval period = { 10, 0 };
	struct event_base *base = event_base_new();
	struct event *timer = base ? event_new(base, -1, EV_PERSIST, on_timer, NULL) : NULL;

	if (!timer || event_add(timer, &period) < 0)
		return EXIT_FAILURE;
	event_base_dispatch(base);
	return EXIT_SUCCESS;
}
