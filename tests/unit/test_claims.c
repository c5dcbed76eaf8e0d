/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "claims.h"

/* Claims that are right in every field, and what they point to. */
struct sample {
	Assay__Claims c;
	Assay__TimeNodeRef node;
	uint8_t zeros[CLAIMS_RAW_MAX + 1];
	char name[APPLICATION_NAME_MAX + 2];
};

static ProtobufCBinaryData zeros(struct sample *s, size_t len)
{
	return (ProtobufCBinaryData){ len, s->zeros };
}

static void sample_init(struct sample *s)
{
	memset(s, 0, sizeof(*s));
	assay__claims__init(&s->c);
	assay__time_node_ref__init(&s->node);
	strcpy(s->name, "payroll");
	s->node.kind = 1;
	s->node.number = 1;
	s->c.version = CLAIMS_VERSION;
	s->c.nonce = zeros(s, NONCE_SIZE);
	s->c.exporter = zeros(s, EXPORTER_SIZE);
	s->c.channel_key = zeros(s, CHANNEL_KEY_SIZE);
	s->c.application = s->name;
	s->c.kind = ASSAY__CLAIMS__KIND__DYNAMIC;
	s->c.node = &s->node;
	s->c.stage = 1;
	s->c.sequence = 2;
	s->c.hash_alg = HASH_SHA384;
	s->c.m = zeros(s, 48);
	s->c.previous = zeros(s, 64);
	s->c.config = zeros(s, 48);
	s->c.boot_id = zeros(s, BOOT_ID_SIZE);
	s->c.run_id = zeros(s, RUN_ID_SIZE);
}

/* 0, or the error; *ret_why gets the field. */
static int round_trip(const Assay__Claims *c, const char **ret_why)
{
	struct bytes packed = BYTES_INIT(2 * CLAIMS_MAX);
	Assay__Claims *back = NULL;
	struct arena *arena;
	int r;

	assert_int_equal(arena_new(256 * 1024, &arena), 0);
	assert_int_equal(claims_pack(c, &packed), 0);
	r = claims_unpack(bytes_view(&packed), arena, &back, ret_why);
	assert_true((r == 0) == (back != NULL));
	if (back)
		assert_string_equal(back->application, c->application);
	arena_free(arena);
	bytes_done(&packed);
	return r;
}

static void nothing(struct sample *s)
{
}

static void raw(struct sample *s)
{
	s->c.form = ASSAY__CLAIMS__FORM__RAW;
	s->c.hash_alg = 0;
	s->c.m.len = CLAIMS_RAW_MAX;
}

static void first(struct sample *s)
{
	s->c.sequence = 1;
	s->c.previous.len = 0;
}

static void no_session(struct sample *s)
{
	s->c.nonce.len = s->c.exporter.len = s->c.channel_key.len = 0;
}

static void longest_name(struct sample *s)
{
	memset(s->name, 'a', APPLICATION_NAME_MAX);
}

static void version(struct sample *s)
{
	s->c.version++;
}

static void nonce_short(struct sample *s)
{
	s->c.nonce.len--;
}

static void nonce_long(struct sample *s)
{
	s->c.nonce.len++;
}

static void exporter(struct sample *s)
{
	s->c.exporter.len--;
}

static void channel_key(struct sample *s)
{
	s->c.channel_key.len = 1;
}

static void name_empty(struct sample *s)
{
	s->name[0] = '\0';
}

static void name_path(struct sample *s)
{
	strcpy(s->name, "../x");
}

static void name_long(struct sample *s)
{
	memset(s->name, 'a', APPLICATION_NAME_MAX + 1);
}

static void kind_none(struct sample *s)
{
	s->c.kind = ASSAY__CLAIMS__KIND__NONE;
}

static void kind_unknown(struct sample *s)
{
	s->c.kind = (Assay__Claims__Kind)3;
}

static void node(struct sample *s)
{
	s->c.node = NULL;
}

static void stage(struct sample *s)
{
	s->c.stage = STAGE_MAX + 1;
}

static void sequence(struct sample *s)
{
	s->c.sequence = 0;
}

static void hash_weak(struct sample *s)
{
	s->c.hash_alg = HASH_SHA1;
	s->c.m.len = 20;
}

static void hash_unknown(struct sample *s)
{
	s->c.hash_alg = 0xffff;
	s->c.m.len = 0;
}

static void m_short(struct sample *s)
{
	s->c.m.len--;
}

static void m_empty(struct sample *s)
{
	s->c.m.len = 0;
}

static void m_raw_empty(struct sample *s)
{
	raw(s);
	s->c.m.len = 0;
}

static void m_raw_long(struct sample *s)
{
	raw(s);
	s->c.m.len++;
}

static void form(struct sample *s)
{
	s->c.form = (Assay__Claims__Form)2;
}

static void previous_missing(struct sample *s)
{
	s->c.previous.len = 0;
}

static void previous_of_the_first(struct sample *s)
{
	s->c.sequence = 1;
}

static void config(struct sample *s)
{
	s->c.config.len = 32;
}

static void boot_id(struct sample *s)
{
	s->c.boot_id.len = 0;
}

static void run_id(struct sample *s)
{
	s->c.run_id.len++;
}

static const struct {
	const char *what;
	void (*change)(struct sample *s);
	const char *field; /* NULL: good */
} cases[] = {
	{ "all as it should be", nothing, NULL },
	{ "M = MI, as long as it may be", raw, NULL },
	{ "the first of a run has none before it", first, NULL },
	{ "outside a session", no_session, NULL },
	{ "the longest name", longest_name, NULL },
	{ "another version", version, "version" },
	{ "a short nonce", nonce_short, "nonce" },
	{ "a long nonce", nonce_long, "nonce" },
	{ "a short exporter value", exporter, "exporter" },
	{ "half a channel key", channel_key, "channel_key" },
	{ "no name", name_empty, "application" },
	{ "a name that is a path", name_path, "application" },
	{ "a name too long", name_long, "application" },
	{ "neither static nor dynamic", kind_none, "kind" },
	{ "a kind to come", kind_unknown, "kind" },
	{ "no time node", node, "node" },
	{ "a stage past the limit", stage, "stage" },
	{ "not counted", sequence, "sequence" },
	{ "a hash that is broken", hash_weak, "hash_alg" },
	{ "a hash nobody knows, of no length", hash_unknown, "hash_alg" },
	{ "M cut", m_short, "m" },
	{ "no M", m_empty, "m" },
	{ "M = MI without MI", m_raw_empty, "m" },
	{ "M = MI past the limit", m_raw_long, "m" },
	{ "a form to come", form, "form" },
	{ "the chain cut", previous_missing, "previous" },
	{ "a first one with a past", previous_of_the_first, "previous" },
	{ "a configuration digest of another algorithm", config, "config" },
	{ "no boot id", boot_id, "boot_id" },
	{ "a run id too long", run_id, "run_id" },
};

static void each_field_is_checked_and_named(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *why = NULL;
		struct sample s;
		int r;

		sample_init(&s);
		cases[i].change(&s);
		r = round_trip(&s.c, &why);
		if (r != (cases[i].field ? -EBADMSG : 0))
			fail_msg("%s: %d, %s", cases[i].what, r, why ? why : "good");
		if (cases[i].field && strcmp(why, cases[i].field) != 0)
			fail_msg("%s: named %s", cases[i].what, why);
	}
}

static const struct {
	const char *what;
	uint8_t tail[16];
	size_t len;
} tails[] = {
	{ "a field of a later version", { 0xa8, 0x06, 0x01 }, 3 }, /* field 101 */
	{ "the version again", { 0x08, 0x01 }, 2 },
	{ "a field written although it is zero", { 0xa0, 0x01, 0x00 }, 3 }, /* dropped = 0 */
	{ "a name with more behind a NUL", { 0x2a, 0x03, 'a', 0, 'b' }, 5 },
	{ "a field cut short", { 0x2a, 0x03, 'a' }, 3 },
	{ "a byte too many", { 0x00 }, 1 },
};

static void only_one_encoding_is_taken(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		struct bytes packed = BYTES_INIT(CLAIMS_MAX);
		const char *why = NULL;
		Assay__Claims *back = NULL;
		struct arena *arena;
		struct sample s;

		sample_init(&s);
		assert_int_equal(arena_new(256 * 1024, &arena), 0);
		assert_int_equal(claims_pack(&s.c, &packed), 0);
		assert_int_equal(bytes_append(&packed, tails[i].tail, tails[i].len), 0);
		if (claims_unpack(bytes_view(&packed), arena, &back, &why) != -EBADMSG)
			fail_msg("%s", tails[i].what);
		assert_string_equal(why, "encoding");
		assert_null(back);
		assert_int_equal(claims_unpack(bytes_view(&packed), arena, &back, NULL), -EBADMSG);
		arena_free(arena);
		bytes_done(&packed);
	}
}

static void sizes_have_limits(void **state)
{
	struct bytes packed = BYTES_INIT(2 * CLAIMS_MAX);
	static uint8_t big[CLAIMS_MAX + 1];
	Assay__Claims *back = NULL;
	struct arena *arena;
	struct sample s;

	sample_init(&s);
	s.c.m = (ProtobufCBinaryData){ CLAIMS_MAX, big };
	assert_int_equal(claims_pack(&s.c, &packed), -EMSGSIZE);
	assert_int_equal(packed.len, 0);

	assert_int_equal(arena_new(256 * 1024, &arena), 0);
	assert_int_equal(claims_unpack(view_of(big, sizeof(big)), arena, &back, NULL), -EBADMSG);
	assert_int_equal(claims_unpack(view_of(NULL, 0), arena, &back, NULL), -EBADMSG);
	arena_free(arena);

	/* Memory that is out is no good Claims either. */
	sample_init(&s);
	assert_int_equal(claims_pack(&s.c, &packed), 0);
	assert_int_equal(arena_new(64, &arena), 0);
	assert_int_equal(claims_unpack(bytes_view(&packed), arena, &back, NULL), -EBADMSG);
	assert_null(back);
	arena_free(arena);
	bytes_done(&packed);
}

static void each_digest_is_of_its_algorithm(void **state)
{
	struct digest d, expected;

	assert_int_equal(claims_hash(view_text("abc"), &d), 0);
	assert_int_equal(digest_of(HASH_SHA512, view_text("abc"), &expected), 0);
	assert_true(digest_equal(&d, &expected));
	assert_int_equal(d.size, REPORT_DATA_SIZE);
	assert_int_equal(claims_qualifying(view_text("abc"), &d), 0);
	assert_int_equal(digest_of(HASH_SHA256, view_text("abc"), &expected), 0);
	assert_true(digest_equal(&d, &expected));
	assert_int_equal(d.size, QUALIFYING_SIZE);
	assert_int_equal(claims_runtime(view_text("abc"), &d), 0);
	assert_true(digest_equal(&d, &expected));
	assert_int_equal(claims_m(view_text("abc"), &d), 0);
	assert_int_equal(digest_of(HASH_SHA384, view_text("abc"), &expected), 0);
	assert_true(digest_equal(&d, &expected));
}

static const struct {
	const char *name;
	bool valid;
} names[] = {
	{ "a", true },	    { "payroll", true }, { "A.b_c-9", true }, { "-", true },
	{ "", false },	    { ".", false },	 { "..", false },     { ".hidden", false },
	{ "a/b", false },   { "a b", false },	 { "a\n", false },    { "\xc3\xa4", false },
	{ "a\x7f", false }, { "a:b", false },
};

static void names_are_safe_in_paths_and_texts(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (application_name_valid(names[i].name) != names[i].valid)
			fail_msg("'%s'", names[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_is_checked_and_named),
		cmocka_unit_test(only_one_encoding_is_taken),
		cmocka_unit_test(sizes_have_limits),
		cmocka_unit_test(each_digest_is_of_its_algorithm),
		cmocka_unit_test(names_are_safe_in_paths_and_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
