/* Frames in, plain bytes out, decompressed by several threads, in order. Bounded memory:
 * threads + 2 frames. One caller. */
#ifndef BCAST_ARCHIVE_DECODER_H
#define BCAST_ARCHIVE_DECODER_H

#include <stdint.h>
#include <sys/types.h>

#include "archive/frame.h"
#include "base/error.h"

/* Delivers `n` bytes of the archive, fewer only at its end. -1 with `err` set on an error. */
typedef ssize_t decoder_pull(void *context, void *buffer, size_t n, struct error *err);

struct decoder; /* opaque */

struct decoder *decoder_open(enum framing framing, int threads, decoder_pull *pull, void *context);
void decoder_close(struct decoder *d); /* NULL is allowed */

/* The next block, valid until the next call. Returns its size, 0 at the end (the end frame was seen
 * and nothing follows it), -1 with `err` set. */
ssize_t decoder_next(struct decoder *d, const uint8_t **block, struct error *err);

#endif
