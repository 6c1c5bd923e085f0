/* Creates files in other threads: the caller describes them one after the other, the threads open,
 * write, time and close them, many small files a turn.
 *
 * One caller. Memory: WRITER_BATCHES x WRITER_ROOM, whatever the files' sizes.
 * A file exists for sure only after writer_flush. The umask must be 0.
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

/* With 0 threads the caller writes, without copying the data first. */
struct writer *writer_new(int threads);
void writer_free(struct writer *w); /* waits for what was begun; NULL is allowed */

/* Starts the file `name` in `dir` (kept open as long as needed). It must not exist. `path` is for
 * messages. */
void writer_begin(struct writer *w, struct tree_dir *dir, const char *name, const char *path,
                  mode_t mode, const struct timespec *mtime);
void writer_data(struct writer *w, const void *data, size_t n);
void writer_hole(struct writer *w, uint64_t n); /* n bytes that read as zero */
void writer_end(struct writer *w);

/* Waits until all files are there. -1 with `err` set if any file failed, now or before. */
int writer_flush(struct writer *w, struct error *err);

/* Has any file failed? Cheap. The reason comes with writer_flush. */
bool writer_failed(struct writer *w);

#endif
