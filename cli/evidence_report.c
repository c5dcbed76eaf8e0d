/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_report.h"

#include <inttypes.h>
#include <string.h>

#include "cleanup.h"
#include "terminal.h"

#define NAME_WIDTH 18

static json_t *hex_json(const void *data, size_t len)
{
	char hex[2 * EVIDENCE_DATA + 1];

	hex_encode(data, len, hex);
	return json_string(hex);
}

static json_t *digest_json(const struct digest *d)
{
	return d->size > 0 ? hex_json(d->bytes, d->size) : json_null();
}

static json_t *text_json(const char *text)
{
	return text[0] ? json_string(text) : json_null();
}

static json_t *registers_json(const struct evidence_result *r)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < r->n_registers; i++)
		json_array_append_new(list, digest_json(&r->registers[i]));
	return list;
}

/* "INTEL-SA-00837 INTEL-SA-00960" */
static json_t *advisories_json(const char *ids)
{
	json_t *list = json_array();

	while (*ids) {
		size_t len = strcspn(ids, " ");

		if (len > 0)
			json_array_append_new(list, json_stringn(ids, len));
		ids += len + (ids[len] == ' ');
	}
	return list;
}

static json_t *pcrs_json(const struct evidence_result *r)
{
	json_t *values = json_object();
	char index[8];

	for (unsigned int i = 0; values && i < EVIDENCE_PCRS; i++) {
		if (!(r->pcrs_quoted >> i & 1))
			continue;
		snprintf(index, sizeof(index), "%u", i);
		json_object_set_new(values, index, digest_json(&r->pcrs[i]));
	}
	return json_pack("{s:s, s:o}", "bank", hash_name(r->bank), "values", values);
}

static json_t *reasons_json(const struct appraisal *a)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < a->n; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:b}", "rule", a->reasons[i].rule,
					"expected", a->reasons[i].expected, "seen",
					a->reasons[i].seen, "warning", a->reasons[i].warning));
	return list;
}

json_t *evidence_judged_json(const struct evidence_judged *j)
{
	const struct evidence_result *r = &j->result;
	char now[TIME_TEXT_MAX];
	json_t *o;

	o = json_pack("{s:s, s:s?, s:I, s:s, s:o, s:o, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, "
		      "s:b, s:o, s:b}",
		      "file", j->name, "platform", j->found.ops ? j->found.ops->platform : NULL,
		      "version", (json_int_t)r->version, "verdict",
		      evidence_verdict_name(evidence_verdict(&j->a)), "status",
		      text_json(r->status), "reasons", reasons_json(&j->a), "at",
		      time_text(j->now, now), "checks", (int)j->a.checks, "report_data",
		      r->has_report_data ? hex_json(r->report_data, r->report_data_len)
					 : json_null(),
		      "measurement", digest_json(&r->measurement), "registers", registers_json(r),
		      "tcb", text_json(r->tcb), "tcb_date", text_json(r->tcb_date), "advisories",
		      advisories_json(r->advisories), "debug", r->debug, "chip_id",
		      r->chip_id_len > 0 ? hex_json(r->chip_id, r->chip_id_len) : json_null(),
		      "event_log_replayed", r->event_log_replayed);
	if (o && r->pcrs_quoted) {
		json_object_set_new(o, "pcrs", pcrs_json(r));
		json_object_set_new(o, "boot_services_left", json_boolean(r->boot_services_left));
	}
	if (o && r->ima.entries)
		json_object_set_new(o, "ima",
				    json_pack("{s:I, s:I, s:I}", "entries",
					      (json_int_t)r->ima.entries, "proven",
					      (json_int_t)r->ima.proven, "violations",
					      (json_int_t)r->ima.violations));
	return o;
}

static void print_line(const char *name, const char *value)
{
	printf("  %-*s %s\n", NAME_WIDTH, name, value);
}

static void print_hex(const char *name, const void *data, size_t len)
{
	char hex[2 * EVIDENCE_DATA + 1];

	hex_encode(data, len, hex);
	print_line(name, len > 0 ? hex : "(empty)");
}

/* The words of one outcome. */
static const struct {
	enum colour colour;
	const char *headline;
} verdicts[] = {
	[EVIDENCE_INVALID] = { COLOUR_RED, "INVALID: it proves nothing" },
	[EVIDENCE_POLICY] = { COLOUR_YELLOW,
			      "GENUINE, NOT ACCEPTED: the report is authentic, and refused" },
	[EVIDENCE_VALID] = { COLOUR_GREEN, "VALID" },
};

static void print_headline(const struct evidence_judged *j)
{
	enum evidence_verdict v = evidence_verdict(&j->a);
	char now[TIME_TEXT_MAX];

	printf("%s%s%s: %s report", terminal_colour(stdout, verdicts[v].colour),
	       verdicts[v].headline, terminal_colour(stdout, COLOUR_NONE),
	       j->found.ops ? j->found.ops->platform : "no known");
	if (j->result.version > 0)
		printf(" of version %" PRIu32, j->result.version);
	if (j->result.status[0])
		printf(", TCB status %s", j->result.status);
	printf(", judged at %s\n", time_text(j->now, now));
}

/* What it proves, in the words of its platform; nothing where it is not genuine. */
static void print_meaning(const struct evidence_judged *j)
{
	const struct evidence_ops *ops = j->found.ops;

	if (evidence_verdict(&j->a) == EVIDENCE_INVALID || !ops)
		return;
	if (ops->proves)
		printf("Proves: %s\n", ops->proves);
	if (ops->proves_not)
		printf("Does not prove: %s\n", ops->proves_not);
	if (!j->compared_data)
		printf("The report data were not compared with anything (--report-data).\n");
	if (!j->had_policy)
		printf("No policy was given: the platform's default was used (--policy).\n");
}

static void print_values(const struct evidence_judged *j)
{
	const struct evidence_result *r = &j->result;
	char name[24];

	if (r->has_report_data)
		print_hex("report data", r->report_data, r->report_data_len);
	if (r->measurement.size > 0)
		print_hex("measurement", r->measurement.bytes, r->measurement.size);
	for (size_t i = 0; i < r->n_registers; i++) {
		snprintf(name, sizeof(name), "register %zu", i);
		print_hex(name, r->registers[i].bytes, r->registers[i].size);
	}
	for (unsigned int i = 0; i < EVIDENCE_PCRS; i++) {
		if (!(r->pcrs_quoted >> i & 1))
			continue;
		snprintf(name, sizeof(name), "PCR %u %s", i, hash_name(r->bank));
		print_hex(name, r->pcrs[i].bytes, r->pcrs[i].size);
	}
	if (r->measurement.size > 0)
		print_line("debug", r->debug ? "YES: the host can look into it" : "no");
	if (r->tcb[0])
		print_line("TCB", r->tcb);
	if (r->tcb_date[0])
		print_line("TCB date", r->tcb_date);
	if (r->advisories[0])
		print_line("advisories", r->advisories);
	if (r->chip_id_len > 0)
		print_hex("chip", r->chip_id, r->chip_id_len);
	if (r->event_log_replayed)
		print_line("event log",
			   r->pcrs_quoted == 0 || r->boot_services_left
				   ? "replays to the registers"
				   : "replays to the registers; does not show in PCR 5 "
				     "that the boot services were left");
	if (r->ima.proven > 0)
		printf("  %-*s %zu of %zu entries proven by PCR 10, %zu violations\n", NAME_WIDTH,
		       "IMA list", r->ima.proven, r->ima.entries, r->ima.violations);
}

static void print_reasons(const struct appraisal *a)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct reason *r = &a->reasons[i];

		printf("%s%s%s %s\n  expected  %s\n  seen      %s\n",
		       terminal_colour(stdout, r->warning ? COLOUR_YELLOW : COLOUR_RED),
		       r->warning ? "warns  " : "refuses", terminal_colour(stdout, COLOUR_NONE),
		       r->rule, r->expected, r->seen);
	}
	if (a->uncounted > 0)
		printf("and %zu more reasons\n", a->uncounted);
}

void evidence_judged_print(const struct evidence_judged *j)
{
	printf("%s\n", j->name);
	print_headline(j);
	print_meaning(j);
	print_reasons(&j->a);
	print_values(j);
}

static void print_field(const char *name, json_t *value, int indent)
{
	char *text;

	if (json_is_object(value)) {
		printf("%*s%s:\n", indent, "", name);
		evidence_fields_print(value, indent + 2);
		return;
	}
	text = json_dumps(value, JSON_ENCODE_ANY);
	printf("%*s%-*s %s\n", indent, "", NAME_WIDTH, name,
	       json_is_string(value) ? json_string_value(value)
	       : text		     ? text
				     : "");
	free(text);
}

void evidence_fields_print(json_t *fields, int indent)
{
	const char *name;
	json_t *value;

	json_object_foreach(fields, name, value)
	{
		print_field(name, value, indent);
	}
}
