/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leader.c - the serving loop of a node's leader: passes the root's frames on and stores them, and
 * sends the node's requests to the root.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fs_view.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "broadcast/announced.h"
#include "broadcast/exit_stats.h"
#include "broadcast/progress.h"
#include "broadcast/stream.h"
#include "broadcast/tree.h"
#include "service/internal.h"
#include "service/memory.h"

struct leader {
    struct service *service;
    struct stream_reader reader;
    struct tree tree;
    struct announced announced;
    struct memory memory;
    bool ended; /* WIRE_END has been taken */
    bool more;  /* the last frame was full, so another one follows */
    char requests[WIRE_REQUESTS];
    struct job_request send_request;
    bool sending;
    int64_t last_heard; /* when the last frame came, a heartbeat included */
};

/* Stores a frame in the node cache and wakes the ranks that wait. */
static void store_frame(struct leader *l, const struct wire_frame *frame)
{
    struct service *s = l->service;

    if (frame->type != WIRE_HEARTBEAT) {
        stream_read(&l->reader, frame->bytes, frame->size);
    } else if (l->reader.node != NULL) {
        progress_read(&l->reader.node->index, frame->bytes, frame->size);
    }
    l->last_heard = sys_now_ns();
    l->ended = frame->type == WIRE_END;
    if (s->has_cache) {
        if (frame->type == WIRE_BULK_DONE) {
            atomic_store(&s->node.index.header->bulk, 0);
        }
        atomic_store_explicit(&s->node.index.header->heard_ns, l->last_heard, memory_order_release);
        atomic_fetch_add_explicit(&s->node.index.header->progress, 1, memory_order_relaxed);
        segment_announce(&s->node.index);
    }
}

/* tree_progress() passes all arrived frames on to the children; only then the oldest one is stored
 * here. True: it brought something. */
static bool receive_frame(struct leader *l)
{
    struct service *s = l->service;
    const struct wire_frame *frame;
    bool brings_something;

    if (!service_check(s, tree_progress(&l->tree), "the broadcast tree")) {
        return false;
    }
    frame = tree_next(&l->tree);
    if (frame == NULL) {
        s->in_flight = l->more || tree_in_flight(&l->tree);
        return false;
    }
    store_frame(l, frame);
    brings_something = frame->type != WIRE_HEARTBEAT;
    l->more = frame->size == WIRE_FRAME - sizeof *frame;
    tree_consumed(&l->tree);
    return brings_something;
}

/* Packs what the node's ranks ask for into one message to the root. One such message is in flight
 * at a time. */
static bool forward_requests(struct leader *l)
{
    struct service *s = l->service;
    char path[FI_PATH_MAX];
    struct fi_query q;
    size_t size = 0;
    bool done = false;

    if (l->sending) {
        service_check(s, job_done(&l->send_request, &done, NULL), "sending to the root");
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
        "sending to the root");
    return true;
}

/* Called once, when all ranks of the node are at their exit: sends what they counted and used. Does
 * not wait for the send to finish: a root that has failed receives nothing any more. */
void leader_send_exit_stats(struct service *s)
{
    size_t size = 0;

    s->exit_stats.begun = true;
    if (s->has_cache) {
        s->exit_stats.text =
            malloc(exit_stats_max_size(s->node.index.header->n_ranks, s->hello.planned));
    }
    if (s->exit_stats.text != NULL) {
        size = exit_stats_write(&s->node.index, s->exit_stats.text);
    }
    s->exit_stats.sent = service_check(s,
                                       job_post_send(&s->job, s->exit_stats.text, size, 0,
                                                     WIRE_TAG_EXIT_STATS, &s->exit_stats.request),
                                       "sending to the root");
}

void leader_end_exit_stats(struct service *s)
{
    bool done = false;

    if (!s->exit_stats.sent ||
        !service_check(s, job_done(&s->exit_stats.request, &done, NULL), "sending to the root")) {
        return;
    }
    if (done) {
        free(s->exit_stats.text);
    } else { /* MPI may still read the text: it stays allocated */
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
    stream_reader_init(&l->reader, s->has_cache ? &s->node : NULL, &s->devices);
    memory_begin(&l->memory, s);
    service_check(s, tree_open(&l->tree, &s->job), "the broadcast tree");
    service_check(s, announced_open(&l->announced, &s->job), "an announcement's receive");
    return l;
}

/* This node is at its end, and the root has sent nothing, not even a heartbeat, for the whole wait
 * budget: END will not come. */
static bool is_root_lost(const struct leader *l)
{
    const struct service *s = l->service;
    int64_t since = s->last_work > l->last_heard ? s->last_work : l->last_heard;

    return s->exit_stats.begun && sys_now_ns() - since > service_wait_budget_ns(s);
}

/* This process has become another user (setuid(2)) or sees other directories, and cannot write to
 * the node cache any more: the node's other ranks look for themselves. Frames are still passed on
 * to the children. */
static void stop_storing(struct leader *l)
{
    struct node_cache *node = l->reader.node;

    stream_reader_end(&l->reader);
    stream_reader_init(&l->reader, NULL, &l->service->devices);
    atomic_store(&node->index.header->state, SERVICE_ENDED);
    segment_announce(&node->index);
}

/* Tells the parent leader which announcements have come. A node that answers nothing has nothing
 * that a change could make stale. */
static void acknowledge(struct leader *l)
{
    bool answers = l->reader.node != NULL && !l->reader.broken;
    uint32_t here = answers ? l->reader.announced : UINT32_MAX;

    service_check(l->service, announced_work(&l->announced, here), "an announcement's send");
}

/* Goes on after END until the children have it, too. */
void leader_serve(struct service *s)
{
    struct leader *l = leader_new(s);

    while (!s->broken && !is_root_lost(l) && !(l->ended && !tree_in_flight(&l->tree))) {
        bool worked = receive_frame(l);

        if (fs_view_has_changed() && l->reader.node != NULL) {
            stop_storing(l);
        }
        worked |= forward_requests(l);
        acknowledge(l);
        if (l->reader.node != NULL) {
            memory_work(&l->memory, false);
        }
        if (!s->exit_stats.begun && service_node_leaves(s)) {
            leader_send_exit_stats(s);
        }
        service_rest(s, worked);
    }
    if (l != NULL && !s->broken) {
        announced_close(&l->announced);
    }
    s->root_lost = l != NULL && !s->broken && !l->ended;
    s->has_pending_messages = l != NULL && (!l->ended || l->sending);
    if (l != NULL && !s->has_pending_messages) { /* else MPI may still use these buffers */
        leader_free(l);
    }
}
