/* leader.c - the loop of a node's leader: broadcasts in, requests out. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "service/farewell.h"
#include "service/internal.h"
#include "service/stream.h"

enum { SLOTS = 2 }; /* blocks with their pieces: one is received while the other is stored */

struct slot {
    struct wire_block block;
    char *piece;
    struct job_request block_request;
    struct job_request piece_request;
    bool block_due; /* posted, and not here yet */
    bool piece_due;
    bool full; /* the block is here; with its piece, unless that is due */
};

struct leader {
    struct service *service;
    struct stream_reader reader;
    struct slot slots[SLOTS];
    unsigned posted; /* the slot whose block was posted last */
    unsigned taken;  /* the slot to be stored next */
    bool ended;
    char requests[WIRE_REQUESTS];
    struct job_request send_request;
    bool sending;
};

static void expect_block(struct leader *l, unsigned i)
{
    struct service *s = l->service;
    struct slot *slot = &l->slots[i];

    l->posted = i;
    slot->block_due = service_check(
        s, job_post_broadcast(&s->job, &slot->block, sizeof slot->block, &slot->block_request),
        "broadcast");
}

static void expect_piece(struct leader *l, struct slot *slot)
{
    struct service *s = l->service;

    if (slot->block.follows > 0 && slot->block.follows <= WIRE_PIECE) {
        slot->piece_due = service_check(
            s, job_post_broadcast(&s->job, slot->piece, slot->block.follows, &slot->piece_request),
            "broadcast");
    }
}

static bool arrived(struct leader *l, struct job_request *request, bool *due)
{
    bool done = false;

    if (*due && service_check(l->service, job_done(request, &done, NULL), "broadcast")) {
        *due = !done;
    }
    return done;
}

/* Broadcasts are posted in the order in which the root posts them: a block, the piece that it
 * announces, the next block. */
static bool receive(struct leader *l)
{
    struct slot *last = &l->slots[l->posted];
    unsigned next = (l->posted + 1) % SLOTS;
    bool worked = arrived(l, &last->block_request, &last->block_due);

    if (worked) {
        last->full = true;
        expect_piece(l, last);
    }
    for (int i = 0; i < SLOTS; i++) {
        worked |= arrived(l, &l->slots[i].piece_request, &l->slots[i].piece_due);
    }
    if (!last->block_due && last->full && last->block.type != WIRE_END && !l->slots[next].full) {
        expect_block(l, next);
        worked = true;
    }
    return worked;
}

/* Stores the oldest block that is here whole. */
static bool store(struct leader *l)
{
    struct service *s = l->service;
    struct slot *slot = &l->slots[l->taken];

    if (!slot->full || slot->piece_due) {
        return false;
    }
    stream_read(&l->reader, slot->block.bytes, slot->block.size);
    stream_read(&l->reader, slot->piece, slot->block.follows);
    l->ended = slot->block.type == WIRE_END;
    slot->full = false;
    l->taken = (l->taken + 1) % SLOTS;
    if (s->has_cache) {
        if (slot->block.type == WIRE_BULK_DONE) {
            atomic_store(&s->node.index.header->bulk, 0);
        }
        atomic_fetch_add_explicit(&s->node.index.header->progress, 1, memory_order_relaxed);
        segment_announce(&s->node.index);
    }
    return true;
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
    l->sending = service_check(
        s, job_post_send(&s->job, l->requests, size, 0, WIRE_TAG_REQUESTS, &l->send_request),
        "send");
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
    if (service_check(s, job_post_send(&s->job, message, size, 0, WIRE_TAG_FAREWELL, &request),
                      "send")) {
        while (!done && service_check(s, job_done(&request, &done, NULL), "send")) {
            service_rest(s, done);
        }
    }
    free(message);
}

static void leader_free(struct leader *l)
{
    stream_reader_end(&l->reader);
    for (int i = 0; i < SLOTS; i++) {
        free(l->slots[i].piece);
    }
    free(l);
}

static struct leader *leader_new(struct service *s)
{
    struct leader *l = calloc(1, sizeof *l);
    bool whole = l != NULL;

    if (l == NULL) {
        return NULL;
    }
    l->service = s;
    stream_reader_init(&l->reader, s->has_cache ? &s->node : NULL);
    for (int i = 0; i < SLOTS; i++) {
        l->slots[i].piece = malloc(WIRE_PIECE);
        whole &= l->slots[i].piece != NULL;
    }
    if (!whole) {
        leader_free(l);
        return NULL;
    }
    return l;
}

/* Nobody of the node needs anything more, and the root, which sends signs of life, is silent: its
 * END will not come. */
static bool is_forsaken(const struct service *s)
{
    return s->said_farewell && sys_now_ns() - s->last_work > service_patience_ns(s);
}

void leader_serve(struct service *s)
{
    struct leader *l = leader_new(s);

    if (l == NULL) {
        service_check(s, -1, "allocation");
        return;
    }
    expect_block(l, 0);
    while (!l->ended && !s->broken && !is_forsaken(s)) {
        bool worked = receive(l);

        worked |= store(l);
        worked |= forward(l);
        if (!s->said_farewell && service_node_leaves(s)) {
            leader_farewell(s);
            s->said_farewell = true;
        }
        s->in_flight = l->slots[0].piece_due || l->slots[1].piece_due;
        service_rest(s, worked);
    }
    if (l->ended) { /* else MPI may still write into what it was given */
        leader_free(l);
    }
}
