/* SPDX-License-Identifier: BSD-3-Clause */
#include "archive/encoder.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "archive/seal.h"
#include "base/io.h"
#include "base/thread_pool.h"

struct slot {
    uint8_t *plain, *frame;
    size_t used; /* number of plain bytes */
    size_t size; /* bytes of the frame; 0 after an error */
};

struct encoder {
    enum framing framing;
    int level, fd, n;
    struct slot **slots;
    struct slot *filling; /* the slot that is being filled, or NULL */
    struct thread_pool *pool;
    XXH3_state_t *sum; /* sum and bytes: FRAMING_NONE only */
    uint64_t bytes;
};

static void encoder_encode_slot(void *slot, void *tool)
{
    struct slot *s = slot;
    s->size = frame_encode(tool, s->plain, s->used, s->frame);
}

static void *encoder_codec_new(void *context)
{
    struct encoder *e = context;
    return frame_codec_new(e->framing, e->level);
}

static void encoder_codec_free(void *tool)
{
    frame_codec_free(tool);
}

static void encoder_open_pool(struct encoder *e, int threads)
{
    struct thread_pool_work work = {encoder_encode_slot, encoder_codec_new, encoder_codec_free, e,
                                    threads};
    e->n = threads * 2 + 1;
    e->slots = io_alloc((size_t)e->n * sizeof(void *));
    for (int i = 0; i < e->n; i++) {
        e->slots[i] = io_alloc(sizeof **e->slots);
        e->slots[i]->plain = io_alloc(FRAME_PLAIN_MAX);
        e->slots[i]->frame = io_alloc(FRAME_HEADER_MAX + FRAME_BODY_MAX);
    }
    e->pool = thread_pool_new(&work, (void **)e->slots, e->n);
}

struct encoder *encoder_open(enum framing framing, int level, int threads, int fd)
{
    struct encoder *e = io_alloc(sizeof *e);
    e->framing = framing;
    e->level = level;
    if (level < 0) {
        e->level = framing == FRAMING_GZ ? 6 : 3;
    }
    e->fd = fd;
    if (framing != FRAMING_NONE) {
        encoder_open_pool(e, threads);
        return e;
    }
    e->sum = XXH3_createState();
    XXH3_64bits_reset(e->sum);
    return e;
}

void encoder_close(struct encoder *e)
{
    if (e == NULL) {
        return;
    }
    thread_pool_free(e->pool);
    for (int i = 0; i < e->n; i++) {
        free(e->slots[i]->plain);
        free(e->slots[i]->frame);
        free(e->slots[i]);
    }
    free(e->slots);
    XXH3_freeState(e->sum);
    free(e);
}

static int encoder_put(struct encoder *e, const void *bytes, size_t n, struct error *err)
{
    return io_write(e->fd, bytes, n, -1) < 0
               ? error_set_errno(err, NULL, "cannot write the archive")
               : 0;
}

/* Writes the frame that was submitted first. */
static int encoder_write_oldest(struct encoder *e, struct error *err)
{
    struct slot *s = thread_pool_collect(e->pool);
    if (!s->size) {
        return error_set(err, NULL, "the compression library failed");
    }
    int r = encoder_put(e, s->frame, s->size, err);
    thread_pool_release(e->pool);
    return r;
}

static int encoder_claim(struct encoder *e, struct error *err)
{
    while ((e->filling = thread_pool_claim(e->pool)) == NULL) {
        if (encoder_write_oldest(e, err) < 0) {
            return -1;
        }
    }
    e->filling->used = 0;
    return 0;
}

static void encoder_submit(struct encoder *e)
{
    thread_pool_submit(e->pool);
    e->filling = NULL;
}

static int encoder_store(struct encoder *e, const void *bytes, size_t n, struct error *err)
{
    XXH3_64bits_update(e->sum, bytes, n);
    e->bytes += n;
    return encoder_put(e, bytes, n, err);
}

int encoder_write(struct encoder *e, const void *bytes, size_t n, struct error *err)
{
    if (e->framing == FRAMING_NONE) {
        return encoder_store(e, bytes, n, err);
    }
    for (size_t done = 0; done < n;) {
        if (e->filling == NULL && encoder_claim(e, err) < 0) {
            return -1;
        }
        struct slot *s = e->filling;
        size_t part = FRAME_PLAIN_MAX - s->used < n - done ? FRAME_PLAIN_MAX - s->used : n - done;
        memcpy(s->plain + s->used, (const char *)bytes + done, part);
        s->used += part;
        done += part;
        if (s->used == FRAME_PLAIN_MAX) {
            encoder_submit(e);
        }
    }
    return 0;
}

int encoder_finish(struct encoder *e, struct error *err)
{
    if (e->framing == FRAMING_NONE) {
        char block[SEAL_SIZE];
        seal_write(block, XXH3_64bits_digest(e->sum), e->bytes);
        return encoder_put(e, block, sizeof block, err);
    }
    if (e->filling != NULL) {
        encoder_submit(e);
    }
    /* the empty frame that marks the end */
    if (encoder_claim(e, err) < 0) {
        return -1;
    }
    encoder_submit(e);
    while (thread_pool_collect(e->pool) != NULL) {
        if (encoder_write_oldest(e, err) < 0) {
            return -1;
        }
    }
    return 0;
}
