/* SPDX-License-Identifier: BSD-3-Clause */
/* copy.c - see copy.h */
#include "fill/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/sys.h"
#include "cache/mirror.h"
#include "fill/claim.h"
#include "fill/learnt.h"

enum { READ_CHUNK = 1 << 20 };

/* The next part of the file to copy. Of a file in parts the kernel is told about the part behind
 * it, too: it reads nothing ahead by itself (see copy_parts()). */
static uint64_t copy_next(int fd, const struct mirror_writer *w, uint64_t size, size_t *n)
{
    uint64_t left = size - w->written;
    uint64_t run;
    uint64_t offset = extents_locate(&w->parts, w->written, &run);
    uint64_t ahead;

    run = run < left ? run : left;
    *n = run < READ_CHUNK ? (size_t)run : READ_CHUNK;
    if (w->parts.n > 0 && *n < left) {
        ahead = extents_locate(&w->parts, w->written + *n, &run);
        sys_fadvise(fd, (off_t)ahead, (off_t)(run < READ_CHUNK ? run : READ_CHUNK),
                    POSIX_FADV_WILLNEED);
    }
    return offset;
}

/* Copies `size` bytes of the file into the mirror. Fails with -EIO if the file has become shorter
 * meanwhile. */
static int copy_bytes(int fd, struct mirror_writer *w, uint64_t size)
{
    size_t room = size < READ_CHUNK ? (size_t)size : READ_CHUNK;
    void *buffer = room == 0 ? NULL : malloc(room);
    int error = room != 0 && buffer == NULL ? -ENOMEM : 0;

    while (error == 0 && w->written < size) {
        size_t want;
        uint64_t offset = copy_next(fd, w, size, &want);
        ssize_t n = sys_pread_all(fd, buffer, want, (off_t)offset);

        claim_progress();
        if (n > 0) {
            error = mirror_append(w, buffer, (size_t)n);
        } else {
            error = n == 0 ? -EIO : (int)n;
        }
    }
    free(buffer);
    return error;
}

/* What is to be copied of the file. Of a partial copy just that is read: read-ahead would bring
 * what is left out. */
static struct mapped copy_parts(const struct fi_query *query, int fd, const struct stat *st)
{
    struct mapped parts = {.size = (uint64_t)st->st_size};

    if (query->argument == RECORD_MAPPED) {
        struct extents touched = learnt_find(st);

        sys_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
        mapped_parts(fd, (uint64_t)st->st_size, &touched, &parts);
        if (parts.n == 0) {
            sys_fadvise(fd, 0, 0, POSIX_FADV_NORMAL);
        }
    }
    return parts;
}

int copy_into_mirror(struct node_cache *node, const struct fi_query *query, int fd,
                     const struct stat *st, struct mapped *copied)
{
    struct mirror_writer w;
    int error;

    *copied = copy_parts(query, fd, st);
    error = mirror_begin(&w, node, copied->size);
    if (error == 0) {
        w.parts = (struct extents){copied->extents, copied->n};
        error = copy_bytes(fd, &w, copied->size);
        if (error != 0) {
            mirror_abandon(&w);
        } else {
            error = mirror_finish(&w, node, query->path, st);
        }
    }
    if (error != 0) {
        free(copied->extents);
        *copied = (struct mapped){0};
    }
    return error;
}
