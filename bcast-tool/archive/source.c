/* SPDX-License-Identifier: BSD-3-Clause */
#include "archive/source.h"

#include <archive.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zlib.h>

#include "archive/decoder.h"
#include "archive/seal.h"
#include "base/io.h"

enum {
    SOURCE_BLOCK = 1 << 20, /* bytes that are read at once */
    SOURCE_EDGE = 64 << 10  /* bytes at either end that count for the identity */
};

enum kind { KIND_FRAMED, KIND_SEALED, KIND_GZIP, KIND_OTHER };

struct source {
    char *path;
    int fd, threads;
    enum kind kind;
    enum framing framing;
    struct stat st;
    _Atomic uint64_t read_bytes;
    uint8_t *block;
    struct decoder *decoder;      /* KIND_FRAMED */
    XXH3_state_t *sum;            /* KIND_SEALED */
    uint64_t seal_sum, seal_size; /* KIND_SEALED */
    gzFile gz;                    /* KIND_GZIP */
    struct archive *filter;       /* KIND_OTHER */
};

static int source_blame(struct source *s, struct error *err, const char *why)
{
    return error_set(err, s->path, "%s", why);
}

static ssize_t source_pull(void *context, void *buffer, size_t n, struct error *err)
{
    struct source *s = context;
    ssize_t got = io_read(s->fd, buffer, n);
    if (got < 0) {
        return error_set_errno(err, s->path, "cannot read");
    }
    atomic_fetch_add(&s->read_bytes, (uint64_t)got);
    return got;
}

static bool source_has_seal(struct source *s)
{
    char block[SEAL_SIZE];
    off_t at = s->st.st_size - SEAL_SIZE;
    return at > 0 && io_pread(s->fd, block, SEAL_SIZE, at) == SEAL_SIZE &&
           seal_parse(block, &s->seal_sum, &s->seal_size) && s->seal_size == (uint64_t)at;
}

static void source_recognise(struct source *s)
{
    uint8_t head[FRAME_HEADER_MAX];
    ssize_t n = io_pread(s->fd, head, sizeof head, 0);
    s->framing = frame_recognise(head, n < 0 ? 0 : (size_t)n);
    if (s->framing != FRAMING_NONE) {
        s->kind = KIND_FRAMED;
    } else if (source_has_seal(s)) {
        s->kind = KIND_SEALED;
    } else {
        s->kind = n > 2 && head[0] == 0x1f && head[1] == 0x8b ? KIND_GZIP : KIND_OTHER;
    }
}

static int source_open_file(struct source *s, struct error *err)
{
    s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &s->st) < 0) {
        return error_set_errno(err, s->path, "cannot open the archive");
    }
    if (!S_ISREG(s->st.st_mode)) {
        return error_set(err, s->path, "the archive is not a regular file");
    }
    if (s->st.st_size == 0) {
        return error_set(err, s->path, "the archive is empty");
    }
    posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 0;
}

struct source *source_open_archive(const char *path, int threads, struct error *err)
{
    struct source *s = io_alloc(sizeof *s);
    s->path = io_strdup(path);
    s->threads = threads;
    if (source_open_file(s, err) < 0) {
        source_close(s);
        return NULL;
    }
    source_recognise(s);
    return s;
}

void source_close(struct source *s)
{
    if (s == NULL) {
        return;
    }
    decoder_close(s->decoder);
    XXH3_freeState(s->sum);
    if (s->gz != NULL) {
        gzclose(s->gz);
    }
    archive_read_free(s->filter);
    if (s->fd >= 0) {
        close(s->fd);
    }
    free(s->block);
    free(s->path);
    free(s);
}

enum framing source_framing(const struct source *s)
{
    return s->framing;
}

bool source_sealed(const struct source *s)
{
    return s->kind == KIND_SEALED;
}

uint64_t source_size(const struct source *s)
{
    return (uint64_t)s->st.st_size;
}

uint64_t source_read_bytes(const struct source *s)
{
    return atomic_load(&s->read_bytes);
}

int source_archive_id(struct source *s, uint64_t *id, struct error *err)
{
    uint8_t *edge = io_alloc(2 * SOURCE_EDGE);
    off_t tail = s->st.st_size > (off_t)SOURCE_EDGE ? s->st.st_size - (off_t)SOURCE_EDGE : 0;
    ssize_t a = io_pread(s->fd, edge, SOURCE_EDGE, 0),
            b = io_pread(s->fd, edge + SOURCE_EDGE, SOURCE_EDGE, tail);
    int64_t facts[3] = {s->st.st_size, s->st.st_mtim.tv_sec, s->st.st_mtim.tv_nsec};
    *id = XXH3_64bits_withSeed(facts, sizeof facts, XXH3_64bits(edge, 2 * SOURCE_EDGE));
    free(edge);
    return a < 0 || b < 0 ? error_set_errno(err, s->path, "cannot read") : 0;
}

static ssize_t source_next_framed(struct source *s, const uint8_t **block, struct error *err)
{
    if (s->decoder == NULL) {
        s->decoder = decoder_open(s->framing, s->threads, source_pull, s);
    }
    struct error inner = {0};
    ssize_t n = decoder_next(s->decoder, block, &inner);
    return n < 0 ? source_blame(s, err, inner.reason) : n;
}

static ssize_t source_next_stored(struct source *s, const uint8_t **block, struct error *err)
{
    if (s->block == NULL) {
        s->block = io_alloc(SOURCE_BLOCK);
    }
    *block = s->block;
    return source_pull(s, s->block, SOURCE_BLOCK, err);
}

/* Delivers all bytes before the seal, then compares their checksum with it. */
static ssize_t source_next_sealed(struct source *s, const uint8_t **block, struct error *err)
{
    if (s->sum == NULL) {
        s->sum = XXH3_createState();
        XXH3_64bits_reset(s->sum);
        s->block = io_alloc(SOURCE_BLOCK);
    }
    uint64_t left = s->seal_size - s->read_bytes;
    *block = s->block;
    ssize_t n = source_pull(s, s->block, left < SOURCE_BLOCK ? (size_t)left : SOURCE_BLOCK, err);
    if (n > 0) {
        XXH3_64bits_update(s->sum, s->block, (size_t)n);
    }
    if (n == 0 && XXH3_64bits_digest(s->sum) != s->seal_sum) {
        return source_blame(s, err, "the archive's checksum is wrong: it is damaged");
    }
    return n;
}

static int source_open_gzip(struct source *s, struct error *err)
{
    s->gz = gzdopen(dup(s->fd), "rb");
    s->block = io_alloc(SOURCE_BLOCK);
    return s->gz != NULL && gzbuffer(s->gz, 256 << 10) == 0
               ? 0
               : source_blame(s, err, "cannot set up zlib");
}

/* Uses zlib's own reader, which checks the CRC and length of every member; libarchive's does not.
 */
static ssize_t source_next_gzip(struct source *s, const uint8_t **block, struct error *err)
{
    if (s->gz == NULL && source_open_gzip(s, err) < 0) {
        return -1;
    }
    int code = Z_OK, n = gzread(s->gz, s->block, SOURCE_BLOCK);
    const char *why = gzerror(s->gz, &code);
    if (n < 0 || (n == 0 && code != Z_OK && code != Z_STREAM_END)) {
        return error_set(err, s->path, "the gzip data is damaged or cut off: %s", why);
    }
    atomic_store(&s->read_bytes, (uint64_t)gzoffset(s->gz));
    *block = s->block;
    return n;
}

static int source_open_filter(struct source *s, struct error *err)
{
    struct archive_entry *entry;
    s->filter = archive_read_new();
    archive_read_support_filter_all(s->filter);
    archive_read_support_format_raw(s->filter);
    if (archive_read_open_fd(s->filter, s->fd, 256 << 10) != ARCHIVE_OK ||
        archive_read_next_header(s->filter, &entry) != ARCHIVE_OK) {
        return error_set(err, s->path, "cannot read: %s", archive_error_string(s->filter));
    }
    return 0;
}

static ssize_t source_next_other(struct source *s, const uint8_t **block, struct error *err)
{
    const void *data;
    size_t n;
    la_int64_t offset;
    if (s->filter == NULL && source_open_filter(s, err) < 0) {
        return -1;
    }
    int r = archive_read_data_block(s->filter, &data, &n, &offset);
    if (r == ARCHIVE_EOF) {
        return 0;
    }
    if (r != ARCHIVE_OK) {
        return error_set(err, s->path, "cannot decompress: %s", archive_error_string(s->filter));
    }
    atomic_store(&s->read_bytes, (uint64_t)archive_filter_bytes(s->filter, -1));
    *block = data;
    return (ssize_t)n;
}

ssize_t source_plain(struct source *s, const uint8_t **block, struct error *err)
{
    switch (s->kind) {
    case KIND_FRAMED:
        return source_next_framed(s, block, err);
    case KIND_SEALED:
        return source_next_sealed(s, block, err);
    case KIND_GZIP:
        return source_next_gzip(s, block, err);
    case KIND_OTHER:
        break;
    }
    return source_next_other(s, block, err);
}

ssize_t source_stored(struct source *s, const uint8_t **block, struct error *err)
{
    return source_next_stored(s, block, err);
}
