#include "archive/decoder.h"

#include <stdlib.h>

#include "base/crew.h"
#include "base/io.h"

struct slot {
    struct frame_header header;
    uint8_t *body, *plain;
    const char *error;
};

struct decoder {
    enum framing framing;
    decoder_pull *pull;
    void *context;
    struct crew *crew;
    struct slot **slots;
    int n;
    bool holding; /* the caller still uses the collected slot */
    bool ended;   /* the end frame was submitted */
};

static void decode(void *slot, void *tool)
{
    struct slot *s = slot;
    s->error = frame_decode(tool, &s->header, s->body, s->plain);
}

static void *codec_new(void *context)
{
    return frame_codec_new(((struct decoder *)context)->framing, 0);
}

static void codec_free(void *tool)
{
    frame_codec_free(tool);
}

struct decoder *decoder_open(enum framing framing, int threads, decoder_pull *pull, void *context)
{
    struct decoder *d = io_alloc(sizeof *d);
    struct crew_job job = {decode, codec_new, codec_free, d, threads};
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
    d->crew = crew_new(&job, (void **)d->slots, d->n);
    return d;
}

void decoder_close(struct decoder *d)
{
    if (!d)
        return;
    crew_free(d->crew);
    for (int i = 0; i < d->n; i++) {
        free(d->slots[i]->body);
        free(d->slots[i]->plain);
        free(d->slots[i]);
    }
    free(d->slots);
    free(d);
}

/* After the end frame nothing may follow. */
static int expect_end(struct decoder *d, struct fault *f)
{
    uint8_t byte;
    ssize_t got = d->pull(d->context, &byte, 1, f);
    if (got > 0)
        return fault_set(f, NULL, "there is data after the end of the archive");
    return got < 0 ? -1 : 0;
}

static int read_frame(struct decoder *d, struct slot *s, struct fault *f)
{
    uint8_t bytes[FRAME_HEADER_MAX];
    size_t n = frame_header_size(d->framing);
    ssize_t got = d->pull(d->context, bytes, n, f);
    if (got < 0)
        return -1;
    if ((size_t)got < n)
        return fault_set(f, NULL, "the archive is cut off");
    if (!frame_parse(d->framing, bytes, &s->header))
        return fault_set(f, NULL, "a block header is not valid: the archive is damaged");
    got = d->pull(d->context, s->body, s->header.body, f);
    if (got < 0)
        return -1;
    if ((size_t)got < s->header.body)
        return fault_set(f, NULL, "the archive is cut off");
    d->ended = s->header.plain == 0;
    return d->ended ? expect_end(d, f) : 0;
}

/* Keeps all threads at work. */
static int fill(struct decoder *d, struct fault *f)
{
    struct slot *s;
    while (!d->ended && (s = crew_claim(d->crew))) {
        if (read_frame(d, s, f) < 0)
            return -1;
        crew_submit(d->crew);
    }
    return 0;
}

ssize_t decoder_next(struct decoder *d, const uint8_t **block, struct fault *f)
{
    if (d->holding)
        crew_release(d->crew);
    d->holding = false;
    if (fill(d, f) < 0)
        return -1;
    struct slot *s = crew_collect(d->crew);
    if (!s)
        return 0;
    d->holding = true;
    if (s->error)
        return fault_set(f, NULL, "%s", s->error);
    *block = s->plain;
    return (ssize_t)s->header.plain;
}
