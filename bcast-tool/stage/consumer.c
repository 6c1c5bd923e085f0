/* SPDX-License-Identifier: BSD-3-Clause */
#include "stage/consumer.h"

#include <string.h>

static void consumer_let_go(struct consumer *in)
{
    if (in->holding) {
        channel_release(in->channel);
    }
    in->holding = false;
    in->left = 0;
}

/* Gets the next chunk with data. False at the end of the archive. */
static bool consumer_next_chunk(struct consumer *in)
{
    consumer_let_go(in);
    if (in->archive_ended) {
        return false;
    }
    enum chunk_kind kind = channel_take(in->channel, &in->data, &in->left);
    in->holding = true;
    if (kind == CHUNK_DATA) {
        return true;
    }
    in->archive_ended = true;
    in->aborted = kind != CHUNK_ARCHIVE_END;
    consumer_let_go(in);
    return false;
}

static ssize_t consumer_archive_end(const struct consumer *in, struct error *err)
{
    return in->aborted ? error_set(err, NULL, "the stream was stopped") : 0;
}

/* A decoder_pull; `context` is the consumer. */
static ssize_t consumer_pull(void *context, void *buffer, size_t n, struct error *err)
{
    struct consumer *in = context;
    size_t done = 0;
    while (done < n) {
        if (in->left == 0 && !consumer_next_chunk(in)) {
            return consumer_archive_end(in, err) < 0 ? -1 : (ssize_t)done;
        }
        size_t part = in->left < n - done ? in->left : n - done;
        memcpy((char *)buffer + done, in->data, part);
        in->data += part;
        in->left -= part;
        done += part;
    }
    return (ssize_t)done;
}

void consumer_begin(struct consumer *in, const struct request_archive *a, int threads)
{
    in->archive_ended = false;
    in->decoder = a->stored ? decoder_open(a->framing, threads, consumer_pull, in) : NULL;
}

ssize_t consumer_block(void *context, const uint8_t **block, struct error *err)
{
    struct consumer *in = context;
    if (in->decoder != NULL) {
        return decoder_next(in->decoder, block, err);
    }
    if (!consumer_next_chunk(in)) {
        return consumer_archive_end(in, err);
    }
    *block = in->data;
    return (ssize_t)in->left;
}

bool consumer_end(struct consumer *in)
{
    decoder_close(in->decoder);
    in->decoder = NULL;
    while (consumer_next_chunk(in)) {
    }
    return !in->aborted;
}

void consumer_finish(struct consumer *in)
{
    if (in->aborted) {
        return;
    }
    const uint8_t *data;
    size_t n;
    enum chunk_kind kind;
    do {
        kind = channel_take(in->channel, &data, &n);
        channel_release(in->channel);
    } while (kind != CHUNK_END && kind != CHUNK_ABORT);
    in->aborted = kind == CHUNK_ABORT;
}
