/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error.h - what went wrong, and with which file. The modules pass errors on as values; only cli/
 * prints them.
 *
 * An error has a fixed size and holds no pointers, so that MPI can send it as bytes. The first one
 * wins: error_set() on an error that is set changes nothing. Not thread-safe: each thread has an
 * error of its own, or holds a lock.
 */
#ifndef BCAST_BASE_ERROR_H
#define BCAST_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

struct error {
    bool set;
    char path[512];   /* printable; empty when no file is the cause */
    char reason[512]; /* printable, no newline */
};

/* Returns -1, so that a caller can `return error_set(...)`. `path` may be NULL. */
int error_set(struct error *err, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, with strerror(errno) behind `what`. */
int error_set_errno(struct error *err, const char *path, const char *what);

/* Copies `text`. Control characters and backslashes become \ooo; a text that is too long is cut in
 * the middle. */
void error_printable(char *out, size_t size, const char *text);

/* "PATH: REASON", or "REASON" alone. Returns `out`. */
const char *error_text(const struct error *err, char *out, size_t size);

#endif
