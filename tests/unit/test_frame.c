/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "proto/frame.h"
#include "session.pb-c.h"

CLEANUP_FUNCTION(struct evbuffer *, evbuffer_free)

static struct view all_of(struct evbuffer *b)
{
	return view_of(evbuffer_pullup(b, -1), evbuffer_get_length(b));
}

static void a_frame_is_length_and_message(void **state)
{
	CLEANUP(evbuffer_freep) struct evbuffer *b = evbuffer_new();

	assert_int_equal(frame_write(b, view_text("abc")), 0);
	assert_int_equal(frame_write(b, view_of(NULL, 0)), 0);
	assert_true(view_equal(all_of(b), view_of("\0\0\0\3abc\0\0\0\0", 11)));
}

/* Three frames, the second one empty, that arrive in two pieces. */
static void a_stream_may_be_cut_at_every_byte(void **state)
{
	static const char stream[] = "\0\0\0\3abc\0\0\0\0\0\0\0\2xy";
	static const char *const messages[] = { "abc", "", "xy" };
	const size_t len = sizeof(stream) - 1;

	for (size_t cut = 0; cut <= len; cut++) {
		CLEANUP(evbuffer_freep) struct evbuffer *b = evbuffer_new();
		struct bytes message = BYTES_INIT(16);
		size_t n = 0;

		for (int piece = 0; piece < 2; piece++) {
			size_t from = piece ? cut : 0, to = piece ? len : cut;
			int r;

			assert_int_equal(evbuffer_add(b, stream + from, to - from), 0);
			while ((r = frame_read(b, &message)) == 1) {
				assert_true(n < ARRAY_LEN(messages));
				assert_true(view_is(bytes_view(&message), messages[n]));
				n++;
			}
			assert_int_equal(r, 0);
		}
		assert_int_equal(n, ARRAY_LEN(messages));
		assert_int_equal(evbuffer_get_length(b), 0);
		bytes_done(&message);
	}
}

static void an_unfinished_frame_is_left_alone(void **state)
{
	static const char stream[] = "\0\0\0\5abcd";

	for (size_t len = 0; len < sizeof(stream); len++) {
		CLEANUP(evbuffer_freep) struct evbuffer *b = evbuffer_new();
		struct bytes message = BYTES_INIT(16);

		assert_int_equal(evbuffer_add(b, stream, len < 8 ? len : 8), 0);
		assert_int_equal(frame_read(b, &message), 0);
		assert_int_equal(evbuffer_get_length(b), len < 8 ? len : 8);
		bytes_done(&message);
	}
}

static const struct {
	const char *what;
	uint8_t length[4];
	int r;
} lengths[] = {
	{ "the maximum", { 0, 0, 0, 16 }, 0 },
	{ "one more than the maximum", { 0, 0, 0, 17 }, -EMSGSIZE },
	{ "more than 31 bits", { 0x80, 0, 0, 0 }, -EMSGSIZE },
	{ "all ones", { 0xff, 0xff, 0xff, 0xff }, -EMSGSIZE },
};

/* At once, from the length alone: nothing is gathered for a message that will not be taken. */
static void an_over_long_frame_ends_the_stream(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		CLEANUP(evbuffer_freep) struct evbuffer *b = evbuffer_new();
		struct bytes message = BYTES_INIT(16);

		assert_int_equal(evbuffer_add(b, lengths[i].length, 4), 0);
		for (int again = 0; again < 2; again++) {
			int r = frame_read(b, &message);

			if (r != lengths[i].r)
				fail_msg("%s: %d", lengths[i].what, r);
		}
		assert_null(message.data);
	}
}

static void too_long_a_message_is_not_written(void **state)
{
	CLEANUP(evbuffer_freep) struct evbuffer *b = evbuffer_new();
	static uint8_t big[FRAME_MAX + 1];
	Assay__Evidence m;

	assert_int_equal(frame_write(b, view_of(big, sizeof(big))), -EMSGSIZE);
	assay__evidence__init(&m);
	Assay__ChipReport chip;

	assay__chip_report__init(&chip);
	chip.event_log = (ProtobufCBinaryData){ FRAME_MAX, big };
	m.chip = &chip;
	assert_int_equal(frame_pack(b, &m.base), -EMSGSIZE);
	/* Not a byte of it: the stream goes on. */
	assert_int_equal(evbuffer_get_length(b), 0);
	assert_int_equal(frame_write(b, view_of(big, FRAME_MAX)), 0);
	assert_int_equal(evbuffer_get_length(b), FRAME_MAX + 4);
}

static void what_is_packed_unpacks(void **state)
{
	CLEANUP(evbuffer_freep) struct evbuffer *b = evbuffer_new();
	struct bytes message = BYTES_INIT(FRAME_MAX);
	Assay__NonceRequest request;
	Assay__ToVerifier out, *in = NULL;
	struct arena *arena;

	assay__nonce_request__init(&request);
	assay__to_verifier__init(&out);
	request.application = (char *)"payroll";
	request.stage = 3;
	out.body_case = ASSAY__TO_VERIFIER__BODY_NONCE_REQUEST;
	out.nonce_request = &request;
	assert_int_equal(frame_pack(b, &out.base), 0);
	assert_int_equal(frame_read(b, &message), 1);
	assert_int_equal(message.len, assay__to_verifier__get_packed_size(&out));

	assert_int_equal(arena_new(FRAME_MEMORY_MAX, &arena), 0);
	assert_int_equal(
		frame_unpack(&assay__to_verifier__descriptor, bytes_view(&message), arena, &in), 0);
	assert_int_equal(in->body_case, ASSAY__TO_VERIFIER__BODY_NONCE_REQUEST);
	assert_string_equal(in->nonce_request->application, "payroll");
	assert_int_equal(in->nonce_request->stage, 3);
	arena_free(arena);

	/* Cut short anywhere, it is no longer that message. */
	for (size_t len = 0; len < message.len; len++) {
		assert_int_equal(arena_new(FRAME_MEMORY_MAX, &arena), 0);
		in = NULL;
		if (frame_unpack(&assay__to_verifier__descriptor, view_of(message.data, len), arena,
				 &in) == 0)
			assert_int_equal(in->body_case, ASSAY__TO_VERIFIER__BODY__NOT_SET);
		else
			assert_null(in);
		arena_free(arena);
	}
	bytes_done(&message);
}

static void unpacking_keeps_to_the_arena(void **state)
{
	struct bytes message = BYTES_INIT(1024 * 1024);
	Assay__Evidence *in = NULL;
	struct arena *arena;

	/* Empty measurements: two bytes each here, a structure each there. */
	while (bytes_append(&message, "\x12\x00", 2) == 0)
		;
	assert_int_equal(arena_new(1024 * 1024, &arena), 0);
	assert_int_equal(
		frame_unpack(&assay__evidence__descriptor, bytes_view(&message), arena, &in),
		-EBADMSG);
	assert_null(in);
	assert_true(arena_used(arena) <= 1024 * 1024);
	arena_free(arena);
	bytes_done(&message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_is_length_and_message),
		cmocka_unit_test(a_stream_may_be_cut_at_every_byte),
		cmocka_unit_test(an_unfinished_frame_is_left_alone),
		cmocka_unit_test(an_over_long_frame_ends_the_stream),
		cmocka_unit_test(too_long_a_message_is_not_written),
		cmocka_unit_test(what_is_packed_unpacks),
		cmocka_unit_test(unpacking_keeps_to_the_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
