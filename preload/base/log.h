/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.h - one line to the user, on standard error or in FASTIMPORT_LOG_FILE.
 *
 * Levels as FASTIMPORT_LOG names them; the default shows warnings and errors. fi_log_once() says
 * the same thing once a process ("fail open, loudly once"). Never used on the path of a served
 * call. Before log_configure() lines go to standard error at level warn. Thread-safe: one write(2)
 * a line.
 */
#ifndef FASTIMPORT_BASE_LOG_H
#define FASTIMPORT_BASE_LOG_H

#include <stdatomic.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* file: NULL for standard error, else a name in which %h, %r and %p (host, rank, pid) are already
 * filled in. -errno: it cannot be opened (base/file.h), and standard error is used. */
int log_configure(enum log_level level, const char *file, int rank);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum log_level log_threshold(void);
/* The program has closed standard error: what it opens as 2 afterwards is a file of its own; or has
 * put something there to be just that. */
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
