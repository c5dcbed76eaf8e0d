/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "endorsement_store.h"
#include "endorsement_urls.h"
#include "quantity.h"
#include "tests/support/snp_fixture.h"

/* A store of an AMD of our own: what goes in, what comes out for which report, when. */

#define CHIP_ID	     0x1a0
#define REPORTED_TCB 0x180

static struct snp_fixture_keys keys;
static char directory[256];

struct scene {
	struct snp_fixture amd;
	struct endorsements *all; /* VCEK, VLEK, ASK, ASVK, ARK, CRL */
	struct endorsement_store *store;
	Assay__ChipReport report;
	struct endorsements *chosen;
};

static int64_t at(const char *text)
{
	int64_t t;

	assert_int_equal(quantity_instant(text, &t), 0);
	return t;
}

static void add_all(struct scene *s)
{
	const char *why = "";

	for (size_t i = 0; i < endorsements_count(s->all); i++) {
		if (endorsement_store_add(s->store, endorsements_at(s->all, i), &why) < 0)
			fail_msg("%s", why);
	}
}

static void scene_open(struct scene *s, const char *product)
{
	X509_CRL *crl;

	memset(s, 0, sizeof(*s));
	snp_fixture_init(&s->amd, &keys, product);
	snp_fixture_certify(&s->amd, &s->amd.vcek);
	snp_fixture_certify(&s->amd, &s->amd.vlek);
	assert_int_equal(endorsements_new(&s->all), 0);
	snp_fixture_endorse(s->all, s->amd.vcek.x);
	snp_fixture_endorse(s->all, s->amd.vlek.x);
	snp_fixture_endorse(s->all, s->amd.ask);
	snp_fixture_endorse(s->all, s->amd.asvk);
	snp_fixture_endorse(s->all, s->amd.ark);
	crl = snp_fixture_crl(&s->amd, NULL);
	snp_fixture_endorse_crl(s->all, crl);
	X509_CRL_free(crl);
	assert_int_equal(endorsement_store_new(&s->store), 0);
	assay__chip_report__init(&s->report);
	s->report.report = (ProtobufCBinaryData){ sizeof(s->amd.report), s->amd.report };
}

static void scene_close(struct scene *s)
{
	endorsements_free(s->chosen);
	endorsement_store_free(s->store);
	endorsements_free(s->all);
	snp_fixture_done(&s->amd);
}

/* How many are chosen, and whether that certificate is among them. */
static size_t choose(struct scene *s, const char *platform, const char *when, X509 *wanted,
		     bool *ret_there)
{
	endorsements_free(s->chosen);
	assert_int_equal(endorsements_new(&s->chosen), 0);
	assert_int_equal(endorsement_store_select(s->store, platform, &s->report, at(when),
						  s->chosen),
			 0);
	*ret_there = false;
	for (size_t i = 0; i < endorsements_count(s->chosen); i++) {
		const struct endorsement *e = endorsements_at(s->chosen, i);

		if (e->certificate && X509_cmp(e->certificate, wanted) == 0)
			*ret_there = true;
	}
	return endorsements_count(s->chosen);
}

static const struct {
	const char *what;
	size_t flip; /* offset in the report, 0: none */
	const char *platform, *when;
	bool vcek;
	size_t n;
} chosen[] = {
	{ "the chip's own, a VLEK of its TCB, CAs, a list", 0, "sev-snp", SNP_FIXTURE_NOW, true, 6 },
	{ "another chip", CHIP_ID, "sev-snp", SNP_FIXTURE_NOW, false, 5 },
	{ "another TCB", REPORTED_TCB + 7, "sev-snp", SNP_FIXTURE_NOW, false, 4 },
	{ "another platform", 0, "tdx", SNP_FIXTURE_NOW, false, 0 },
	{ "after the list's end", 0, "sev-snp", "2033-06-01T00:00:00Z", true, 5 },
	{ "before the list's beginning", 0, "sev-snp", "2025-06-01T00:00:00Z", true, 5 },
};

static void a_report_gets_what_is_for_it(void **state)
{
	static const char *const products[] = { "Milan", "Turin" };
	bool there;

	(void)state;
	for (size_t p = 0; p < 2; p++) {
		for (size_t i = 0; i < sizeof(chosen) / sizeof(chosen[0]); i++) {
			struct scene s;
			size_t n;

			scene_open(&s, products[p]);
			add_all(&s);
			if (chosen[i].flip)
				s.amd.report[chosen[i].flip] ^= 1;
			n = choose(&s, chosen[i].platform, chosen[i].when, s.amd.vcek.x, &there);
			if (n != chosen[i].n || there != chosen[i].vcek)
				fail_msg("%s: %s: %zu, VCEK %d", products[p], chosen[i].what, n,
					 there);
			scene_close(&s);
		}
	}
}

/* A list that revokes, issued with the same times: the store must not prefer the other for ever. */
static void of_a_series_the_newest_counts(void **state)
{
	const struct endorsement_entry *e;
	struct endorsements *more;
	const char *why = "";
	size_t in_force = 0, old = 0;
	struct scene s;
	X509_CRL *crl;
	ASN1_TIME *later;
	bool there;

	(void)state;
	scene_open(&s, "Genoa");
	add_all(&s);
	/* Newer by a day; not signed again: nobody looks at that here. */
	crl = snp_fixture_crl(&s.amd, s.amd.ask);
	later = ASN1_TIME_set(NULL, at("2026-01-02T00:00:00Z"));
	assert_true(crl && later && X509_CRL_set1_lastUpdate(crl, later) == 1);
	ASN1_TIME_free(later);
	assert_int_equal(endorsements_new(&more), 0);
	snp_fixture_endorse_crl(more, crl);
	X509_CRL_free(crl);
	assert_int_equal(endorsement_store_add(s.store, endorsements_at(more, 0), &why), 1);
	assert_int_equal(endorsement_store_add(s.store, endorsements_at(more, 0), &why), 0);
	assert_int_equal(choose(&s, "sev-snp", SNP_FIXTURE_NOW, s.amd.vcek.x, &there), 6);
	for (size_t i = 0; i < endorsements_count(s.chosen); i++) {
		const struct endorsement *c = endorsements_at(s.chosen, i);

		if (c->kind == ENDORSEMENT_CRL)
			assert_true(view_equal(c->bytes, endorsements_at(more, 0)->bytes));
	}
	/* Before its day the older one is in force. */
	assert_int_equal(choose(&s, "sev-snp", "2026-01-01T12:00:00Z", s.amd.vcek.x, &there), 6);
	for (size_t i = 0; (e = endorsement_store_at(s.store, i)); i++) {
		enum endorsement_state st = endorsement_state(s.store, e, at(SNP_FIXTURE_NOW));

		in_force += st == ENDORSEMENT_IN_FORCE;
		old += st == ENDORSEMENT_OLD;
	}
	assert_int_equal(in_force, 6);
	assert_int_equal(old, 1);
	endorsements_free(more);
	scene_close(&s);
}

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	assert_int_equal(system(command), 0);
}

static size_t problems(const struct endorsement_store *s)
{
	size_t n = 0;

	while (endorsement_store_problem(s, n))
		n++;
	return n;
}

static void read_again(const char *path, size_t expected, size_t expected_problems)
{
	struct endorsement_store *s;

	assert_int_equal(endorsement_store_new(&s), 0);
	assert_int_equal(endorsement_store_read(s, path), 0);
	if (endorsement_store_count(s) != expected || problems(s) != expected_problems)
		fail_msg("%s: %zu, %zu problems: %s", path, endorsement_store_count(s), problems(s),
			 endorsement_store_problem(s, 0) ? endorsement_store_problem(s, 0) : "");
	endorsement_store_free(s);
}

static void files_give_back_what_was_written(void **state)
{
	struct endorsement_store *s;
	char path[320], bundle[320];
	struct scene scene;

	(void)state;
	scene_open(&scene, "Milan");
	snprintf(path, sizeof(path), "%s/store", directory);
	snprintf(bundle, sizeof(bundle), "%s/bundle.tar", directory);
	for (size_t twice = 0; twice < 2; twice++) {
		for (size_t i = 0; i < endorsements_count(scene.all); i++)
			assert_int_equal(endorsement_store_write(path,
								 endorsements_at(scene.all, i)),
					 0);
	}
	read_again(path, 6, 0);
	run("tar -C %s -cf %s .", path, bundle);
	read_again(bundle, 6, 0);
	/* Every bit counts, and so does the name; what is no endorsement is left out. */
	run("f=$(ls %s/sev-snp/* | head -1) && cp $f %s/kept &&"
	    " printf '\\001' | dd of=$f bs=1 seek=100 conv=notrunc status=none",
	    path, directory);
	read_again(path, 5, 1);
	run("cp %s/kept %s/sev-snp/0000.der", directory, path);
	read_again(path, 5, 2);
	run("head -c 3000000 /dev/zero >%s/sev-snp/large.der; ln -s %s/kept %s/sev-snp/link.der",
	    path, directory, path);
	read_again(path, 5, 4);
	run("mkdir %s/sev-snp/folder; echo x >%s/loose", path, path);
	read_again(path, 5, 5);
	/* The bundle does not know. */
	read_again(bundle, 6, 0);
	run("head -c 5000 %s >%s/cut.tar; head -c 4096 /dev/urandom >%s/noise", bundle, directory,
	    directory);
	snprintf(path, sizeof(path), "%s/cut.tar", directory);
	assert_int_equal(endorsement_store_new(&s), 0);
	assert_int_equal(endorsement_store_read(s, path), -EBADMSG);
	snprintf(path, sizeof(path), "%s/noise", directory);
	assert_int_equal(endorsement_store_read(s, path), -EBADMSG);
	snprintf(path, sizeof(path), "%s/nothing", directory);
	assert_int_equal(endorsement_store_read(s, path), -ENOENT);
	endorsement_store_free(s);
	scene_close(&scene);
}

/* What is asked of the makers' services, for one report a platform. */
static void addresses_are_those_of_the_services(void **state)
{
	struct endorsement_urls urls;
	const char *why = "";
	struct scene s;

	(void)state;
	scene_open(&s, "Turin");
	assert_int_equal(endorsement_urls(&endorsement_services_public, "sev-snp", &s.report, &urls,
					  &why),
			 0);
	assert_int_equal(urls.n, 3);
	assert_string_equal(urls.at[0], "https://kdsintf.amd.com/vcek/v1/Turin/cert_chain");
	assert_string_equal(urls.at[1], "https://kdsintf.amd.com/vcek/v1/Turin/crl");
	assert_string_equal(urls.at[2], "https://kdsintf.amd.com/vcek/v1/Turin/5a5a5a5a5a5a5a5a"
					"?fmcSPL=07&blSPL=01&teeSPL=02&snpSPL=03&ucodeSPL=71");
	/* Masked: no chip to ask for. A key of the provider: its chain. */
	memset(s.amd.report + CHIP_ID, 0, 64);
	assert_int_equal(endorsement_urls(&endorsement_services_public, "sev-snp", &s.report, &urls,
					  &why),
			 0);
	assert_int_equal(urls.n, 2);
	s.amd.report[0x048] = 1 << 2;
	assert_int_equal(endorsement_urls(&endorsement_services_public, "sev-snp", &s.report, &urls,
					  &why),
			 0);
	assert_string_equal(urls.at[0], "https://kdsintf.amd.com/vlek/v1/Turin/cert_chain");
	/* Of another platform, of none, and of a product that does not say. */
	assert_int_equal(endorsement_urls(&endorsement_services_public, "tdx", &s.report, &urls,
					  &why),
			 -EBADMSG);
	assert_int_equal(endorsement_urls(&endorsement_services_public, "tpm", &s.report, &urls,
					  &why),
			 -EOPNOTSUPP);
	s.amd.report[0] = 2;
	memset(s.amd.report + 0x188, 0, 3);
	assert_int_equal(endorsement_urls(&endorsement_services_public, "sev-snp", &s.report, &urls,
					  &why),
			 -EOPNOTSUPP);
	scene_close(&s);
}

static int set_up(void **state)
{
	(void)state;
	snp_fixture_make_keys(&keys);
	snprintf(directory, sizeof(directory), "%s/assay-endorsements-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : P_tmpdir);
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	snp_fixture_free_keys(&keys);
	run("rm -rf %s", directory);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_gets_what_is_for_it),
		cmocka_unit_test(of_a_series_the_newest_counts),
		cmocka_unit_test(files_give_back_what_was_written),
		cmocka_unit_test(addresses_are_those_of_the_services),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
