/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * root.c - the serving loop of the root: sends what it has looked up to all nodes, and looks up
 * what they ask for.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fs_view.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "broadcast/exit_stats.h"
#include "broadcast/progress.h"
#include "broadcast/stream.h"
#include "broadcast/tree.h"
#include "cache/query.h"
#include "cache/unserved.h"
#include "dlopen/closure.h"
#include "fill/prefetch.h"
#include "mpi/bind.h"
#include "process/job_id.h"
#include "report/report.h"
#include "service/announcements.h"
#include "service/internal.h"
#include "service/learn.h"
#include "service/lookup_pool.h"
#include "service/memory.h"
#include "service/startup.h"
#include "service/tell.h"

enum {
    RECEIVES = 8,      /* receives for request messages that are posted at a time */
    HELPERS = 4,       /* threads that look up what others ask for */
    PLAN_HELPERS = 16, /* the same with a plan: so many look-ups are in flight at the file system */
    MOST_COUNTERS = 4096, /* the most ranks of one node in its exit statistics */
};

/* A leader hears from the root at least so often. */
static const int64_t heartbeat_ns = 500000000;

struct root {
    struct service *service;
    struct stream_writer writer;
    struct tree tree;
    int64_t last_broadcast;
    int64_t last_heartbeat;
    struct progress progress;
    char requests[RECEIVES][WIRE_REQUESTS];
    struct job_request receives[RECEIVES];
    int n_receives; /* so many were posted once */

    struct announcements announcements;
    struct memory memory;

    bool bulk; /* the plan's records are not all sent yet */
    int64_t bulk_began;
    int64_t bulk_ns;
    uint64_t bulk_bytes;

    struct startup startup;

    /* exit statistics of the nodes */
    char *exit_stats; /* receive buffer, of so many bytes: */
    size_t exit_stats_size;
    bool complete; /* every node so far has told which of the plan's records it used */
    struct job_request exit_stats_request;
    struct fi_counters *counters; /* of all ranks of these nodes */
    size_t n_counters;
    struct report_libraries unserved;
    int nodes_gone; /* so many nodes, besides this one, have sent theirs */
};

static struct root *root; /* from root_serve() to the end of root_collect() */

static void root_post(struct root *r, struct wire_frame *frame, enum wire_type type)
{
    frame->type = type;
    service_check(r->service, tree_send(&r->tree, frame), "the broadcast tree");
    r->last_broadcast = sys_now_ns();
    count_add(&fi_count->blocks_broadcast, 1);
    count_add(&fi_count->bytes_broadcast, frame->size);
}

static bool post_empty(struct root *r, enum wire_type type)
{
    struct wire_frame *frame = tree_free_frame(&r->tree);

    if (frame != NULL) {
        frame->size = 0;
        root_post(r, frame, type);
    }
    return frame != NULL;
}

/* Tells that the root is alive, and which look-ups make progress. While other data is sent, only the
 * second is of use. */
static bool send_heartbeat(struct root *r, struct wire_frame *frame)
{
    int64_t now = sys_now_ns();

    if (now - r->last_heartbeat <= heartbeat_ns) {
        return false;
    }
    frame->size = (uint32_t)progress_write(&r->progress, &r->service->node.index, frame->bytes,
                                           WIRE_FRAME - sizeof *frame);
    if (frame->size == 0 && now - r->last_broadcast <= heartbeat_ns) {
        return false;
    }
    r->last_heartbeat = now;
    root_post(r, frame, WIRE_HEARTBEAT);
    return true;
}

/* Sends the next part of the stream, if there is any and a frame is free. True: something was
 * sent. */
static bool send_stream(struct root *r)
{
    struct wire_frame *frame;

    if (r->service->job.n_nodes == 1 ||
        !service_check(r->service, tree_progress(&r->tree), "the broadcast tree")) {
        return false;
    }
    frame = tree_free_frame(&r->tree);
    if (frame == NULL) {
        return false;
    }
    if (send_heartbeat(r, frame)) {
        return false;
    }
    frame->size = (uint32_t)stream_write(&r->writer, frame->bytes, WIRE_FRAME - sizeof *frame);
    if (r->writer.broken) {
        service_check(r->service, -1, "reading a file of the node cache back");
        return false;
    }
    if (frame->size > 0) {
        root_post(r, frame, WIRE_DATA);
    }
    return frame->size > 0;
}

static void post_request_receive(struct root *r, int i)
{
    struct service *s = r->service;

    service_check(s,
                  job_post_receive(&s->job, r->requests[i], WIRE_REQUESTS, JOB_ANYONE,
                                   WIRE_TAG_REQUESTS, &r->receives[i]),
                  "receiving");
}

/* A request that no rank would make is not answered: the segment it comes from may have been
 * damaged. */
static void take_request(struct root *r, const struct fi_query *q)
{
    count_add(&fi_count->requests_seen, 1);
    if (q->kind == RECORD_LIVE) {
        announcements_take(&r->announcements, q);
    } else if (query_is_allowed(q, &r->service->policy)) {
        lookup_pool_put(LOOKUP_REQUEST, q);
    } else {
        fi_log_once(LOG_WARN, "a malformed request from another rank is not answered");
    }
}

static bool take_requests(struct root *r)
{
    struct service *s = r->service;
    bool worked = false;

    for (int i = 0; i < RECEIVES && s->job.n_nodes > 1; i++) {
        struct fi_query q;
        size_t at = 0;
        size_t size = 0;
        bool done = false;

        if (!service_check(s, job_done(&r->receives[i], &done, &size), "receiving") || !done) {
            continue;
        }
        while (wire_get(r->requests[i], size, &at, &q)) {
            take_request(r, &q);
        }
        post_request_receive(r, i);
        worked = true;
    }
    return worked;
}

/* Requests of the root's own node, from its segment. */
static bool take_local_requests(struct root *r)
{
    char path[FI_PATH_MAX];
    struct fi_query q;
    bool worked = false;

    while (segment_next_request(&r->service->node.index, &q, path)) {
        take_request(r, &q);
        worked = true;
    }
    return worked;
}

static void post_exit_stats_receive(struct root *r)
{
    struct service *s = r->service;

    service_check(s,
                  job_post_receive(&s->job, r->exit_stats, r->exit_stats_size, JOB_ANYONE,
                                   WIRE_TAG_EXIT_STATS, &r->exit_stats_request),
                  "receiving");
}

static void add_counters(struct root *r, const struct fi_counters *c, size_t n)
{
    if (r->n_counters + n > (size_t)r->service->job.size) {
        return;
    }
    memcpy(r->counters + r->n_counters, c, n * sizeof *c);
    r->n_counters += n;
}

static bool take_exit_stats(struct root *r)
{
    struct service *s = r->service;
    struct exit_stats exit_stats;
    size_t size = 0;
    bool done = false;

    if (r->nodes_gone == s->job.n_nodes - 1 ||
        !service_check(s, job_done(&r->exit_stats_request, &done, &size), "receiving") || !done) {
        return false;
    }
    exit_stats_read(&s->node.index, r->exit_stats, size, &exit_stats);
    add_counters(r, exit_stats.counters, exit_stats.n_counters);
    report_libraries_add(&r->unserved, exit_stats.unserved, exit_stats.unserved_size,
                         exit_stats.unserved_omitted);
    r->complete = r->complete && exit_stats.knows_plan;
    if (++r->nodes_gone < s->job.n_nodes - 1) {
        post_exit_stats_receive(r);
    }
    return true;
}

static bool all_nodes_leave(const struct root *r)
{
    return r->nodes_gone == r->service->job.n_nodes - 1 && service_node_leaves(r->service);
}

/* This node is at its end, and a rank is lost: the exit statistics of its node may never come. */
static bool exit_stats_timeout(const struct root *r)
{
    return service_node_leaves(r->service) && service_lost_timeout(r->service);
}

/* How long the root waits for a leader that receives nothing. Where a rank is known to be lost the
 * wait is short, because the report must be written before the other ranks end. */
static int64_t silence_limit_ns(const struct service *s)
{
    return atomic_load(&s->lost) ? service_wait_budget_ns(s) / 4 : service_wait_budget_ns(s);
}

/* The plan's file is opened by name, which in another root directory would be another file. */
static void save_plan(struct service *s)
{
    if (!fs_view_has_changed()) {
        plan_save(&s->plan);
    }
}

/* Sends the last frame and waits until the children have it. Afterwards no leader waits for another
 * one. */
static void send_end(struct root *r)
{
    struct service *s = r->service;
    int64_t start = sys_now_ns();
    bool posted = s->job.n_nodes == 1;

    while (!s->broken && (!posted || tree_in_flight(&r->tree))) {
        posted = posted || post_empty(r, WIRE_END);
        service_check(s, tree_progress(&r->tree), "the broadcast tree");
        if (sys_now_ns() - start > silence_limit_ns(s)) {
            if (!atomic_load(&s->lost)) {
                service_check(s, -1, "sending to a node that does not answer");
            }
            return;
        }
        service_rest(s, false);
    }
}

/* Queues the plan's entries for the helpers, in order. What they find is broadcast like everything
 * else. */
static void begin_bulk(struct root *r)
{
    struct plan *plan = &r->service->plan;

    r->bulk = plan->n > 0;
    r->bulk_began = sys_now_ns();
    for (size_t i = 0; i < plan->n; i++) {
        const struct plan_entry *e = &plan->entries[i];
        struct fi_query q = query_make((enum record_kind)e->kind, e->argument, e->path, e->length);

        if (query_is_allowed(&q, &r->service->policy) &&
            policy_verdict(&r->service->policy, e->path, e->length) != NOT_OURS) {
            lookup_pool_put(q.kind == RECORD_LIBRARY ? LOOKUP_LIBRARY : LOOKUP_PLAN, &q);
        }
    }
}

/* When the plan is looked up and sent, tells all nodes: a rank that misses something then asks at
 * once instead of waiting for the plan's records. */
static void end_bulk(struct root *r)
{
    struct service *s = r->service;
    bool alone = s->job.n_nodes == 1;

    if (!r->bulk || !lookup_pool_idle() || (!alone && !stream_is_drained(&r->writer)) ||
        (!alone && !post_empty(r, WIRE_BULK_DONE))) {
        return;
    }
    r->bulk = false;
    r->bulk_ns = sys_now_ns() - r->bulk_began;
    r->bulk_bytes = atomic_load(&s->node.index.header->content_bytes);
    atomic_store(&s->node.index.header->bulk, 0);
}

static bool give_to_helper(const struct fi_query *q)
{
    return lookup_pool_put(LOOKUP_PREFETCH, q);
}

static bool root_prepare(struct root *r, struct service *s)
{
    r->service = s;
    stream_writer_init(&r->writer, &s->node);
    r->complete = true;
    r->exit_stats_size = exit_stats_max_size(MOST_COUNTERS, s->hello.planned);
    r->exit_stats = malloc(r->exit_stats_size);
    r->counters = calloc((size_t)s->job.size, sizeof *r->counters);
    if (r->exit_stats == NULL || r->counters == NULL) {
        return false;
    }
    if (s->job.n_nodes > 1) {
        service_check(s, tree_open(&r->tree, &s->job), "the broadcast tree");
        while (r->n_receives < RECEIVES) {
            post_request_receive(r, r->n_receives++);
        }
        post_exit_stats_receive(r);
    }
    announcements_open(&r->announcements, s);
    memory_begin(&r->memory, s);
    lookup_pool_start(&s->fill, s->plan.n > 0 ? PLAN_HELPERS : HELPERS);
    prefetch_start(&s->fill, &s->policy, give_to_helper);
    begin_bulk(r);
    startup_begin(&r->startup);
    return true;
}

/* Is nothing being looked up or sent? */
static bool is_at_rest(const struct root *r)
{
    return lookup_pool_idle() && (r->service->job.n_nodes == 1 || stream_is_drained(&r->writer));
}

void root_serve(struct service *s)
{
    root = calloc(1, sizeof *root);
    if (root == NULL || !root_prepare(root, s)) {
        service_check(s, -1, "allocation");
        return;
    }
    /* in another root directory or as another user the root cannot answer any more */
    while (!s->broken && !fs_view_has_changed()) {
        bool worked = send_stream(root);

        worked |= take_requests(root);
        worked |= take_local_requests(root);
        worked |= take_exit_stats(root);
        worked |= announcements_work(&root->announcements);
        end_bulk(root);
        memory_work(&root->memory, !root->bulk && is_at_rest(root));
        learn_when_quiet(&s->plan, &s->node);
        startup_note(&root->startup, atomic_load(&s->node.index.header->tail));
        s->in_flight = tree_in_flight(&root->tree);
        if (!worked && (all_nodes_leave(root) || exit_stats_timeout(root))) {
            break;
        }
        /* on this node no frames arrive that would show waiting ranks that the root is alive */
        atomic_fetch_add_explicit(&s->node.index.header->progress, 1, memory_order_relaxed);
        atomic_store_explicit(&s->node.index.header->heard_ns, sys_now_ns(), memory_order_relaxed);
        service_rest(s, worked);
    }
    lookup_pool_stop();
    learn_at_end(&s->plan, &s->node);
    announcements_close(&root->announcements);
    send_end(root);
    s->has_pending_messages = tree_in_flight(&root->tree);
    if (!s->broken && !all_nodes_leave(root)) {
        plan_merge(&s->plan, &s->node.index, false);
        save_plan(s);
    }
}

static void cancel_receives(struct root *r)
{
    for (int i = 0; i < r->n_receives; i++) {
        job_cancel(&r->receives[i]);
    }
}

/* MPI may still write a late request into the buffers in *r, so *r itself stays allocated. */
static void root_release(struct root *r)
{
    cancel_receives(r);
    tree_close(&r->tree);
    stream_writer_end(&r->writer);
    free(r->exit_stats);
    free(r->counters);
    report_libraries_free(&r->unserved);
}

/* Adds the root's own node, which sends no message. */
static void add_own_node(struct root *r)
{
    const struct segment *index = &r->service->node.index;
    uint32_t omitted;
    size_t size = unserved_write(index, r->exit_stats, r->exit_stats_size, &omitted);

    add_counters(r, index->header->counters, index->header->n_ranks);
    report_libraries_add(&r->unserved, r->exit_stats, size, omitted);
}

static void write_report(struct root *r)
{
    struct service *s = r->service;
    const struct segment_header *h = s->node.index.header;
    char library[256];
    char job[128];
    struct report_facts facts = {
        .job_id = job,
        .ranks = s->job.size,
        .nodes = s->job.n_nodes,
        .root = s->job.root,
        .mpi_library = library,
        .roots = s->hello.roots,
        .cache_bytes = h->content_peak,
        .index_bytes = h->reserved,
        .startup_seconds = (double)(startup_ns(&r->startup) + (int64_t)fi_count->init_ns) / 1e9,
        .plan = {s->plan.file, s->plan.loaded, s->plan.used, s->plan.missed,
                 (double)r->bulk_ns / 1e9, r->bulk_bytes},
        .unserved = &r->unserved,
    };

    mpi_version(library, sizeof library);
    job_id_read(job, sizeof job);
    report_write(s->input.config->report, &facts, r->counters, r->n_counters);
}

void root_collect(struct service *s)
{
    while (root != NULL && !s->broken && !all_nodes_leave(root) && !service_lost_timeout(s)) {
        service_rest(s, take_exit_stats(root));
    }
    if (root == NULL) {
        return;
    }
    if (s->broken) { /* MPI may still write into the buffers: nothing is freed */
        cancel_receives(root);
        tell_idle(s->input.config, true, LOG_INFO,
                  "an MPI call failed while the job was served, so the counters of its ranks are "
                  "not known");
        return;
    }
    add_own_node(root);
    closure_mark_used_files(&s->node.index);
    plan_merge(&s->plan, &s->node.index, root->complete && all_nodes_leave(root));
    save_plan(s);
    if (s->input.config->report != NULL && !fs_view_has_changed()) {
        write_report(root);
    }
    if (all_nodes_leave(root)) {
        root_release(root);
    }
}
