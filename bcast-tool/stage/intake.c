#include "stage/intake.h"

#include <string.h>

static void let_go(struct intake *in)
{
    if (in->holding)
        channel_release(in->channel);
    in->holding = false;
    in->left = 0;
}

/* Makes a chunk with data current. False at the archive's end. */
static bool next_chunk(struct intake *in)
{
    let_go(in);
    if (in->archive_ended)
        return false;
    enum chunk_kind kind = channel_take(in->channel, &in->data, &in->left);
    in->holding = true;
    if (kind == CHUNK_DATA)
        return true;
    in->archive_ended = true;
    in->aborted = kind != CHUNK_ARCHIVE_END;
    let_go(in);
    return false;
}

static ssize_t chunk_end(const struct intake *in, struct fault *f)
{
    return in->aborted ? fault_set(f, NULL, "the stream was stopped") : 0;
}

/* A decoder_pull. */
static ssize_t pull(void *context, void *buffer, size_t n, struct fault *f)
{
    struct intake *in = context;
    size_t done = 0;
    while (done < n) {
        if (in->left == 0 && !next_chunk(in))
            return chunk_end(in, f) < 0 ? -1 : (ssize_t)done;
        size_t part = in->left < n - done ? in->left : n - done;
        memcpy((char *)buffer + done, in->data, part);
        in->data += part;
        in->left -= part;
        done += part;
    }
    return (ssize_t)done;
}

void intake_begin(struct intake *in, const struct job_archive *a, int threads)
{
    in->archive_ended = false;
    in->decoder = a->stored ? decoder_open(a->framing, threads, pull, in) : NULL;
}

ssize_t intake_block(void *context, const uint8_t **block, struct fault *f)
{
    struct intake *in = context;
    if (in->decoder)
        return decoder_next(in->decoder, block, f);
    if (!next_chunk(in))
        return chunk_end(in, f);
    *block = in->data;
    return (ssize_t)in->left;
}

bool intake_end(struct intake *in)
{
    decoder_close(in->decoder);
    in->decoder = NULL;
    while (next_chunk(in))
        ;
    return !in->aborted;
}

void intake_finish(struct intake *in)
{
    if (in->aborted)
        return;
    const uint8_t *data;
    size_t n;
    enum chunk_kind kind;
    do {
        kind = channel_take(in->channel, &data, &n);
        channel_release(in->channel);
    } while (kind != CHUNK_END && kind != CHUNK_ABORT);
    in->aborted = kind == CHUNK_ABORT;
}
