/* What went wrong, and where: carried as a value, printed only by the CLI.
 *
 * A fault has a fixed size and holds no pointers, so that it can travel over MPI as bytes.
 * The first fault wins: later calls of error_set on a set fault change nothing.
 * Not thread-safe; each thread has its own, or guards it.
 */
#ifndef BCAST_BASE_ERROR_H
#define BCAST_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

struct error {
    bool set;
    char path[512];   /* printable; empty when no file is to blame */
    char reason[512]; /* printable, no newline */
};

/* Both return -1, so that a caller can `return error_set(...)`. `path` may be NULL. */
int error_set(struct error *err, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, with strerror(errno) after `what`. */
int error_set_errno(struct error *err, const char *path, const char *what);

/* Copies `text` with control characters and backslashes as \ooo, cut in the middle if too long. */
void error_printable(char *out, size_t size, const char *text);

/* "PATH: REASON", or "REASON" alone. Returns `out`. */
const char *error_text(const struct error *err, char *out, size_t size);

#endif
