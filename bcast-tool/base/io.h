/* Small helpers around system calls: whole reads and writes, time, memory that is there or exits.
 */
#ifndef BCAST_BASE_IO_H
#define BCAST_BASE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads until `n` bytes, end of file or an error. Returns the bytes read, or -1 with errno. */
ssize_t io_read(int fd, void *buffer, size_t n);

/* As io_read, at `offset`. */
ssize_t io_pread(int fd, void *buffer, size_t n, off_t offset);

/* Writes all `n` bytes; `offset` < 0 appends at the file position. 0, or -1 with errno. */
int io_write(int fd, const void *buffer, size_t n, off_t offset);

/* Monotonic seconds. */
double io_now(void);

/* Sleeps; a signal ends it early. */
void io_nap(unsigned microseconds);

/* malloc that ends the process with a message when there is no memory. Never returns NULL. */
void *io_alloc(size_t n);
void *io_realloc(void *p, size_t n);
char *io_strdup(const char *s);

/* asprintf likewise. The caller frees. */
char *io_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
