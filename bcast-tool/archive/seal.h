/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seal.h - the last 512 bytes of an uncompressed archive: a checksum of all bytes before them.
 * FORMAT.md has the layout.
 *
 * Readers of tar stop before the seal, at the blocks that end the archive.
 */
#ifndef BCAST_ARCHIVE_SEAL_H
#define BCAST_ARCHIVE_SEAL_H

#include <stdbool.h>
#include <stdint.h>

enum { SEAL_SIZE = 512 };

void seal_write(char block[SEAL_SIZE], uint64_t sum, uint64_t bytes);

/* False if the block is not exactly what seal_write() writes. */
bool seal_parse(const char block[SEAL_SIZE], uint64_t *sum, uint64_t *bytes);

#endif
