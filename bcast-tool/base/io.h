/* SPDX-License-Identifier: BSD-3-Clause */
/* io.h - small helpers around system calls: whole reads and writes, time, and memory that is never
 * NULL. */
#ifndef BCAST_BASE_IO_H
#define BCAST_BASE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads until it has `n` bytes, or the file ends, or an error occurs. Returns the number of bytes
 * read, or -1 with errno. */
ssize_t io_read(int fd, void *buffer, size_t n);

/* The same, from `offset` on. */
ssize_t io_pread(int fd, void *buffer, size_t n, off_t offset);

/* Writes all `n` bytes at `offset`; if that is negative, at the file position. Returns 0, or -1
 * with errno. */
int io_write(int fd, const void *buffer, size_t n, off_t offset);

/* Seconds by the monotonic clock. */
double io_now(void);

/* Sleeps; a signal ends it early. */
void io_nap(unsigned microseconds);

/* Allocation of zeroed memory. If there is none, it prints a message and ends the process; it never
 * returns NULL. */
void *io_alloc(size_t n);
void *io_realloc(void *p, size_t n);
char *io_strdup(const char *s);

/* asprintf(3) in the same way. The caller frees the string. */
char *io_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
