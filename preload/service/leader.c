/* SPDX-License-Identifier: BSD-3-Clause */
/* leader.c - the loop of a node's leader: frames in and on, requests out. */
#include <stdlib.h>
#include <string.h>

#include "base/fs_view.h"
#include "base/log.h"
#include "base/sys.h"
#include "broadcast/exit_stats.h"
#include "broadcast/stream.h"
#include "broadcast/tree.h"
#include "service/internal.h"

struct leader {
    struct service *service;
    struct stream_reader reader;
    struct tree tree;
    bool ended;
    bool more; /* the last frame was full */
    char requests[WIRE_REQUESTS];
    struct job_request send_request;
    bool sending;
    int64_t last_sign; /* of the root, a heartbeat included */
};

/* Takes a frame into the node cache. */
static void leader_take(struct leader *l, const struct wire_frame *frame)
{
    struct service *s = l->service;

    stream_read(&l->reader, frame->bytes, frame->size);
    l->last_sign = sys_now_ns();
    l->ended = frame->type == WIRE_END;
    if (s->has_cache) {
        if (frame->type == WIRE_BULK_DONE) {
            atomic_store(&s->node.index.header->bulk, 0);
        }
        atomic_fetch_add_explicit(&s->node.index.header->progress, 1, memory_order_relaxed);
        segment_announce(&s->node.index);
    }
}

/* What has come is on its way to the children before the oldest of it is stored. After a full frame
 * another is expected at once. */
static bool receive(struct leader *l)
{
    struct service *s = l->service;
    const struct wire_frame *frame;
    bool is_news;

    if (!service_check(s, tree_progress(&l->tree), "relay")) {
        return false;
    }
    frame = tree_next(&l->tree);
    if (frame == NULL) {
        s->in_flight = l->more || tree_in_flight(&l->tree);
        return false;
    }
    leader_take(l, frame);
    is_news = frame->type != WIRE_HEARTBEAT;
    l->more = frame->size == WIRE_FRAME - sizeof *frame;
    tree_taken(&l->tree);
    return is_news;
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

/* Tells the root, once, that all ranks here are at their exit, with what they counted and used.
 * Does not wait for it: a root that has failed takes no farewells any more. */
void leader_send_exit_stats(struct service *s)
{
    size_t size = 0;

    s->exit_stats.said = true;
    if (s->has_cache) {
        s->exit_stats.text =
            malloc(exit_stats_room(s->node.index.header->n_ranks, s->hello.planned));
    }
    if (s->exit_stats.text != NULL) {
        size = exit_stats_write(&s->node.index, s->exit_stats.text);
    }
    s->exit_stats.sent = service_check(s,
                                       job_post_send(&s->job, s->exit_stats.text, size, 0,
                                                     WIRE_TAG_EXIT_STATS, &s->exit_stats.request),
                                       "send");
}

void leader_end_exit_stats(struct service *s)
{
    bool done = false;

    if (!s->exit_stats.sent ||
        !service_check(s, job_done(&s->exit_stats.request, &done, NULL), "send")) {
        return;
    }
    if (done) {
        free(s->exit_stats.text);
    } else { /* MPI may still read it */
        job_cancel(&s->exit_stats.request);
    }
}

static void leader_free(struct leader *l)
{
    stream_reader_end(&l->reader);
    tree_close(&l->tree);
    free(l);
}

static struct leader *leader_new(struct service *s)
{
    struct leader *l = calloc(1, sizeof *l);

    if (l == NULL) {
        service_check(s, -1, "allocation");
        return NULL;
    }
    l->service = s;
    stream_reader_init(&l->reader, s->has_cache ? &s->node : NULL);
    service_check(s, tree_open(&l->tree, &s->job), "relay");
    return l;
}

/* Nobody of the node needs anything more, and the root, which sends signs of life, is silent: its
 * END will not come. */
static bool is_root_lost(const struct leader *l)
{
    const struct service *s = l->service;
    int64_t last = s->last_work > l->last_sign ? s->last_work : l->last_sign;

    return s->exit_stats.said && sys_now_ns() - last > service_wait_budget_ns(s);
}

/* This process has become another user (setuid(2)), and cannot write there any more: the others of
 * the node look for themselves. What comes is still passed on. */
static void give_node_up(struct leader *l)
{
    struct node_cache *node = l->reader.node;

    stream_reader_end(&l->reader);
    stream_reader_init(&l->reader, NULL);
    atomic_store(&node->index.header->state, SERVICE_ENDED);
    segment_announce(&node->index);
}

/* After END, too, until the children have it. */
void leader_serve(struct service *s)
{
    struct leader *l = leader_new(s);

    while (!s->broken && !is_root_lost(l) && !(l->ended && !tree_in_flight(&l->tree))) {
        bool worked = receive(l);

        if (fs_view_is_other() && l->reader.node != NULL) {
            give_node_up(l);
        }
        worked |= forward(l);
        if (!s->exit_stats.said && service_node_leaves(s)) {
            leader_send_exit_stats(s);
        }
        service_rest(s, worked);
    }
    s->root_lost = l != NULL && !s->broken && !l->ended;
    s->unfinished = l != NULL && (!l->ended || l->sending);
    if (l != NULL && !s->unfinished) { /* else MPI may still use what it was given */
        leader_free(l);
    }
}
