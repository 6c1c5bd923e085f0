/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frame.h - one block of an archive as a frame of its own, so that several blocks can be compressed
 * and decompressed at the same time. FORMAT.md has the layout.
 *
 * A gzip frame is a gzip member whose extra field "FI" holds two sizes and a checksum. A zstd frame
 * is a skippable frame with the same content, and a zstd frame behind it. Standard tools can read
 * both. The last frame of an archive holds no data: an archive without it has been cut off.
 * Sources: RFC 1952, RFC 8878.
 */
#ifndef BCAST_ARCHIVE_FRAME_H
#define BCAST_ARCHIVE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum framing { FRAMING_NONE, FRAMING_GZ, FRAMING_ZST };

/* The framing in the manifest that `stage` writes for an archive that has none. */
#define FRAMING_UNLISTED "foreign"

enum {
    FRAME_PLAIN_MAX = 1 << 20, /* bytes of data in a frame */
    FRAME_BODY_MAX =
        FRAME_PLAIN_MAX + FRAME_PLAIN_MAX / 8, /* more than either format needs for any data */
    FRAME_HEADER_MAX = 32
};

struct frame_header {
    uint32_t body;  /* bytes after the header */
    uint32_t plain; /* bytes of data; 0 marks the end */
    uint64_t sum;   /* XXH3 of the body, seeded with both sizes */
};

const char *framing_name(enum framing f); /* "none", "gz", "zst" */

/* The size of a frame's header, at most FRAME_HEADER_MAX. Not for FRAMING_NONE. */
size_t frame_header_size(enum framing f);

/* The framing whose header begins with these `n` bytes (FRAME_HEADER_MAX, if there are as many);
 * FRAMING_NONE for any other. */
enum framing frame_recognise(const uint8_t *bytes, size_t n);

/* Reads a header. False if it is not exactly what frame_encode() writes. */
bool frame_parse(enum framing f, const uint8_t *bytes, struct frame_header *h);

/* The memory of a compressor or decompressor; each thread has one. */
struct frame_codec;
struct frame_codec *frame_codec_new(enum framing f, int level);
void frame_codec_free(struct frame_codec *c);

/* Compresses `n` <= FRAME_PLAIN_MAX bytes. Header and body go to `out`, which has room for
 * FRAME_HEADER_MAX + FRAME_BODY_MAX bytes. Returns the size of the frame, or 0 on an error. */
size_t frame_encode(struct frame_codec *c, const void *plain, size_t n, uint8_t *out);

/* Checks the body's checksum and decompresses it into `out`, which has room for h->plain bytes.
 * Returns NULL, or what is wrong. */
const char *frame_decode(struct frame_codec *c, const struct frame_header *h, const uint8_t *body,
                         uint8_t *out);

#endif
