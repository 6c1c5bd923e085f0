/* SPDX-License-Identifier: BSD-3-Clause */
#include "stage/producer.h"

#include <string.h>

#include "archive/source.h"

struct filling {
    uint8_t *chunk; /* the chunk that is being filled, or NULL */
    size_t used, room;
};

static int producer_put(struct channel *c, struct filling *to, const uint8_t *bytes, size_t n)
{
    while (n) {
        if (to->chunk == NULL) {
            to->used = 0;
            if ((to->chunk = channel_claim(c, &to->room)) == NULL) {
                return -1;
            }
        }
        size_t part = to->room - to->used < n ? to->room - to->used : n;
        memcpy(to->chunk + to->used, bytes, part);
        to->used += part;
        bytes += part;
        n -= part;
        if (to->used == to->room) {
            channel_publish(c, CHUNK_DATA, to->used);
            to->chunk = NULL;
        }
    }
    return 0;
}

/* Returns 0; -1 if the archive is bad (then the error is set) or the stream must stop. */
static int producer_send_archive(struct producer *producer, int i, uint64_t before)
{
    const uint8_t *block;
    ssize_t n = 0;
    struct filling to = {0};
    struct source *s = source_open_archive(producer->paths[i], producer->threads, &producer->error);
    if (s == NULL) {
        return -1;
    }
    bool stored = producer->request->archive[i].stored;
    while ((n = stored ? source_stored(s, &block, &producer->error)
                       : source_plain(s, &block, &producer->error)) > 0) {
        if (producer_put(producer->channel, &to, block, (size_t)n) < 0) {
            n = -1;
            break;
        }
        atomic_store(&producer->read, before + source_read_bytes(s));
    }
    if (n == 0 && to.chunk != NULL) {
        channel_publish(producer->channel, CHUNK_DATA, to.used);
    }
    source_close(s);
    return n < 0 ? -1 : 0;
}

void *producer_run(void *arg)
{
    struct producer *producer = arg;
    uint64_t before = 0;
    size_t room;
    for (int i = 0; i < producer->request->n; i++) {
        if (producer_send_archive(producer, i, before) < 0 ||
            channel_claim(producer->channel, &room) == NULL) {
            channel_abort(producer->channel,
                          producer->error.set ? producer->error.reason : "stopped");
            return NULL;
        }
        channel_publish(producer->channel, CHUNK_ARCHIVE_END, 0);
        before += producer->request->archive[i].size;
    }
    if (channel_claim(producer->channel, &room) != NULL) {
        channel_publish(producer->channel, CHUNK_END, 0);
    } else {
        channel_abort(producer->channel, "stopped");
    }
    return NULL;
}
