/* leader.c - the loop of a node's leader: broadcasts in, requests out. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "service/farewell.h"
#include "service/internal.h"
#include "service/stream.h"

struct leader {
    struct service *service;
    struct stream_reader reader;
    struct wire_block block;
    struct job_request block_request;
    char *piece;
    struct job_request piece_request;
    size_t piece_size; /* > 0: a piece is on its way */
    char requests[WIRE_REQUESTS];
    struct job_request send_request;
    bool sending;
    bool ended;
};

static bool expect_block(struct leader *l)
{
    struct service *s = l->service;

    return service_check(s, job_post_broadcast(&s->job, &l->block, sizeof l->block, &l->block_request), "broadcast");
}

static void sign_of_life(struct leader *l)
{
    atomic_fetch_add_explicit(&l->service->node.index.header->progress, 1, memory_order_relaxed);
}

/* A block has come: its bytes are read; a piece behind it is expected, or else the next block. */
static void take_block(struct leader *l)
{
    struct service *s = l->service;

    stream_read(&l->reader, l->block.bytes, l->block.size);
    if (l->block.follows > 0) {
        l->piece_size = l->block.follows;
        service_check(s, job_post_broadcast(&s->job, l->piece, l->piece_size, &l->piece_request), "broadcast");
        return;
    }
    if (l->block.type == WIRE_BULK_DONE && s->has_cache) {
        atomic_store(&s->node.index.header->bulk, 0);
    }
    l->ended = l->block.type == WIRE_END;
    if (!l->ended) {
        expect_block(l);
    }
}

static bool receive(struct leader *l)
{
    struct service *s = l->service;
    bool done = false;

    if (l->piece_size > 0) {
        service_check(s, job_done(&l->piece_request, &done, NULL), "broadcast");
        if (done) {
            stream_read(&l->reader, l->piece, l->piece_size);
            l->piece_size = 0;
            expect_block(l);
        }
    } else {
        service_check(s, job_done(&l->block_request, &done, NULL), "broadcast");
        if (done) {
            take_block(l);
        }
    }
    if (done && s->has_cache) {
        sign_of_life(l);
        segment_announce(&s->node.index);
    }
    return done;
}

/* Packs what the ranks of the node ask for into one message. One is in flight at a time. */
static bool forward(struct leader *l)
{
    struct service *s = l->service;
    char path[4096];
    struct fi_query q;
    size_t size = 0;
    bool done = false;

    if (l->sending) {
        service_check(s, job_done(&l->send_request, &done, NULL), "send");
        l->sending = !done;
    }
    if (l->sending || !s->has_cache) {
        return done;
    }
    while (size + sizeof(struct wire_request) + sizeof path + 8 <= sizeof l->requests &&
           segment_next_request(&s->node.index, &q, path)) {
        wire_put(l->requests, sizeof l->requests, &size, &q);
    }
    if (size == 0) {
        return done;
    }
    l->sending = service_check(s, job_post_send(&s->job, l->requests, size, 0, WIRE_TAG_REQUESTS, &l->send_request), "send");
    return true;
}

/* Tells the root, once, that all ranks here are at their exit, with what they counted and used. */
void leader_farewell(struct service *s)
{
    struct job_request request;
    char *message = NULL;
    size_t size = 0;
    bool done = false;

    if (s->has_cache) {
        message = malloc(farewell_room(s->node.index.header->n_ranks, s->hello.planned));
    }
    if (message != NULL) {
        size = farewell_write(&s->node.index, message);
    }
    if (service_check(s, job_post_send(&s->job, message, size, 0, WIRE_TAG_FAREWELL, &request), "send")) {
        while (!done && service_check(s, job_done(&request, &done, NULL), "send")) {
            service_rest(s, done);
        }
    }
    free(message);
}

void leader_serve(struct service *s)
{
    struct leader *l = calloc(1, sizeof *l);
    bool said_farewell = false;

    if (l == NULL || (l->piece = malloc(WIRE_PIECE)) == NULL) {
        free(l);
        service_check(s, -1, "allocation");
        return;
    }
    l->service = s;
    stream_reader_init(&l->reader, s->has_cache ? &s->node : NULL);
    expect_block(l);
    while (!l->ended && !s->broken) {
        bool worked = receive(l);

        worked |= forward(l);
        if (!said_farewell && service_node_leaves(s)) {
            leader_farewell(s);
            said_farewell = true;
        }
        service_rest(s, worked);
    }
    stream_reader_end(&l->reader);
    s->said_farewell = said_farewell;
    free(l->piece);
    free(l);
}
