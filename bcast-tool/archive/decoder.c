/* SPDX-License-Identifier: BSD-3-Clause */
#include "archive/decoder.h"

#include <stdlib.h>

#include "base/io.h"
#include "base/thread_pool.h"

struct slot {
    struct frame_header header;
    uint8_t *body, *plain;
    const char *error;
};

struct decoder {
    enum framing framing;
    decoder_pull *pull;
    void *context;
    struct thread_pool *pool;
    struct slot **slots;
    int n;
    bool holding; /* the caller still uses the slot that it collected */
    bool ended;   /* the end frame has been submitted */
};

static void decoder_decode_slot(void *slot, void *tool)
{
    struct slot *s = slot;
    s->error = frame_decode(tool, &s->header, s->body, s->plain);
}

static void *decoder_codec_new(void *context)
{
    return frame_codec_new(((struct decoder *)context)->framing, 0);
}

static void decoder_codec_free(void *tool)
{
    frame_codec_free(tool);
}

struct decoder *decoder_open(enum framing framing, int threads, decoder_pull *pull, void *context)
{
    struct decoder *d = io_alloc(sizeof *d);
    struct thread_pool_work work = {decoder_decode_slot, decoder_codec_new, decoder_codec_free, d,
                                    threads};
    d->framing = framing;
    d->pull = pull;
    d->context = context;
    d->n = threads + 2;
    d->slots = io_alloc((size_t)d->n * sizeof(void *));
    for (int i = 0; i < d->n; i++) {
        d->slots[i] = io_alloc(sizeof **d->slots);
        d->slots[i]->body = io_alloc(FRAME_BODY_MAX);
        d->slots[i]->plain = io_alloc(FRAME_PLAIN_MAX);
    }
    d->pool = thread_pool_new(&work, (void **)d->slots, d->n);
    return d;
}

void decoder_close(struct decoder *d)
{
    if (d == NULL) {
        return;
    }
    thread_pool_free(d->pool);
    for (int i = 0; i < d->n; i++) {
        free(d->slots[i]->body);
        free(d->slots[i]->plain);
        free(d->slots[i]);
    }
    free(d->slots);
    free(d);
}

/* Nothing may follow the end frame. */
static int decoder_expect_end(struct decoder *d, struct error *err)
{
    uint8_t byte;
    ssize_t got = d->pull(d->context, &byte, 1, err);
    if (got > 0) {
        return error_set(err, NULL, "there is data after the end of the archive");
    }
    return got < 0 ? -1 : 0;
}

static int decoder_read_frame(struct decoder *d, struct slot *s, struct error *err)
{
    uint8_t bytes[FRAME_HEADER_MAX];
    size_t n = frame_header_size(d->framing);
    ssize_t got = d->pull(d->context, bytes, n, err);
    if (got < 0) {
        return -1;
    }
    if ((size_t)got < n) {
        return error_set(err, NULL, "the archive is cut off");
    }
    if (!frame_parse(d->framing, bytes, &s->header)) {
        return error_set(err, NULL, "a block header is not valid: the archive is damaged");
    }
    got = d->pull(d->context, s->body, s->header.body, err);
    if (got < 0) {
        return -1;
    }
    if ((size_t)got < s->header.body) {
        return error_set(err, NULL, "the archive is cut off");
    }
    d->ended = s->header.plain == 0;
    return d->ended ? decoder_expect_end(d, err) : 0;
}

/* Reads frames until all threads have work. */
static int decoder_fill(struct decoder *d, struct error *err)
{
    struct slot *s;
    while (!d->ended && (s = thread_pool_claim(d->pool)) != NULL) {
        if (decoder_read_frame(d, s, err) < 0) {
            return -1;
        }
        thread_pool_submit(d->pool);
    }
    return 0;
}

ssize_t decoder_next(struct decoder *d, const uint8_t **block, struct error *err)
{
    if (d->holding) {
        thread_pool_release(d->pool);
    }
    d->holding = false;
    if (decoder_fill(d, err) < 0) {
        return -1;
    }
    struct slot *s = thread_pool_collect(d->pool);
    if (s == NULL) {
        return 0;
    }
    d->holding = true;
    if (s->error != NULL) {
        return error_set(err, NULL, "%s", s->error);
    }
    *block = s->plain;
    return (ssize_t)s->header.plain;
}
