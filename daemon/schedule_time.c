/* SPDX-License-Identifier: Apache-2.0 */
/* When time nodes fall due: arithmetic, without a clock. */
#include <assert.h>
#include <time.h>

#include "schedule.h"

#define DAY_SECONDS (24 * 60 * 60)

static void every_due(struct schedule_every *e, uint64_t random)
{
	e->due = e->start + e->k * e->every;
	if (e->jitter > 0)
		e->due += random % (e->jitter + 1);
}

void schedule_every_first(struct schedule_every *e, uint64_t random)
{
	assert(e->every > 0);
	e->k = 1;
	every_due(e, random);
}

uint64_t schedule_every_skip(struct schedule_every *e, uint64_t now)
{
	uint64_t n;

	if (now < e->due)
		return 0;
	n = (now - e->due) / e->every;
	e->k += n;
	e->due += n * e->every;
	return n;
}

void schedule_every_next(struct schedule_every *e, uint64_t random)
{
	uint64_t before = e->due;

	e->k++;
	every_due(e, random);
	/* A jitter of more than a period must not turn the order round. */
	if (e->due <= before)
		e->due = before + 1;
}

/* Offset of local time from UTC at an instant; 0 where the C library cannot say. */
static int64_t offset_at(int64_t t)
{
	time_t at = t;
	struct tm tm;

	return localtime_r(&at, &tm) ? tm.tm_gmtoff : 0;
}

/*
 * The instant at which clocks show this local time (as if it were UTC). The
 * offsets of the day before and the day after are tried in this order: of two instants the first,
 * and where there is none (the hour that summer time skips) the offset before the change, which
 * comes as much later as was skipped. mktime(3) leaves both cases open.
 */
static int64_t instant_of(int64_t local)
{
	int64_t before = local - offset_at(local - DAY_SECONDS - offset_at(local));
	int64_t after = local - offset_at(local + DAY_SECONDS - offset_at(local));

	if (before + offset_at(before) == local)
		return before;
	if (after + offset_at(after) == local)
		return after;
	return before;
}

int64_t schedule_daily_next(int64_t after, uint32_t second_of_day)
{
	int64_t local, day;

	tzset();
	local = after + offset_at(after);
	day = local - ((local % DAY_SECONDS) + DAY_SECONDS) % DAY_SECONDS;
	/* The node of the day before may have been moved past midnight. */
	for (day -= DAY_SECONDS;; day += DAY_SECONDS) {
		int64_t t = instant_of(day + second_of_day);

		if (t > after)
			return t;
	}
}
