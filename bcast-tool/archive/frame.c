/* SPDX-License-Identifier: BSD-3-Clause */
#include "archive/frame.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY /* for ZSTD_d_forceIgnoreChecksum */
#include <zstd.h>

#include "base/io.h"

/* gzip: magic, deflate, FEXTRA, mtime 0, xfl 0, OS unknown, extra length 20, "FI", length 16 */
static const uint8_t gz_start[16] = {0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 20, 0, 'F', 'I', 16, 0};
/* zstd: skippable frame magic 0x184D2A5E, size 16 */
static const uint8_t zst_start[8] = {0x5e, 0x2a, 0x4d, 0x18, 16, 0, 0, 0};

struct frame_codec {
    enum framing framing;
    int level;
    z_stream deflate, inflate;
    bool deflate_ready, inflate_ready;
    ZSTD_CCtx *compress;
    ZSTD_DCtx *decompress;
};

static const uint8_t *frame_magic(enum framing framing, size_t *n)
{
    *n = framing == FRAMING_GZ ? sizeof gz_start : sizeof zst_start;
    return framing == FRAMING_GZ ? gz_start : zst_start;
}

const char *framing_name(enum framing framing)
{
    static const char *const names[] = {
        [FRAMING_NONE] = "none", [FRAMING_GZ] = "gz", [FRAMING_ZST] = "zst"};
    return names[framing];
}

size_t frame_header_size(enum framing framing)
{
    size_t n;
    frame_magic(framing, &n);
    return n + 16;
}

enum framing frame_recognise(const uint8_t *bytes, size_t n)
{
    struct frame_header h;
    for (enum framing framing = FRAMING_GZ; framing <= FRAMING_ZST; framing++) {
        if (n >= frame_header_size(framing) && frame_parse(framing, bytes, &h)) {
            return framing;
        }
    }
    return FRAMING_NONE;
}

bool frame_parse(enum framing framing, const uint8_t *bytes, struct frame_header *h)
{
    size_t n;
    const uint8_t *start = frame_magic(framing, &n);
    if (memcmp(bytes, start, n) != 0) {
        return false;
    }
    memcpy(&h->body, bytes + n, 4);
    memcpy(&h->plain, bytes + n + 4, 4);
    memcpy(&h->sum, bytes + n + 8, 8);
    h->body = le32toh(h->body);
    h->plain = le32toh(h->plain);
    h->sum = le64toh(h->sum);
    return h->plain <= FRAME_PLAIN_MAX && h->body <= FRAME_BODY_MAX;
}

static uint64_t frame_body_sum(const uint8_t *body, uint32_t size, uint32_t plain)
{
    return XXH3_64bits_withSeed(body, size, (uint64_t)size << 32 | plain);
}

static void frame_write_header(enum framing framing, uint8_t *out, const uint8_t *body, size_t size,
                               size_t plain)
{
    size_t n;
    const uint8_t *start = frame_magic(framing, &n);
    uint32_t sizes[2] = {htole32((uint32_t)size), htole32((uint32_t)plain)};
    uint64_t sum = htole64(frame_body_sum(body, (uint32_t)size, (uint32_t)plain));
    memcpy(out, start, n);
    memcpy(out + n, sizes, 8);
    memcpy(out + n + 8, &sum, 8);
}

struct frame_codec *frame_codec_new(enum framing framing, int level)
{
    struct frame_codec *c = io_alloc(sizeof *c);
    c->framing = framing;
    c->level = level;
    return c;
}

void frame_codec_free(struct frame_codec *c)
{
    if (c == NULL) {
        return;
    }
    if (c->deflate_ready) {
        deflateEnd(&c->deflate);
    }
    if (c->inflate_ready) {
        inflateEnd(&c->inflate);
    }
    ZSTD_freeCCtx(c->compress);
    ZSTD_freeDCtx(c->decompress);
    free(c);
}

/* The deflate stream, then the CRC and the length that gzip wants. */
static size_t frame_gz_body(struct frame_codec *c, const void *plain, size_t n, uint8_t *out)
{
    z_stream *z = &c->deflate;
    if (!c->deflate_ready &&
        deflateInit2(z, c->level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return 0;
    }
    c->deflate_ready = true;
    deflateReset(z);
    z->next_in = (Bytef *)plain;
    z->avail_in = (uInt)n;
    z->next_out = out;
    z->avail_out = (uInt)FRAME_BODY_MAX - 8;
    if (deflate(z, Z_FINISH) != Z_STREAM_END) {
        return 0;
    }
    uint32_t tail[2] = {htole32((uint32_t)crc32(0, plain, (uInt)n)), htole32((uint32_t)n)};
    memcpy(out + z->total_out, tail, 8);
    return z->total_out + 8;
}

static size_t frame_zst_body(struct frame_codec *c, const void *plain, size_t n, uint8_t *out)
{
    if (c->compress == NULL) {
        c->compress = ZSTD_createCCtx();
        if (c->compress == NULL) {
            return 0;
        }
        ZSTD_CCtx_setParameter(c->compress, ZSTD_c_compressionLevel, c->level);
        ZSTD_CCtx_setParameter(c->compress, ZSTD_c_checksumFlag, 1);
    }
    size_t r = ZSTD_compress2(c->compress, out, FRAME_BODY_MAX, plain, n);
    return ZSTD_isError(r) ? 0 : r;
}

size_t frame_encode(struct frame_codec *c, const void *plain, size_t n, uint8_t *out)
{
    size_t header = frame_header_size(c->framing);
    size_t body = c->framing == FRAMING_GZ ? frame_gz_body(c, plain, n, out + header)
                                           : frame_zst_body(c, plain, n, out + header);
    if (!body) {
        return 0;
    }
    frame_write_header(c->framing, out, out + header, body, n);
    return header + body;
}

static bool frame_gz_plain(struct frame_codec *c, const uint8_t *body, size_t size, uint8_t *out,
                           size_t n)
{
    z_stream *z = &c->inflate;
    uint8_t nothing[1];
    if (size < 8 || (!c->inflate_ready && inflateInit2(z, -15) != Z_OK)) {
        return false;
    }
    c->inflate_ready = true;
    inflateReset(z);
    z->next_in = (Bytef *)body;
    z->avail_in = (uInt)size - 8;
    z->next_out = n ? out : nothing;
    z->avail_out = (uInt)n;
    return inflate(z, Z_FINISH) == Z_STREAM_END && z->total_out == n && z->avail_in == 0;
}

static bool frame_zst_plain(struct frame_codec *c, const uint8_t *body, size_t size, uint8_t *out,
                            size_t n)
{
    if (c->decompress == NULL) {
        if ((c->decompress = ZSTD_createDCtx()) == NULL) {
            return false;
        }
        ZSTD_DCtx_setParameter(c->decompress, ZSTD_d_forceIgnoreChecksum, ZSTD_d_ignoreChecksum);
    }
    return ZSTD_decompressDCtx(c->decompress, out, n, body, size) == n;
}

/* XXH3 covers every byte of the body, so the formats' own checksums need not be computed again. */
const char *frame_decode(struct frame_codec *c, const struct frame_header *h, const uint8_t *body,
                         uint8_t *out)
{
    if (frame_body_sum(body, h->body, h->plain) != h->sum) {
        return "a block has a wrong checksum: the archive is damaged";
    }
    bool good = c->framing == FRAMING_GZ ? frame_gz_plain(c, body, h->body, out, h->plain)
                                         : frame_zst_plain(c, body, h->body, out, h->plain);
    return good ? NULL : "a block cannot be decompressed: the archive is damaged";
}
