#include "archive/encoder.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "archive/seal.h"
#include "base/io.h"
#include "base/thread_pool.h"

struct slot {
    uint8_t *plain, *frame;
    size_t used; /* plain bytes */
    size_t size; /* of the frame; 0 after an error */
};

struct encoder {
    enum framing framing;
    int level, fd, n;
    struct slot **slots;
    struct slot *filling; /* claimed */
    struct thread_pool *pool;
    XXH3_state_t *sum; /* FRAMING_NONE only, with `bytes` */
    uint64_t bytes;
};

static void encode(void *slot, void *tool)
{
    struct slot *s = slot;
    s->size = frame_encode(tool, s->plain, s->used, s->frame);
}

static void *codec_new(void *context)
{
    struct encoder *e = context;
    return frame_codec_new(e->framing, e->level);
}

static void codec_free(void *tool)
{
    frame_codec_free(tool);
}

static void open_crew(struct encoder *e, int threads)
{
    struct thread_pool_work work = {encode, codec_new, codec_free, e, threads};
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
    e->level = level >= 0 ? level : framing == FRAMING_GZ ? 6 : 3;
    e->fd = fd;
    if (framing != FRAMING_NONE) {
        open_crew(e, threads);
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

static int put(struct encoder *e, const void *bytes, size_t n, struct error *err)
{
    return io_write(e->fd, bytes, n, -1) < 0
               ? error_set_errno(err, NULL, "cannot write the archive")
               : 0;
}

/* Writes the oldest frame. */
static int drain(struct encoder *e, struct error *err)
{
    struct slot *s = thread_pool_collect(e->pool);
    if (!s->size) {
        return error_set(err, NULL, "the compression library failed");
    }
    int r = put(e, s->frame, s->size, err);
    thread_pool_release(e->pool);
    return r;
}

static int claim(struct encoder *e, struct error *err)
{
    while ((e->filling = thread_pool_claim(e->pool)) == NULL) {
        if (drain(e, err) < 0) {
            return -1;
        }
    }
    e->filling->used = 0;
    return 0;
}

static void submit(struct encoder *e)
{
    thread_pool_submit(e->pool);
    e->filling = NULL;
}

static int store(struct encoder *e, const void *bytes, size_t n, struct error *err)
{
    XXH3_64bits_update(e->sum, bytes, n);
    e->bytes += n;
    return put(e, bytes, n, err);
}

int encoder_write(struct encoder *e, const void *bytes, size_t n, struct error *err)
{
    if (e->framing == FRAMING_NONE) {
        return store(e, bytes, n, err);
    }
    for (size_t done = 0; done < n;) {
        if (e->filling == NULL && claim(e, err) < 0) {
            return -1;
        }
        struct slot *s = e->filling;
        size_t part = FRAME_PLAIN_MAX - s->used < n - done ? FRAME_PLAIN_MAX - s->used : n - done;
        memcpy(s->plain + s->used, (const char *)bytes + done, part);
        s->used += part;
        done += part;
        if (s->used == FRAME_PLAIN_MAX) {
            submit(e);
        }
    }
    return 0;
}

int encoder_finish(struct encoder *e, struct error *err)
{
    if (e->framing == FRAMING_NONE) {
        char block[SEAL_SIZE];
        seal_write(block, XXH3_64bits_digest(e->sum), e->bytes);
        return put(e, block, sizeof block, err);
    }
    if (e->filling != NULL) {
        submit(e);
    }
    if (claim(e, err) < 0) /* the empty frame that marks the end */
    {
        return -1;
    }
    submit(e);
    while (thread_pool_collect(e->pool) != NULL) {
        if (drain(e, err) < 0) {
            return -1;
        }
    }
    return 0;
}
