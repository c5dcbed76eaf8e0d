/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_QUANTITY_H
#define ASSAY_QUANTITY_H

#include <stdint.h>

#include "digest.h"

/*
 * Quantities as people write them in configurations and policies. All read the whole
 * text, strictly: no white space, no sign, no number that does not fit; -EINVAL otherwise,
 * and *ret is not touched. What each expects is said in QUANTITY_*, for messages.
 */

/* Decimal digits, without a leading zero. */
MUST_CHECK int quantity_count(const char *text, uint64_t *ret);
#define QUANTITY_COUNT "a whole number"

/* Bytes: "1048576", "512KiB", "10MiB", "2GiB", "1TiB". */
MUST_CHECK int quantity_size(const char *text, uint64_t *ret);
#define QUANTITY_SIZE "a size (bytes, or with KiB, MiB, GiB, TiB)"

/* Nanoseconds: "100us", "100ms", "10s", "5m", "2h", "1d"; more than none. */
MUST_CHECK int quantity_duration(const char *text, uint64_t *ret);
#define QUANTITY_DURATION "a duration (a number with us, ms, s, m, h, d)"

/* Thousandths: "2", "1.8", "0.125". */
MUST_CHECK int quantity_milli(const char *text, uint64_t *ret);
#define QUANTITY_MILLI "a number with at most three decimals"

/* Seconds of the day: "02:00", "02:00:30". */
MUST_CHECK int quantity_time_of_day(const char *text, uint32_t *ret);
#define QUANTITY_TIME_OF_DAY "a time of day (\"02:00\" or \"02:00:30\")"

/* Seconds since 1970 of an RFC 3339 instant in whole seconds: "2026-11-21T20:43:22Z". */
MUST_CHECK int quantity_instant(const char *text, int64_t *ret);
#define QUANTITY_INSTANT "an instant (\"2026-11-21T20:43:22Z\" or with an offset, whole seconds)"

/* "each" is 1, "every 6" is 6; at most QUANTITY_EVERY_MAX. */
MUST_CHECK int quantity_every(const char *text, uint32_t *ret);
#define QUANTITY_EVERY_MAX 1000
#define QUANTITY_EVERY	   "\"each\" or \"every N\" (N from 1 to 1000)"

/* Hex digits of either case, as many as the algorithm yields. Also -ENOMEM. */
MUST_CHECK int quantity_digest(const char *text, enum hash_alg alg, struct digest *ret);

/* For messages: bytes in the largest unit that leaves no rest; thousandths with three decimals. */
#define QUANTITY_TEXT_MAX 32
const char *quantity_size_text(uint64_t bytes, char to[QUANTITY_TEXT_MAX]);
const char *quantity_milli_text(uint64_t milli, char to[QUANTITY_TEXT_MAX]);

#endif
