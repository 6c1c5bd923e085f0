/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * source.h - an archive file as a stream of bytes: as they are stored, or as the plain tar inside.
 *
 * It recognises the archives that `pack` makes (gzip and zstd in frames, which several threads
 * decompress, and tar with a seal), and decompresses any other that zlib or libarchive can, in one
 * thread. It checks all that the format has for a check: checksums of frames and seals, gzip's CRC
 * and length, and what the other decompressors check themselves. There is one caller.
 */
#ifndef BCAST_ARCHIVE_SOURCE_H
#define BCAST_ARCHIVE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "archive/frame.h"
#include "base/error.h"

struct source; /* opaque */

struct source *source_open_archive(const char *path, int threads, struct error *err);
void source_close(struct source *s); /* NULL is allowed */

/* FRAMING_NONE for an archive that does not consist of frames. */
enum framing source_framing(const struct source *s);

/* Is it an uncompressed tar with a seal? */
bool source_sealed(const struct source *s);

/* The size of the file, and how many bytes of it were read so far. Any thread may call the latter.
 */
uint64_t source_size(const struct source *s);
uint64_t source_read_bytes(const struct source *s);

/* A number that tells this archive from others: a hash of its size, its modification time, and its
 * first and last 64 KiB. */
int source_archive_id(struct source *s, uint64_t *id, struct error *err);

/* The next block, valid until the next call: source_plain() of the tar inside, source_stored() of
 * the file. For one source call only one of the two. Returns the block's size; 0 at the end; -1
 * with `err` set, whose path is the archive's. */
ssize_t source_plain(struct source *s, const uint8_t **block, struct error *err);
ssize_t source_stored(struct source *s, const uint8_t **block, struct error *err);

#endif
