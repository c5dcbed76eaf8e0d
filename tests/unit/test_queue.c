/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/queue.h"

static struct queued_evidence *evidence(uint8_t n)
{
	struct queued_evidence *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	e->measurements = calloc(1, sizeof(*e->measurements));
	assert_non_null(e->measurements);
	e->n_measurements = 1;
	e->claims_hash = digest_zero(HASH_SHA512);
	e->claims_hash.bytes[0] = n;
	return e;
}

static uint8_t first_of(const struct queue *q)
{
	return q->first ? q->first->claims_hash.bytes[0] : 0;
}

static void the_oldest_dynamic_goes_first(void **state)
{
	struct queue q = { .max = 3 };
	struct queued_evidence *e = evidence(1);

	(void)state;
	e->is_static = true;
	assert_int_equal(queue_push(&q, e), 0);
	for (uint8_t i = 2; i <= 3; i++)
		assert_int_equal(queue_push(&q, evidence(i)), 0);
	assert_int_equal(queue_push(&q, evidence(4)), 1);
	assert_int_equal(q.n, 3);
	assert_int_equal(first_of(&q), 1);
	assert_int_equal(q.first->next->claims_hash.bytes[0], 3);
	queue_done(&q);
}

static void what_is_under_way_is_not_dropped(void **state)
{
	struct queue q = { .max = 1 };

	(void)state;
	assert_int_equal(queue_push(&q, evidence(1)), 0);
	q.first->sent = true;
	assert_int_equal(queue_push(&q, evidence(2)), 0);
	assert_int_equal(queue_push(&q, evidence(3)), 1);
	assert_int_equal(first_of(&q), 1);
	queue_done(&q);
}

static void only_what_was_sent_can_be_answered(void **state)
{
	struct queue q = { .max = 8 };
	uint8_t hash[64] = { 1 }, other[64] = { 2 };
	struct queued_evidence *e;

	(void)state;
	assert_int_equal(queue_push(&q, evidence(1)), 0);
	assert_null(queue_answered(&q, hash));
	q.first->sent = true;
	assert_null(queue_answered(&q, other));
	e = queue_answered(&q, hash);
	assert_non_null(e);
	assert_int_equal(q.n, 0);
	queued_evidence_free(e);
	queue_done(&q);
}

static int rounds_lost;

static void on_lost(struct round *r)
{
	rounds_lost++;
}

static void a_session_takes_along_what_was_made_for_it(void **state)
{
	struct queue q = { .max = 8 };

	(void)state;
	for (uint8_t i = 1; i <= 3; i++)
		assert_int_equal(queue_push(&q, evidence(i)), 0);
	q.first->sent = true;
	q.first->next->in_session = true;
	q.first->next->round = (struct round *)&q;
	assert_int_equal(queue_session_ended(&q, on_lost), 1);
	assert_int_equal(rounds_lost, 1);
	assert_int_equal(q.n, 2);
	assert_false(q.first->sent);
	assert_int_equal(q.first->next->claims_hash.bytes[0], 3);
	queue_done(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_dynamic_goes_first),
		cmocka_unit_test(what_is_under_way_is_not_dropped),
		cmocka_unit_test(only_what_was_sent_can_be_answered),
		cmocka_unit_test(a_session_takes_along_what_was_made_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
