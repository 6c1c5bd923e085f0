/* SPDX-License-Identifier: BSD-3-Clause */
/* decoder.h - turns frames into plain bytes. Several threads decompress; the bytes come in order.
 * It takes memory for threads + 2 frames. There is one caller. */
#ifndef BCAST_ARCHIVE_DECODER_H
#define BCAST_ARCHIVE_DECODER_H

#include <stdint.h>
#include <sys/types.h>

#include "archive/frame.h"
#include "base/error.h"

/* Fills `buffer` with the next `n` bytes of the archive; fewer only at its end. Returns how many,
 * or -1 with `err` set. */
typedef ssize_t decoder_pull(void *context, void *buffer, size_t n, struct error *err);

struct decoder; /* opaque */

struct decoder *decoder_open(enum framing framing, int threads, decoder_pull *pull, void *context);
void decoder_close(struct decoder *d); /* NULL is allowed */

/* The next block of plain bytes, valid until the next call. Returns its size; 0 at the end, if the
 * end frame came and nothing behind it; -1 with `err` set. */
ssize_t decoder_next(struct decoder *d, const uint8_t **block, struct error *err);

#endif
