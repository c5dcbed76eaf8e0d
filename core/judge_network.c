/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <stdio.h>

#define SECOND_NS 1000000000u

static bool matches_any(const struct address_pattern *patterns, size_t n, const char *protocol,
			const char *address)
{
	for (size_t i = 0; i < n; i++) {
		if (address_pattern_matches(&patterns[i], judge_text(protocol),
					    judge_text(address)))
			return true;
	}
	return false;
}

/* What is allowed, as the policy writes it; a long list is cut. */
static const char *listed(char *const *texts, size_t n, char to[JUDGE_TEXT_MAX])
{
	size_t at = 0;

	snprintf(to, JUDGE_TEXT_MAX, "none");
	for (size_t i = 0; i < n && at < JUDGE_TEXT_MAX; i++)
		at += (size_t)snprintf(to + at, JUDGE_TEXT_MAX - at, "%s%s", i ? ", " : "only ",
				       texts[i]);
	return to;
}

static void judge_listen(const struct judging *j, const struct policy_addresses *rule)
{
	const Assay__Network *item = j->mi->network;
	char expected[JUDGE_TEXT_MAX];
	struct judge_check c;

	if (!judge_begin(&c, j, &rule->rule, JUDGE_ABSENCE, "dynamic.listen",
			 listed(rule->allow, rule->n_allow, expected), item))
		return;
	for (size_t i = 0; i < item->n_listeners; i++) {
		const Assay__Listener *l = item->listeners[i];

		if (!matches_any(rule->patterns, rule->n_allow, l->protocol, l->address))
			judge_fail(&c, "process %u listens on %s/%s", l->pid,
				   judge_text(l->protocol), judge_text(l->address));
	}
	judge_end(&c);
}

static void judge_direction(const struct judging *j, const struct policy_rule *rule,
			    char *const *texts, const struct address_pattern *patterns, size_t n,
			    bool outgoing, const char *path)
{
	const Assay__Network *item = j->mi->network;
	char expected[JUDGE_TEXT_MAX];
	struct judge_check c;

	if (!judge_begin(&c, j, rule, JUDGE_ABSENCE, path, listed(texts, n, expected), item))
		return;
	for (size_t i = 0; i < item->n_connections; i++) {
		const Assay__Connection *k = item->connections[i];

		if ((bool)k->outgoing != outgoing ||
		    matches_any(patterns, n, k->protocol, k->remote))
			continue;
		judge_fail(&c, "process %u is connected %s %s/%s", k->pid, outgoing ? "to" : "from",
			   judge_text(k->protocol), judge_text(k->remote));
	}
	if (item->connections_uncounted > 0)
		judge_unchecked(&c, "%llu connections are not in the list",
				(unsigned long long)item->connections_uncounted);
	judge_end(&c);
}

static void judge_rate(const struct judging *j, const struct policy_limit *limit, const char *path,
		       uint64_t bytes)
{
	const Assay__Network *item = j->mi->network;
	char expected[JUDGE_TEXT_MAX], shown[QUANTITY_TEXT_MAX];
	struct judge_check c;

	if (!limit)
		return;
	snprintf(expected, sizeof(expected), "at most %s a second",
		 quantity_size_text(limit->value, shown));
	if (!judge_begin(&c, j, &limit->rule, JUDGE_VALUE, path, expected, item))
		return;
	if (item->window_ns == 0 && bytes > 0)
		judge_unchecked(&c, "%llu bytes in a window of no length",
				(unsigned long long)bytes);
	else if ((unsigned __int128)bytes * SECOND_NS >
		 (unsigned __int128)limit->value * item->window_ns)
		judge_fail(&c, "%llu bytes in %llu ms", (unsigned long long)bytes,
			   (unsigned long long)(item->window_ns / 1000000));
	judge_end(&c);
}

/* MI item 3: listening ports, connections, traffic. */
void judge_network(const struct judging *j)
{
	const struct policy_connections *k = j->rules->connections;
	const struct policy_traffic *t = j->rules->traffic;
	const Assay__Network *item = j->mi->network;

	if (j->rules->listen)
		judge_listen(j, j->rules->listen);
	if (k)
		judge_direction(j, &k->rule, k->allow, k->patterns, k->n_allow, true,
				"dynamic.connections");
	if (k && k->incoming)
		judge_direction(j, &k->incoming->rule, k->incoming->allow, k->incoming->patterns,
				k->incoming->n_allow, false, "dynamic.connections.incoming");
	if (t) {
		judge_rate(j, t->sent, "dynamic.traffic.sent_per_second",
			   item ? item->sent_bytes : 0);
		judge_rate(j, t->received, "dynamic.traffic.received_per_second",
			   item ? item->received_bytes : 0);
	}
}
