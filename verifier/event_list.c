/* SPDX-License-Identifier: Apache-2.0 */
#include "event_list.h"

#include "cleanup.h"
#include "signed_json.h"
#include "tdx_quote.h"

#define DIGEST_SIZE 48

bool event_list_begins(struct view text)
{
	return text.len > 0 && text.data[0] == '[';
}

/* A list of objects of texts and numbers is not nested any deeper. */
static bool flat(struct view text)
{
	size_t depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '[' || c == '{') && ++depth > SIGNED_JSON_DEPTH_MAX)
			return false;
		else if (!quoted && (c == ']' || c == '}') && depth > 0)
			depth--;
	}
	return true;
}

static const char *replay_event(const json_t *event, struct eventlog_registers *regs,
				int *ret_error)
{
	const json_t *imr = json_object_get(event, "imr");
	const json_t *type = json_object_get(event, "event_type");
	const char *hex = json_string_value(json_object_get(event, "digest"));
	uint8_t digest[DIGEST_SIZE];
	unsigned int index;

	if (!json_is_integer(imr) || json_integer_value(imr) < 0 ||
	    json_integer_value(imr) >= TDX_RTMRS)
		return "an event's imr is not a number from 0 to 3";
	if (!json_is_integer(type))
		return "an event has no event_type";
	if (!hex || hex_decode_exact(hex, digest, sizeof(digest)) < 0)
		return "an event's digest is not 96 hex digits";
	if (json_integer_value(type) == EVENTLOG_NO_ACTION)
		return NULL;
	index = (unsigned int)json_integer_value(imr) + 1;
	regs->touched |= 1u << index;
	*ret_error = digest_extend(&regs->registers[index], view_of(digest, sizeof(digest)));
	return NULL;
}

int event_list_replay(struct view text, struct eventlog_registers *ret, const char **ret_why)
{
	struct eventlog_registers regs = { .alg = HASH_SHA384 };
	CLEANUP(cleanup_json) json_t *list = NULL;
	const char *why = NULL;
	int r = 0;

	*ret_why = "it is not a JSON list of events";
	if (text.len > EVENT_LIST_MAX || !flat(text))
		return -EBADMSG;
	list = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_array(list) || json_array_size(list) > EVENTLOG_EVENTS_MAX)
		return -EBADMSG;
	for (unsigned int i = 0; i < EVENTLOG_REGISTERS; i++)
		regs.registers[i] = digest_zero(HASH_SHA384);
	for (size_t i = 0; !why && r == 0 && i < json_array_size(list); i++)
		why = replay_event(json_array_get(list, i), &regs, &r);
	if (r < 0)
		return r;
	if (why) {
		*ret_why = why;
		return -EBADMSG;
	}
	*ret = regs;
	return 0;
}
