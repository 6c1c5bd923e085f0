/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/io.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static ssize_t io_read_some(int fd, void *buffer, size_t n, off_t offset)
{
    ssize_t got;
    do {
        got = offset < 0 ? read(fd, buffer, n) : pread(fd, buffer, n, offset);
    } while (got < 0 && errno == EINTR);
    return got;
}

ssize_t io_pread(int fd, void *buffer, size_t n, off_t offset)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = io_read_some(fd, (char *)buffer + done, n - done,
                                   offset < 0 ? offset : offset + (off_t)done);
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    return (ssize_t)done;
}

ssize_t io_read(int fd, void *buffer, size_t n)
{
    return io_pread(fd, buffer, n, -1);
}

int io_write(int fd, const void *buffer, size_t n, off_t offset)
{
    size_t done = 0;
    while (done < n) {
        const char *from = (const char *)buffer + done;
        ssize_t put = offset < 0 ? write(fd, from, n - done)
                                 : pwrite(fd, from, n - done, offset + (off_t)done);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return -1;
        }
        done += (size_t)put;
    }
    return 0;
}

double io_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void io_nap(unsigned microseconds)
{
    struct timespec t = {microseconds / 1000000, (long)(microseconds % 1000000) * 1000};
    nanosleep(&t, NULL);
}

static void *io_check_memory(void *p)
{
    if (p == NULL) {
        fputs("python-mpi-bcast: out of memory\n", stderr);
        _exit(1);
    }
    return p;
}

void *io_alloc(size_t n)
{
    return io_check_memory(calloc(1, n ? n : 1));
}

void *io_realloc(void *p, size_t n)
{
    return io_check_memory(realloc(p, n));
}

char *io_strdup(const char *s)
{
    return io_check_memory(strdup(s));
}

char *io_format(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    return io_check_memory(n < 0 ? NULL : text);
}
