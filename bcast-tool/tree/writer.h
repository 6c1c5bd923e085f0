/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * writer.h - creates files in threads of its own. The caller describes one file after the other;
 * the threads open, write and close them and set their times, many small files at a time.
 *
 * There is one caller. The memory is WRITER_BATCHES times WRITER_ROOM, whatever the sizes of the
 * files. Only after writer_flush() is a file sure to exist. The umask must be 0.
 */
#ifndef BCAST_TREE_WRITER_H
#define BCAST_TREE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/error.h"
#include "tree/tree.h"

enum {
    WRITER_ROOM = 512 << 10, /* bytes of data in a batch */
    WRITER_BATCHES = 12
};

struct writer; /* opaque */

/* With 0 threads the caller writes itself, and the data is not copied before. */
struct writer *writer_new(int threads);
void writer_free(struct writer *w); /* waits until all is written; NULL is allowed */

/* Starts the file `name` in `dir`, which must not exist yet. The writer keeps `dir` open as long as
 * it needs it. `path` is for messages. */
void writer_begin(struct writer *w, struct tree_dir *dir, const char *name, const char *path,
                  mode_t mode, const struct timespec *mtime);
void writer_data(struct writer *w, const void *data, size_t n);
void writer_hole(struct writer *w, uint64_t n); /* `n` bytes that read as zero */
void writer_end(struct writer *w);

/* Waits until all files are complete. Returns -1 with `err` set if one has failed since the writer
 * was made. */
int writer_flush(struct writer *w, struct error *err);

/* Has a file failed? This is cheap; writer_flush() gives the reason. */
bool writer_failed(struct writer *w);

#endif
