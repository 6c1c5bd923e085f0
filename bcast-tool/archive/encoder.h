/* SPDX-License-Identifier: BSD-3-Clause */
/* encoder.h - turns plain bytes into an archive file. Several threads compress. There is one
 * caller. */
#ifndef BCAST_ARCHIVE_ENCODER_H
#define BCAST_ARCHIVE_ENCODER_H

#include <stddef.h>

#include "archive/frame.h"
#include "base/error.h"

struct encoder; /* opaque */

/* Writes to `fd`, which stays the caller's. With FRAMING_NONE it stores the bytes and puts a seal
 * behind them (seal.h). A negative `level` is the compression library's default. */
struct encoder *encoder_open(enum framing framing, int level, int threads, int fd);

int encoder_write(struct encoder *e, const void *bytes, size_t n, struct error *err);

/* Writes the bytes that are left, and the mark of the end. */
int encoder_finish(struct encoder *e, struct error *err);

void encoder_close(struct encoder *e);

#endif
