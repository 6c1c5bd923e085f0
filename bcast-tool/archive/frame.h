/* One block of an archive as a frame of its own, so that blocks can be compressed and
 * decompressed at the same time. Layout: FORMAT.md.
 *
 * A gzip frame is a gzip member whose extra field "FI" holds the sizes and a checksum; a zstd frame
 * is a skippable frame with the same, followed by a zstd frame. Standard tools read both. The last
 * frame of an archive holds no data: an archive that ends before it was cut.
 * Sources: RFC 1952; RFC 8878.
 */
#ifndef BCAST_ARCHIVE_FRAME_H
#define BCAST_ARCHIVE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum framing { FRAMING_NONE, FRAMING_GZ, FRAMING_ZST };

#define FRAMING_UNLISTED                                                                           \
    "foreign" /* what manifests call the framing of an archive without a manifest */

enum {
    FRAME_PLAIN_MAX = 1 << 20,                              /* bytes of data in a frame */
    FRAME_BODY_MAX = FRAME_PLAIN_MAX + FRAME_PLAIN_MAX / 8, /* more than any body's bound */
    FRAME_HEADER_MAX = 32
};

struct frame_header {
    uint32_t body;  /* bytes after the header */
    uint32_t plain; /* bytes of data; 0 marks the end */
    uint64_t sum;   /* XXH3 of the body, seeded with both sizes */
};

const char *framing_name(enum framing f); /* "none", "gz", "zst" */

/* Bytes of a frame's header: FRAME_HEADER_MAX at most. Not for FRAMING_NONE. */
size_t frame_header_size(enum framing f);

/* Which framing begins with these FRAME_HEADER_MAX bytes (fewer are given as `n`)? */
enum framing frame_recognise(const uint8_t *bytes, size_t n);

/* Reads a header. False if it is not exactly what frame_encode writes. */
bool frame_parse(enum framing f, const uint8_t *bytes, struct frame_header *h);

/* A compressor or decompressor's memory, one per thread. */
struct frame_codec;
struct frame_codec *frame_codec_new(enum framing f, int level);
void frame_codec_free(struct frame_codec *c);

/* Compresses `n` <= FRAME_PLAIN_MAX bytes into header and body at `out`, which has room for
 * FRAME_HEADER_MAX + FRAME_BODY_MAX. Returns the frame's size, or 0 on an error. */
size_t frame_encode(struct frame_codec *c, const void *plain, size_t n, uint8_t *out);

/* Checks the body and decompresses it into `out` (room for h->plain). NULL, or what is wrong. */
const char *frame_decode(struct frame_codec *c, const struct frame_header *h, const uint8_t *body,
                         uint8_t *out);

#endif
