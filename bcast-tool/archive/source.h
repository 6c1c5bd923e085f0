/* An archive file as a stream of bytes: as stored, or as the plain tar inside. One caller.
 *
 * Recognised: archives of `pack` (framed gzip and zstd, decompressed by several threads; sealed
 * tar), and anything else that libarchive or zlib can decompress, in one thread. Everything that a
 * format allows to check is checked: frame and seal checksums, gzip CRC and length, the filters'
 * own.
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

/* FRAMING_NONE for what does not consist of frames. */
enum framing source_framing(const struct source *s);

/* Is it a stored tar with a seal? */
bool source_sealed(const struct source *s);

/* Bytes of the file, and how many were read so far (from any thread). */
uint64_t source_size(const struct source *s);
uint64_t source_read_bytes(const struct source *s);

/* A number that tells this archive from others: size, mtime, first and last 64 KiB. */
int source_archive_id(struct source *s, uint64_t *id, struct error *err);

/* The next block of the tar / of the file, valid until the next call. Use one of them only.
 * Returns its size, 0 at the end, -1 with `err` set (its path is the archive's). */
ssize_t source_plain(struct source *s, const uint8_t **block, struct error *err);
ssize_t source_stored(struct source *s, const uint8_t **block, struct error *err);

#endif
