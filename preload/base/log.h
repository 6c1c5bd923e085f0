/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.h - messages to the user: one line each, to standard error or to FASTIMPORT_LOG_FILE.
 *
 * The levels are those of FASTIMPORT_LOG; by default warnings and errors are shown. fi_log_once()
 * prints its message only once in a process ("fail open, loudly once"). Calls that are served from
 * the cache log nothing. Before log_configure() messages go to standard error at level "warn".
 *
 * Thread rules: any thread; each line is one write(2), so lines do not mix.
 */
#ifndef FASTIMPORT_BASE_LOG_H
#define FASTIMPORT_BASE_LOG_H

#include <stdatomic.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* file: NULL for standard error, else a name in which %h, %r and %p (host, rank, pid) have been
 * replaced already. Returns 0, or -errno if the file cannot be opened (base/file.h); then messages
 * go to standard error. */
int log_configure(enum log_level level, const char *file, int rank);
/* Writes a line. Used through fi_log(), which first compares the level with log_threshold(). errno
 * is not touched. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum log_level log_threshold(void);
/* log_error_closed(): the program has closed standard error, so the next file that it opens may get
 * number 2 and must not receive our messages. log_error_opened(): the program has put a new
 * standard error in place (dup2). */
void log_error_closed(void);
void log_error_opened(void);

#define fi_log(level, ...)                                                                         \
    do {                                                                                           \
        if ((level) <= log_threshold())                                                            \
            log_line((level), __VA_ARGS__);                                                        \
    } while (0)

#define fi_log_once(level, ...)                                                                    \
    do {                                                                                           \
        static atomic_flag said = ATOMIC_FLAG_INIT;                                                \
        if (!atomic_flag_test_and_set(&said))                                                      \
            fi_log(level, __VA_ARGS__);                                                            \
    } while (0)

#endif
