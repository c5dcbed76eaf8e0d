/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_LOG_H
#define ASSAY_LOG_H

#include "errors.h"

/*
 * Messages for people. The programs log; core, collectors and attesters return
 * errors instead. To the journal where standard error is connected to it
 * ($JOURNAL_STREAM), to standard error otherwise. No secret ever comes here.
 */

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_NOTICE = 5,
		 LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 }; /* syslog(3)'s numbers */

/* name: the program's. Messages above level are left out. */
void log_open(const char *name, enum log_level level);

/*
 * From here on to the journal as soon as there is one: for a program that is older than the
 * service manager.
 */
void log_follow_journal(void);

void log_at(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_error(...)   log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * One step of the method, by its name there ("A3", "B8", "stage 2"), for the
 * journal's ASSAY_STEP and ASSAY_APPLICATION fields and for people.
 */
void log_step(const char *step, const char *application, const char *format, ...)
	PRINTF_LIKE(3, 4);

#endif
