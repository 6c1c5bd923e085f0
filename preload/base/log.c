/* SPDX-License-Identifier: BSD-3-Clause */
/* log.c - see log.h */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/protected_fd.h"
#include "base/sys.h"

static struct {
    enum log_level threshold;
    int file;            /* entry of its descriptor (base/protected_fd.h); -1: standard error */
    _Atomic bool closed; /* the program has closed standard error */
    int rank;
} logger = {LOG_WARN, -1, false, -1};

int log_configure(enum log_level level, const char *file, int rank)
{
    int fd;

    logger.threshold = level;
    logger.rank = rank;
    protected_fd_close(logger.file);
    logger.file = -1;
    if (file == NULL) {
        return 0;
    }
    fd = file_open_to_append(file, 0644);
    if (fd >= 0) {
        fd = sys_move_high(fd);
        logger.file = protected_fd_add(fd, PROTECTED_OURS);
        if (logger.file < 0) {
            sys_close(fd);
        }
    }
    return fd < 0 ? fd : 0;
}

void log_error_closed(void)
{
    atomic_store(&logger.closed, true);
}

void log_error_opened(void)
{
    atomic_store(&logger.closed, false);
}

/* The descriptor to write to, or -1 for none. It is neither a file of the program which now has the
 * number of our log file, nor a file that got number 2 because the program had closed standard
 * error. */
static int log_descriptor(void)
{
    if (logger.file >= 0) {
        return protected_fd_get(logger.file);
    }
    return atomic_load(&logger.closed) ? -1 : STDERR_FILENO;
}

enum log_level log_threshold(void)
{
    return logger.threshold;
}

void log_line(enum log_level level, const char *format, ...)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    char line[1024];
    int saved = errno;
    int fd;
    int n;
    va_list args;

    if (logger.rank >= 0) {
        n = snprintf(line, sizeof line, "fastimport: rank %d: %s: ", logger.rank, names[level]);
    } else {
        n = snprintf(line, sizeof line, "fastimport: %s: ", names[level]);
    }
    va_start(args, format);
    n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
    va_end(args);
    if (n > (int)sizeof line - 2) {
        n = (int)sizeof line - 2;
    }
    line[n++] = '\n';
    fd = log_descriptor();
    if (fd < 0 || write(fd, line, (size_t)n) < 0) {
        /* there is nowhere left to report this error */
    }
    errno = saved;
}
