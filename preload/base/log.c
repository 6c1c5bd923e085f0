/* log.c - see log.h */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"

static struct {
    enum log_level threshold;
    int fd;
    int rank;
} logger = {LOG_WARN, STDERR_FILENO, -1};

int log_configure(enum log_level level, const char *file, int rank)
{
    int fd;

    logger.threshold = level;
    logger.rank = rank;
    if (file == NULL) {
        return 0;
    }
    fd = file_open_to_append(file, 0644);
    if (fd >= 0) {
        logger.fd = fd;
    }
    return fd < 0 ? fd : 0;
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
    if (write(logger.fd, line, (size_t)n) < 0) {
        /* nowhere left to say it */
    }
    errno = saved;
}
