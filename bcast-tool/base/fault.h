/* What went wrong, and where: carried as a value, printed only by the CLI.
 *
 * A fault has a fixed size and holds no pointers, so that it can travel over MPI as bytes.
 * The first fault wins: later calls of fault_set on a set fault change nothing.
 * Not thread-safe; each thread has its own, or guards it.
 */
#ifndef BCAST_BASE_FAULT_H
#define BCAST_BASE_FAULT_H

#include <stdbool.h>
#include <stddef.h>

struct fault {
    bool set;
    char path[512];   /* printable; empty when no file is to blame */
    char reason[512]; /* printable, no newline */
};

/* Both return -1, so that a caller can `return fault_set(...)`. `path` may be NULL. */
int fault_set(struct fault *f, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As fault_set, with strerror(errno) after `what`. */
int fault_errno(struct fault *f, const char *path, const char *what);

/* Copies `text` with control characters and backslashes as \ooo, cut in the middle if too long. */
void fault_printable(char *out, size_t size, const char *text);

/* "PATH: REASON", or "REASON" alone. Returns `out`. */
const char *fault_text(const struct fault *f, char *out, size_t size);

#endif
