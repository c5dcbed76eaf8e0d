/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "app.pb-c.h"
#include "cli/mi_json.h"
#include "mi.pb-c.h"

static json_t *json_of(const ProtobufCMessage *m)
{
	json_t *j;

	assert_int_equal(mi_json(m, &j), 0);
	return j;
}

static void every_field_of_an_mi_has_its_name(void **state)
{
	Assay__Mi mi = ASSAY__MI__INIT;
	json_t *j = json_of(&mi.base);

	(void)state;
	/* Texts and lists are there when empty, messages are not. */
	assert_string_equal(json_string_value(json_object_get(j, "application")), "");
	assert_int_equal(json_array_size(json_object_get(j, "processes")), 0);
	assert_true(json_is_array(json_object_get(j, "collectors")));
	assert_null(json_object_get(j, "code"));
	json_decref(j);
}

static void values_come_out_as_they_are(void **state)
{
	Assay__Mi mi = ASSAY__MI__INIT;
	Assay__TimeNode node = ASSAY__TIME_NODE__INIT;
	Assay__File file = ASSAY__FILE__INIT, *files[] = { &file };
	Assay__CollectorStatus status = ASSAY__COLLECTOR_STATUS__INIT, *statuses[] = { &status };
	uint8_t hash[] = { 0x00, 0xab, 0xff };
	json_t *j, *at;

	(void)state;
	mi.node = &node;
	node.kind = ASSAY__TIME_NODE__KIND__STAGE;
	node.number = INT64_MAX;
	node.due_boottime_ns = UINT64_MAX; /* past what a JSON integer holds here */
	mi.files = files;
	mi.n_files = 1;
	file.path = (char *)"/usr/bin/\"x\"";
	file.sha256 = (ProtobufCBinaryData){ sizeof(hash), hash };
	file.deleted = true;
	mi.collectors = statuses;
	mi.n_collectors = 1;
	status.state = 7; /* an enum value that a later version may have */

	j = json_of(&mi.base);
	at = json_object_get(j, "node");
	assert_string_equal(json_string_value(json_object_get(at, "kind")), "STAGE");
	assert_true(json_integer_value(json_object_get(at, "number")) == INT64_MAX);
	assert_string_equal(json_string_value(json_object_get(at, "due_boottime_ns")),
			    "18446744073709551615");
	at = json_array_get(json_object_get(j, "files"), 0);
	assert_string_equal(json_string_value(json_object_get(at, "path")), "/usr/bin/\"x\"");
	assert_string_equal(json_string_value(json_object_get(at, "sha256")), "00abff");
	assert_true(json_is_true(json_object_get(at, "deleted")));
	assert_true(json_is_false(json_object_get(at, "regular_fs")));
	at = json_array_get(json_object_get(j, "collectors"), 0);
	assert_int_equal(json_integer_value(json_object_get(at, "state")), 7);
	json_decref(j);
}

static void of_a_oneof_only_the_chosen_one_is_there(void **state)
{
	Assay__Request q = ASSAY__REQUEST__INIT;
	Assay__BeginStage begin = ASSAY__BEGIN_STAGE__INIT;
	json_t *j;

	(void)state;
	begin.stage = 3;
	q.body_case = ASSAY__REQUEST__BODY_BEGIN_STAGE;
	q.begin_stage = &begin;
	j = json_of(&q.base);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(j, "begin_stage"), "stage")), 3);
	assert_null(json_object_get(j, "get_secret"));
	assert_int_equal(json_object_size(j), 2); /* with id */
	json_decref(j);
}

static void text_that_is_not_utf8_is_refused(void **state)
{
	Assay__Mi mi = ASSAY__MI__INIT;
	json_t *j = NULL;

	(void)state;
	mi.application = (char *)"\xff\xfe";
	assert_int_equal(mi_json(&mi.base, &j), -EBADMSG);
	assert_null(j);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_of_an_mi_has_its_name),
		cmocka_unit_test(values_come_out_as_they_are),
		cmocka_unit_test(of_a_oneof_only_the_chosen_one_is_there),
		cmocka_unit_test(text_that_is_not_utf8_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
