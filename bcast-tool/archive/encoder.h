/* Plain bytes in, an archive file out, compressed by several threads. One caller. */
#ifndef BCAST_ARCHIVE_ENCODER_H
#define BCAST_ARCHIVE_ENCODER_H

#include <stddef.h>

#include "archive/frame.h"
#include "base/error.h"

struct encoder; /* opaque */

/* Writes to `fd`, which stays the caller's. FRAMING_NONE stores the bytes and seals them (seal.h).
 * `level` < 0 is the library's default. */
struct encoder *encoder_open(enum framing framing, int level, int threads, int fd);

int encoder_write(struct encoder *e, const void *bytes, size_t n, struct error *err);

/* Writes what is left and the end mark. */
int encoder_finish(struct encoder *e, struct error *err);

void encoder_close(struct encoder *e);

#endif
