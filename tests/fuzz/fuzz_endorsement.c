/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "endorsement_store.h"
#include "endorsement_urls.h"

/*
 * Whatever is handed in as an endorsement or as a report: what a store takes it has under the name
 * of its bytes and gives back, and addresses are made of nothing but plain characters.
 */

static void keep(struct endorsements *e)
{
	static const Assay__ChipReport none = ASSAY__CHIP_REPORT__INIT;
	struct endorsement_store *s = NULL;
	struct endorsements *chosen = NULL;
	const struct endorsement_entry *entry;
	char name[ENDORSEMENT_NAME_MAX];
	const char *why;

	if (endorsement_store_new(&s) < 0 || endorsements_new(&chosen) < 0)
		abort();
	for (size_t i = 0; i < endorsements_count(e); i++)
		(void)!endorsement_store_add(s, endorsements_at(e, i), &why);
	for (size_t i = 0; (entry = endorsement_store_at(s, i)); i++) {
		if (endorsement_name(&entry->item, name) < 0 || strcmp(name, entry->name) != 0)
			abort();
		(void)endorsement_state(s, entry, 1800000000);
	}
	(void)!endorsement_store_select(s, "tdx", &none, 1800000000, chosen);
	endorsements_free(chosen);
	endorsement_store_free(s);
}

static void ask(struct view report)
{
	static const char *const platforms[] = { "sev-snp", "tdx", "csv", "vtpm" };
	Assay__ChipReport r = ASSAY__CHIP_REPORT__INIT;
	struct endorsement_urls urls;
	const char *why;

	r.report = r.key = (ProtobufCBinaryData){ report.len, (uint8_t *)report.data };
	for (size_t i = 0; i < 4; i++) {
		if (endorsement_urls(&endorsement_services_public, platforms[i], &r, &urls, &why) <
		    0)
			continue;
		for (size_t k = 0; k < urls.n; k++) {
			for (const char *at = urls.at[k]; *at; at++) {
				if (*at <= ' ' || *at > '~' || strchr("\"'<>\\^`{|}#", *at))
					abort();
			}
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct endorsements *e = NULL;
	const char *why;

	if (endorsements_new(&e) < 0)
		abort();
	if (endorsements_add(e, view_of(data, size), &why) == 0)
		keep(e);
	endorsements_free(e);
	ask(view_of(data, size));
	return 0;
}
